import assert from 'node:assert/strict';
import { workStreamPair } from '../../../src/compute/stream-pair.ts';
import { nopRegister } from '../../../src/metrics.ts';
import type { Client } from '../../../src/rpc/clients.ts';
import {
  CLOSE_GRACE_MS,
  FRAME_BURST,
  FRAMES_PER_S,
  MAX_CLIENT_RELAYS,
  MAX_RELAYS,
  OPEN_WITHIN_MS,
  SILENT_MS,
  STALL_MS,
} from '../../../src/rpc/relay-limits.ts';
import type { RelaySocket } from '../../../src/rpc/work-relay.ts';
import { WorkRelays } from '../../../src/rpc/work-relay.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import { manualClock } from '../../net/manual-clock.ts';

class FakeSocket implements RelaySocket {
  readonly sent: Uint8Array[] = [];
  closed: readonly [number, string] | null = null;
  isPaused = false;
  isCut = false;
  takes = true;

  send(bytes: Uint8Array, taken: () => void): void {
    this.sent.push(bytes);
    if (this.takes) taken();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  close(code: number, reason: string): void {
    this.closed = [code, reason];
  }

  terminate(): void {
    this.isCut = true;
  }
}

const stranger: Client = { key: 'stranger', isLocal: false };
const turn = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

async function world() {
  const clock = manualClock();
  const relays = new WorkRelays({ clock, metrics: nopRegister });
  const start = async (client = stranger, connect?: (signal: AbortSignal) => Promise<WorkStream>) => {
    const socket = new FakeSocket();
    // Its pings stay out of the way.
    const [near, far] = workStreamPair(manualClock());
    const relay = relays.start(client, socket, connect ?? (() => Promise.resolve(near)));
    await turn();
    return { socket, far, relay };
  };
  return { clock, relays, start };
}

describe('rpc/work-relay', () => {
  it('bound: relays in all and of one client', async () => {
    const { relays, start } = await world();
    for (let i = 0; i < MAX_CLIENT_RELAYS - 1; i++) await start();
    const { relay } = await start();
    assert.throws(
      () => {
        relays.checkRoom(stranger);
      },
      { code: 'RATE_LIMITED' },
    );
    relay.onClose();
    relays.checkRoom(stranger);
    const local: Client = { key: 'local', isLocal: true };
    const never = (): Promise<WorkStream> => new Promise(() => undefined);
    for (let i = MAX_CLIENT_RELAYS - 1; i < MAX_RELAYS; i++) relays.start(local, new FakeSocket(), never);
    assert.throws(
      () => {
        relays.checkRoom(local);
      },
      { code: 'RATE_LIMITED' },
    );
    relays.close();
  });

  it('bound: a client that is silent, one that takes nothing, and a miner that does not come', async () => {
    const { clock, start } = await world();
    const silent = await start();
    clock.advance(SILENT_MS - 1);
    silent.relay.onMessage(Uint8Array.of(1));
    await turn();
    clock.advance(SILENT_MS - 1);
    assert.equal(silent.socket.closed, null);
    clock.advance(1);
    assert.equal(silent.socket.closed?.[0], 1001);
    assert.deepEqual(await silent.far.read(), Uint8Array.of(1));
    assert.equal(await silent.far.read(), null);
    clock.advance(CLOSE_GRACE_MS);
    assert.ok(silent.socket.isCut);

    const stalled = await start();
    stalled.socket.takes = false;
    await stalled.far.send(Uint8Array.of(7));
    await turn();
    for (let passed = 0; passed < STALL_MS; passed += SILENT_MS / 3) {
      stalled.relay.onMessage(Uint8Array.of(1));
      await turn();
      clock.advance(SILENT_MS / 3);
    }
    assert.equal(stalled.socket.closed?.[0], 1013);

    const waiting = await start(stranger, (signal) => {
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      });
    });
    assert.ok(waiting.socket.isPaused);
    clock.advance(OPEN_WITHIN_MS);
    await turn();
    assert.match(waiting.socket.closed?.[1] ?? '', /^TIMEOUT: /);
  });

  it('bound: frames come no faster than they may', async () => {
    const { clock, start } = await world();
    const { relay, far, socket } = await start();
    let got = 0;
    void (async () => {
      while (await far.read()) got++;
    })();
    for (let i = 0; i < FRAME_BURST + FRAMES_PER_S; i++) relay.onMessage(Uint8Array.of(1));
    await turn();
    assert.equal(got, FRAME_BURST);
    assert.ok(socket.isPaused);
    for (let i = 0; i < FRAMES_PER_S; i++) {
      clock.advance(1_000 / FRAMES_PER_S + 0.01);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await turn();
    assert.equal(got, FRAME_BURST + FRAMES_PER_S);
    assert.ok(!socket.isPaused);
    relay.onClose();
  });

  it('gives the miner what was sent before the stream was there, and closes what comes too late', async () => {
    const { start } = await world();
    const { promise, resolve } = Promise.withResolvers<WorkStream>();
    const [near, far] = workStreamPair(manualClock());
    const early = await start(stranger, () => promise);
    early.relay.onMessage(Uint8Array.of(5));
    resolve(near);
    assert.deepEqual(await far.read(), Uint8Array.of(5));
    early.relay.onClose();

    const late = Promise.withResolvers<WorkStream>();
    const [lateNear, lateFar] = workStreamPair(manualClock());
    const gone = await start(stranger, () => late.promise);
    gone.relay.onClose();
    late.resolve(lateNear);
    assert.equal(await lateFar.read(), null);
  });
});
