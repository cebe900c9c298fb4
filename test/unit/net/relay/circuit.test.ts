import assert from 'node:assert/strict';
import type { Stream } from '@libp2p/interface';
import { streamPair } from '@libp2p/utils';
import type { RelayLimit } from '../../../../src/net/relay/messages.ts';
import { joinStreams } from '../../../../src/net/relay/circuit.ts';
import { manualClock } from '../../../net/manual-clock.ts';
import { waitFor } from '../../../util/wait.ts';

async function setUp(limit: RelayLimit | null = null) {
  const clock = manualClock();
  const [client, near] = await streamPair();
  const [far, server] = await streamPair();
  const carried = { bytes: 0, ends: 0 };
  const end = joinStreams(near, far, {
    ...{ limit, clock },
    onBytes: (bytes) => (carried.bytes += bytes),
    onEnd: () => (carried.ends += 1),
  });
  return { clock, client, near, far, server, carried, end };
}

function receive(stream: Stream): { bytes: number } {
  const received = { bytes: 0 };
  stream.addEventListener('message', ({ data }) => (received.bytes += data.byteLength));
  return received;
}

const isOver = (stream: Stream): boolean => stream.status !== 'open';

describe('net/relay/circuit', () => {
  it('carries both ways and ends with either side', async () => {
    const { client, server, carried } = await setUp();
    const [atClient, atServer] = [receive(client), receive(server)];
    client.send(new Uint8Array(1_000));
    server.send(new Uint8Array(2_000));
    await waitFor('both', () => atServer.bytes === 1_000 && atClient.bytes === 2_000);
    assert.equal(carried.bytes, 3_000);
    server.abort(new Error('gone'));
    await waitFor('the end', () => isOver(client) && carried.ends === 1);
  });

  it('bound: bytes, both ways together', async () => {
    const { client, server, carried } = await setUp({ seconds: 60, bytes: 3_000 });
    const atServer = receive(server);
    receive(client);
    server.send(new Uint8Array(1_000));
    client.send(new Uint8Array(2_000));
    await waitFor('the last byte allowed', () => atServer.bytes === 2_000 && carried.bytes === 3_000);
    client.send(new Uint8Array(1));
    await waitFor('the cut', () => isOver(client) && isOver(server));
    assert.equal(atServer.bytes, 2_000);
    assert.equal(carried.ends, 1);
  });

  it('bound: time', async () => {
    const { clock, client, server } = await setUp({ seconds: 60, bytes: 3_000 });
    clock.advance(59_000);
    assert.equal(isOver(client), false);
    clock.advance(1_000);
    await waitFor('the cut', () => isOver(client) && isOver(server));
    assert.equal(clock.pending, 0);
  });

  it('bound: what waits in the relay for a side that does not read', async () => {
    const { client, near, far, carried } = await setUp();
    Object.defineProperty(far, 'sendData', { value: () => ({ sentBytes: 0, canSendMore: false }) });
    for (let i = 0; i < 100; i++) client.send(new Uint8Array(10_000));
    await waitFor('the pause', () => near.readStatus === 'paused');
    const atPause = carried.bytes;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(carried.bytes, atPause, 'nothing is read while nothing can be sent');
    assert.ok(far.writeBufferLength <= atPause);
  });
});
