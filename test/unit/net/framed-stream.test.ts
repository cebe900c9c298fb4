import assert from 'node:assert/strict';
import { streamPair } from '@libp2p/utils';
import { framedStream } from '../../../src/net/framed-stream.ts';

describe('net/framed-stream', () => {
  it('carries messages of every size up to the cap, in order', async () => {
    const [a, b] = await streamPair();
    const [writer, reader] = [framedStream(a, 100_000), framedStream(b, 100_000)];
    const sizes = [0, 1, 3, 4, 5, 255, 256, 65_535, 65_536, 100_000];
    const write = async (): Promise<void> => {
      for (const size of sizes) await writer.write(new Uint8Array(size).fill(size & 0xff));
      writer.close();
    };
    const written = write();
    for (const size of sizes) {
      const message = await reader.read();
      assert.equal(message?.length, size);
      assert.ok(message.every((byte) => byte === (size & 0xff)));
      assert.equal(Buffer.isBuffer(message), false);
    }
    assert.equal(await reader.read(), null, 'an orderly end');
    await written;
  });

  it('refuses a length above the cap before it waits for the message', async () => {
    const [a, b] = await streamPair();
    a.send(Uint8Array.of(0, 0, 0, 11));
    await assert.rejects(framedStream(b, 10).read(), { code: 'PEER_PROTOCOL' });
  });

  it('tells an end inside a message from a reset', async () => {
    const [a, b] = await streamPair();
    a.send(Uint8Array.of(0, 0, 0, 5, 1, 2));
    await a.close();
    await assert.rejects(framedStream(b, 10).read(), { code: 'PEER_PROTOCOL' });
    const [c, d] = await streamPair();
    const read = framedStream(d, 10).read();
    c.abort(new Error('reset'));
    await assert.rejects(read, { code: 'UNREACHABLE' });
  });

  it('bounds what waits unread', async () => {
    const [a, b] = await streamPair();
    const reader = framedStream(b, 10);
    a.send(new Uint8Array(2 * 1024 * 1024));
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(reader.read(), { code: 'UNREACHABLE' });
    assert.equal(reader.open, false);
  });

  it('fails a write to a stream that is gone, and a read that is cancelled', async () => {
    const [a, b] = await streamPair();
    const framed = framedStream(a, 10);
    b.abort(new Error('gone'));
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(framed.write(Uint8Array.of(1)), { code: 'UNREACHABLE' });
    const [c] = await streamPair();
    await assert.rejects(framedStream(c, 10).read(AbortSignal.abort()), { code: 'UNREACHABLE' });
  });
});
