import assert from 'node:assert/strict';
import type { MessageStream, StreamMessageEvent } from '@libp2p/interface';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { Links, PING_MS, PING_TIMEOUT_MS } from '../../../src/net/links.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { waitFor } from '../../util/wait.ts';

function pair() {
  const clock = manualClock();
  const links = new Links(clock);
  links.start();
  const [near, far] = multiaddrConnectionPair();
  return { clock, links, near, far, create: links.muxer({})() };
}

/** Bytes of each message that arrives. */
function messagesOf(stream: MessageStream): number[] {
  const lengths: number[] = [];
  stream.addEventListener('message', ({ data }: StreamMessageEvent) => lengths.push(data.byteLength));
  return lengths;
}

describe('net/links', () => {
  it('carries streams, and knows the round trip of each connection', async () => {
    const { links, near, far, create } = pair();
    const [here, there] = [create.createStreamMuxer(near), create.createStreamMuxer(far)];
    let received = 0;
    there.addEventListener('stream', ({ detail }) => {
      detail.addEventListener('message', ({ data }) => {
        received += data.byteLength;
      });
    });
    await waitFor('the answer to a ping', () => here.getRTT() >= 0);
    assert.equal(links.rttMs({ streams: here.streams } as never), here.getRTT());
    assert.equal(links.rttMs({ streams: [] } as never), null);
    const stream = await here.createStream();
    // Four times the window: it grows again as the other side reads.
    for (let i = 0; i < 32; i++) if (!stream.send(new Uint8Array(32_768))) await stream.onDrain();
    await waitFor('the bytes', () => received === 32 * 32_768);
    near.abort(new Error('over'));
    links.stop();
  });

  it('bound: a connection whose other side answers no ping ends', async () => {
    const { clock, links, near, far, create } = pair();
    const lengths = messagesOf(far);
    create.createStreamMuxer(near);
    await waitFor('the first ping', () => lengths.length > 0);
    clock.advance(PING_MS);
    assert.equal(near.status, 'open');
    clock.advance(PING_TIMEOUT_MS - PING_MS);
    await waitFor('the end', () => near.status === 'aborted');
    links.stop();
  });

  it('sends what a connection inside another one writes, when the outer one was looked at before', async () => {
    const { links, near, far, create } = pair();
    const lengths = messagesOf(far);
    const outer = create.createStreamMuxer(near);
    const stream = await outer.createStream();
    const [inside] = multiaddrConnectionPair();
    inside.send = (data) => stream.send(data);
    const inner = create.createStreamMuxer(inside);
    links.flush();
    stream.send(new Uint8Array(10));
    const innerStream = await inner.createStream();
    innerStream.send(new Uint8Array(5_000));
    links.flush();
    await waitFor('the frame', () => lengths.reduce((sum, length) => sum + length, 0) > 5_000);
    for (const each of [inside, near]) each.abort(new Error('over'));
    links.stop();
  });

  it('sends at once when told to', async () => {
    const { links, near, far, create } = pair();
    const lengths = messagesOf(far);
    const muxer = create.createStreamMuxer(near);
    await muxer.createStream();
    assert.equal(lengths.length, 0);
    links.flush();
    await waitFor('the frames', () => lengths.length > 0);
    near.abort(new Error('over'));
    links.stop();
  });
});
