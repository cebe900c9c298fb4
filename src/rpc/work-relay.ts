/**
 * Work streams of clients that are no peers: frames go both ways as they come, at the pace of who takes them. The node reads
 * none of them: what is in them is sealed, and signed by the two sides.
 */
import type { Clock } from '../clock.ts';
import { delay } from '../clock.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Gauge, Counter, MetricsRegister } from '../metrics.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import type { Client } from './clients.ts';
import { OpenCounts } from './clients.ts';
import {
  CLOSE_GRACE_MS,
  FRAME_BURST,
  FRAMES_PER_S,
  MAX_CLIENT_RELAYS,
  MAX_RELAYS,
  OPEN_WITHIN_MS,
  SILENT_MS,
  STALL_MS,
} from './relay-limits.ts';
import { TokenBucket } from './token-bucket.ts';

/** The client's side; messages come by `onMessage` until it is paused. */
export interface RelaySocket {
  /** @param taken called once the bytes are out of this process's hands, or never when the socket closes */
  send(bytes: Uint8Array, taken: () => void): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** Why a relay ended, for metrics. */
type EndReason = 'client' | 'miner' | 'silent' | 'stalled' | 'invalid' | 'key' | 'stopping';

/** 1013: try again later; 1014: who is behind the node. */
const CODES: Readonly<Record<Exclude<EndReason, 'client'>, number>> = {
  miner: 1014,
  silent: 1001,
  stalled: 1013,
  invalid: 1003,
  key: 1008,
  stopping: 1001,
};

/** RFC 6455: of a close frame. */
const MAX_REASON_BYTES = 123;

/** What a socket tells of its client. */
export interface WorkRelay {
  /** @param bytes null: text, which no work stream has */
  onMessage(bytes: Uint8Array | null): void;
  onClose(): void;
  /** The chain stops. */
  stop(): void;
  /** The key that it was opened with is no longer one. */
  expire(): void;
}

export interface RelayModules {
  readonly clock: Clock;
  readonly metrics: MetricsRegister;
}

export class WorkRelays {
  readonly #clock: Clock;
  readonly #open = new Set<Relay>();
  readonly #counts = new OpenCounts(MAX_CLIENT_RELAYS);
  readonly #gauge: Gauge;
  readonly #ended: Counter;
  #isClosed = false;

  constructor({ clock, metrics }: RelayModules) {
    this.#clock = clock;
    this.#gauge = metrics.gauge({ name: 'aitbc_rpc_work_relays', help: 'Open relayed work streams' });
    this.#ended = metrics.counter({
      name: 'aitbc_rpc_work_relays_ended_total',
      help: 'Relayed work streams that ended, by who or what ended them',
      labelNames: ['reason'],
    });
  }

  /** @throws NodeError RATE_LIMITED */
  checkRoom(client: Client): void {
    const isFull = this.#open.size >= MAX_RELAYS;
    if (!this.#isClosed && !isFull && this.#counts.hasRoom(client)) return;
    throw new NodeError(
      'RATE_LIMITED',
      isFull ? 'too many work streams are relayed' : 'you have too many work streams',
      {
        data: { limit: isFull ? MAX_RELAYS : MAX_CLIENT_RELAYS },
        hint: 'wait for one that is free: a stream serves one attempt after the other',
      },
    );
  }

  /** @param connect opens the stream to the miner @throws NodeError RATE_LIMITED */
  start(client: Client, socket: RelaySocket, connect: (signal: AbortSignal) => Promise<WorkStream>): WorkRelay {
    this.checkRoom(client);
    const relay = new Relay(this.#clock, socket, (reason) => {
      if (!this.#open.delete(relay)) return;
      this.#counts.close(client);
      this.#gauge.set(this.#open.size);
      this.#ended.inc({ reason });
    });
    this.#open.add(relay);
    this.#counts.open(client);
    this.#gauge.set(this.#open.size);
    relay.run(connect);
    return relay;
  }

  close(): void {
    this.#isClosed = true;
    for (const relay of this.#open) relay.stop();
  }
}

class Relay implements WorkRelay {
  readonly #clock: Clock;
  readonly #socket: RelaySocket;
  readonly #onEnd: (reason: EndReason) => void;
  readonly #bucket: TokenBucket;
  readonly #opening = new AbortController();
  #stream: WorkStream | null = null;
  /** Messages that the socket gave before it stopped, then those that wait for the miner. */
  #forwarding: Promise<void> = Promise.resolve();
  #waiting = 0;
  #cancelSilence: () => void = () => undefined;
  #isOver = false;

  constructor(clock: Clock, socket: RelaySocket, onEnd: (reason: EndReason) => void) {
    this.#clock = clock;
    this.#socket = socket;
    this.#onEnd = onEnd;
    this.#bucket = new TokenBucket(FRAME_BURST, FRAMES_PER_S, clock.monotonic());
  }

  run(connect: (signal: AbortSignal) => Promise<WorkStream>): void {
    this.#forwarding = this.#connect(connect);
    this.#socket.pause();
    void this.#forwarding.then(() => this.#toClient());
  }

  onMessage(bytes: Uint8Array | null): void {
    if (this.#isOver) return;
    if (bytes === null) {
      this.end('invalid', new NodeError('INVALID_REQUEST', 'work streams carry binary messages'));
      return;
    }
    this.#waiting++;
    this.#cancelSilence();
    this.#socket.pause();
    this.#forwarding = this.#forwarding.then(() => this.#toMiner(bytes));
  }

  onClose(): void {
    this.#finish('client');
  }

  stop(): void {
    this.end('stopping', new NodeError('CHAIN_STOPPED', 'the node stops it'));
  }

  expire(): void {
    this.end('key', new NodeError('UNAUTHENTICATED', 'the API key is no longer valid'));
  }

  /** Closes the socket with the reason, and the stream. */
  end(reason: Exclude<EndReason, 'client'>, error: NodeError | null): void {
    if (this.#isOver) return;
    this.#finish(reason);
    if (error) this.#socket.close(CODES[reason], reasonText(error));
    else this.#socket.close(1000, 'the miner ended the stream');
    this.#socket.resume();
    // Who does not read sees no close frame either.
    this.#clock.after(CLOSE_GRACE_MS, () => {
      this.#socket.terminate();
    });
  }

  #finish(reason: EndReason): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelSilence();
    this.#opening.abort(new NodeError('UNREACHABLE', 'the client has gone'));
    this.#stream?.close();
    this.#onEnd(reason);
  }

  async #connect(connect: (signal: AbortSignal) => Promise<WorkStream>): Promise<void> {
    const cancel = this.#clock.after(OPEN_WITHIN_MS, () => {
      this.#opening.abort(new NodeError('TIMEOUT', 'the miner did not take the stream in time'));
    });
    try {
      const stream = await connect(this.#opening.signal);
      if (this.#isOver) stream.close();
      this.#stream = stream;
      this.#hear();
    } catch (error) {
      this.end('miner', toNodeError(error));
    } finally {
      cancel();
    }
  }

  async #toMiner(bytes: Uint8Array): Promise<void> {
    try {
      await this.#pace();
      if (!this.#isOver) await this.#stream?.send(bytes);
    } catch (error) {
      this.end('miner', toNodeError(error));
    }
    this.#waiting--;
    this.#hear();
  }

  /** Nothing waits: the client is to be heard from. */
  #hear(): void {
    if (this.#isOver || this.#waiting > 0) return;
    this.#cancelSilence();
    this.#cancelSilence = this.#clock.after(SILENT_MS, () => {
      this.end('silent', new NodeError('TIMEOUT', 'no frame came for too long'));
    });
    this.#socket.resume();
  }

  async #pace(): Promise<void> {
    while (!this.#isOver && !this.#bucket.hasOne(this.#clock.monotonic())) {
      await delay(this.#clock, this.#bucket.waitMs(1, this.#clock.monotonic()));
    }
    this.#bucket.spend(1, this.#clock.monotonic());
  }

  async #toClient(): Promise<void> {
    try {
      for (;;) {
        const frame = this.#isOver ? null : await this.#stream?.read();
        if (!frame) break;
        await this.#give(frame);
      }
      this.end('miner', null);
    } catch (error) {
      this.end('miner', toNodeError(error));
    }
  }

  #give(frame: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(STALL_MS, () => {
        this.end('stalled', new NodeError('TIMEOUT', 'slow consumer: nothing was read for too long'));
        resolve();
      });
      this.#socket.send(frame, () => {
        cancel();
        resolve();
      });
    });
  }
}

/** Begins with the code, so that a client can tell what to do. */
export function reasonText({ code, message }: NodeError): string {
  const text = code === 'INTERNAL' ? 'INTERNAL: unexpected failure' : `${code}: ${message}`;
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, MAX_REASON_BYTES);
}
