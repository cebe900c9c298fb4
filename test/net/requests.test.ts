import assert from 'node:assert/strict';
import { multiaddr } from '@multiformats/multiaddr';
import { byteStream } from '@libp2p/utils';
import { encodeTxsRequest, encodeVotesRequest } from '../../protocols/codec.ts';
import { decodeFrame, encodeFrame } from '../../protocols/frames.ts';
import { ANSWER_QUOTA, METHODS } from '../../protocols/registry.ts';
import { protocolId } from '../../protocols/topics.ts';
import { assembleTransaction, MAX_PAYLOAD_BYTES } from '../../src/chain/tx.ts';
import { NodeError } from '../../src/errors.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import { MAX_SERVED } from '../../src/net/request-server.ts';
import { waitFor } from '../util/wait.ts';
import type { TestHost } from './fixtures.ts';
import { addressOf, devnet, meshed, startHost, stopAllHosts } from './fixtures.ts';
import { manualClock } from './manual-clock.ts';
import { startStranger, stopStrangers } from './stranger.ts';

const votesRequest = { height: 1, round: 0 };

async function pair(): Promise<[TestHost, TestHost]> {
  const a = await startHost('a');
  const b = await startHost('b', { persistentPeers: [addressOf(a)] });
  await meshed(a, b);
  return [a, b];
}

/** A raw stream to one method, with frames written by hand. */
async function rawLine(target: TestHost, method: 'votes' | 'blocks' | 'txs') {
  const peer = await startStranger();
  const connection = await peer.dial(multiaddr(addressOf(target)));
  const stream = await connection.newStream(protocolId(devnet, method));
  const bytes = byteStream(stream);
  const length = (count: number) => {
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, count);
    return head;
  };
  return {
    id: peer.peerId.toString(),
    stream,
    writeRaw: (data: Uint8Array) => bytes.write(data),
    send: async (frame: Uint8Array) => {
      await bytes.write(length(frame.length));
      await bytes.write(frame);
    },
    length,
    receive: async () => {
      const head = (await bytes.read({ bytes: 4 })).subarray();
      const count = new DataView(head.buffer, head.byteOffset).getUint32(0);
      return decodeFrame((await bytes.read({ bytes: count })).subarray());
    },
  };
}

const scoreOf = (target: TestHost, peer: string): number =>
  target.host.peers().find(({ peerId }) => peerId === peer)?.score ?? 0;

describe('requests over real hosts', () => {
  afterEach(async () => {
    await stopAllHosts();
    await stopStrangers();
  });

  it('pipelines: later requests are answered while an earlier one is worked on', async () => {
    const [a, b] = await pair();
    const finish: (() => void)[] = [];
    b.seen.requests.votes = ({ height }) =>
      height === 1
        ? new Promise((resolve) =>
            finish.push(() => {
              resolve({ votes: [], proposals: [] });
            }),
          )
        : Promise.resolve({ votes: [], proposals: [] });
    let slowDone = false;
    const slow = a.net.request(b.host.peerId, 'votes', { height: 1, round: 0 }).then(() => {
      slowDone = true;
    });
    await waitFor('the slow request to arrive', () => finish.length === 1);
    await a.net.request(b.host.peerId, 'votes', { height: 2, round: 0 });
    assert.equal(slowDone, false);
    finish[0]?.();
    await slow;
  });

  it('passes on the code of a refusing handler, and hides the text of a failing one', async () => {
    const [a, b] = await pair();
    b.seen.requests.votes = () => Promise.reject(new NodeError('NOT_FOUND', 'height pruned'));
    await assert.rejects(a.net.request(b.host.peerId, 'votes', votesRequest), (error: NodeError) => {
      assert.equal(error.code, 'NOT_FOUND');
      assert.equal(error.data['peerText'], 'height pruned');
      return true;
    });
    b.seen.requests.votes = () => {
      throw new TypeError('secret detail');
    };
    await assert.rejects(a.net.request(b.host.peerId, 'votes', votesRequest), (error: NodeError) => {
      assert.equal(error.code, 'INTERNAL');
      assert.doesNotMatch(JSON.stringify(error.data), /secret/);
      return true;
    });
    b.seen.requests = {};
    await a.net.request(b.host.peerId, 'votes', votesRequest);
    assert.ok(b.log.lines.some(({ message }) => message === 'request handler failed'));
  });

  it('gives up after the timeout, at a cost for the peer, and takes a late answer calmly', async () => {
    const clock = manualClock();
    const b = await startHost('b');
    const a = await startHost('a', { clock });
    await a.host.dial(addressOf(b));
    await waitFor('the chain to be shared', () => a.net.peers().length === 1);
    let finish: (() => void) | undefined;
    b.seen.requests.votes = () =>
      new Promise((resolve) => {
        finish = () => {
          resolve({ votes: [], proposals: [] });
        };
      });
    const asked = a.net.request(b.host.peerId, 'votes', votesRequest);
    const failure = assert.rejects(asked, { code: 'TIMEOUT' });
    await waitFor('the request to arrive', () => finish !== undefined);
    clock.advance(METHODS.votes.timeoutMs);
    await failure;
    assert.ok(scoreOf(a, b.host.peerId) <= -5);
    finish?.();
    b.seen.requests = {};
    await a.net.request(b.host.peerId, 'votes', votesRequest);
  });

  it('a cancelled request fails at once and costs the peer nothing', async () => {
    const [a, b] = await pair();
    let arrived = false;
    b.seen.requests.votes = () => {
      arrived = true;
      return new Promise(() => undefined);
    };
    const abort = new AbortController();
    const failure = assert.rejects(a.net.request(b.host.peerId, 'votes', votesRequest, abort.signal), {
      code: 'TIMEOUT',
    });
    await waitFor('arrival', () => arrived);
    abort.abort();
    await failure;
    assert.equal(scoreOf(a, b.host.peerId), 0);
  });

  it('bounds its own requests in flight', async () => {
    const [a, b] = await pair();
    const finish: (() => void)[] = [];
    b.seen.requests.votes = () =>
      new Promise((resolve) =>
        finish.push(() => {
          resolve({ votes: [], proposals: [] });
        }),
      );
    const open = Array.from({ length: METHODS.votes.maxInFlight }, () =>
      a.net.request(b.host.peerId, 'votes', votesRequest),
    );
    await assert.rejects(a.net.request(b.host.peerId, 'votes', votesRequest), { code: 'RATE_LIMITED' });
    await waitFor('all of them', () => finish.length === open.length);
    for (const fn of finish) fn();
    await Promise.all(open);
  });

  it('a peer that is not connected, or does not carry the chain, is unreachable', async () => {
    const a = await startHost('a');
    const peer = await startStranger();
    await assert.rejects(a.net.request(peer.peerId.toString(), 'votes', votesRequest), { code: 'UNREACHABLE' });
    await peer.dial(multiaddr(addressOf(a)));
    await waitFor('the connection', () => a.host.peers().length === 1);
    await assert.rejects(a.net.request(peer.peerId.toString(), 'votes', votesRequest), { code: 'UNREACHABLE' });
  });

  it('opens a new stream when the kept one broke', async () => {
    const [a, b] = await pair();
    await a.net.request(b.host.peerId, 'votes', votesRequest);
    // A peer that drops the chain resets its streams; the chain added again answers on new ones.
    await b.net.close();
    await waitFor('the chain to be dropped', () => a.net.peers().length === 0);
    await b.host.addChain({ chain: devnet, handlers: b.seen.handlers });
    await waitFor('the chain again', () => a.net.peers().length === 1);
    await a.net.request(b.host.peerId, 'votes', votesRequest);
    assert.equal(scoreOf(a, b.host.peerId), 0);
  });

  it('refuses above the quota with a code, and reports who goes on', async () => {
    const host = await startHost('a');
    const line = await rawLine(host, 'votes');
    const payload = encodeVotesRequest(votesRequest);
    const kinds: string[] = [];
    for (let id = 1; id <= METHODS.votes.quota.capacity + 4; id++) {
      await line.send(encodeFrame({ id, kind: 'request', payload }));
      kinds.push((await line.receive()).kind);
    }
    assert.equal(kinds.indexOf('error') >= METHODS.votes.quota.capacity, true);
    assert.equal(kinds.at(-1), 'error');
    assert.equal(scoreOf(host, line.id), 0, 'a few refusals are forgiven');
    for (let id = 100; id < 130; id++) {
      await line.send(encodeFrame({ id, kind: 'request', payload }));
      await line.receive();
      if (scoreOf(host, line.id) < 0) break;
    }
    assert.ok(scoreOf(host, line.id) < 0);
  });

  it('refuses more at once than the cap', async () => {
    const host = await startHost('a');
    host.seen.requests.votes = () => new Promise(() => undefined);
    const line = await rawLine(host, 'votes');
    const payload = encodeVotesRequest(votesRequest);
    for (let id = 1; id <= METHODS.votes.maxInFlight + 1; id++) {
      await line.send(encodeFrame({ id, kind: 'request', payload }));
    }
    const answer = await line.receive();
    assert.equal(answer.kind, 'error');
    assert.equal(answer.id, METHODS.votes.maxInFlight + 1);
    assert.match(Buffer.from(answer.payload).toString('latin1'), /PEER_QUOTA/);
  });

  it('serves a bounded number of requests over all peers', async () => {
    const host = await startHost('a');
    let open = 0;
    host.seen.requests.txs = () => {
      open += 1;
      return new Promise(() => undefined);
    };
    const payload = encodeTxsRequest({ ids: [new Uint8Array(32)] });
    const perPeer = METHODS.txs.maxInFlight;
    for (let i = 0; i < MAX_SERVED / perPeer; i++) {
      const line = await rawLine(host, 'txs');
      for (let id = 1; id <= perPeer; id++) await line.send(encodeFrame({ id, kind: 'request', payload }));
    }
    await waitFor('all of them', () => open === MAX_SERVED);
    const last = await rawLine(host, 'txs');
    await last.send(encodeFrame({ id: 1, kind: 'request', payload }));
    const answer = await last.receive();
    assert.match(Buffer.from(answer.payload).toString('latin1'), /RATE_LIMITED/);
  });

  it('bounds the bytes that one peer draws', async () => {
    const host = await startHost('a', { clock: manualClock() });
    const big = assembleTransaction(
      nativeHasher,
      {
        version: 1,
        type: 1,
        sender: new Uint8Array(32),
        nonce: 0,
        feeUait: 0,
        validUntilHeight: 1,
        payload: new Uint8Array(MAX_PAYLOAD_BYTES),
      },
      new Uint8Array(64),
    );
    host.seen.requests.txs = async () => Array(200).fill(big);
    const line = await rawLine(host, 'txs');
    const payload = encodeTxsRequest({ ids: [new Uint8Array(32)] });
    let drawn = 0;
    for (let id = 1; ; id++) {
      await line.send(encodeFrame({ id, kind: 'request', payload }));
      const answer = await line.receive();
      if (answer.kind === 'error') break;
      drawn += answer.payload.length;
    }
    assert.ok(drawn >= ANSWER_QUOTA.capacity && drawn < ANSWER_QUOTA.capacity + 4 * 2 ** 20, `${drawn}`);
  });

  it('a request that does not decode is answered and costs points', async () => {
    const host = await startHost('a');
    const line = await rawLine(host, 'votes');
    await line.send(encodeFrame({ id: 5, kind: 'request', payload: Uint8Array.of(1, 2, 3) }));
    const answer = await line.receive();
    assert.equal(answer.id, 5);
    assert.equal(answer.kind, 'error');
    assert.ok(scoreOf(host, line.id) <= -20);
  });

  const broken: Record<string, (line: Awaited<ReturnType<typeof rawLine>>) => Promise<void>> = {
    'an oversized frame': (line) => line.writeRaw(line.length(METHODS.votes.maxRequestBytes + 100)),
    'an unknown kind of frame': (line) => line.send(Uint8Array.of(0, 0, 0, 1, 9)),
    'an answer without a question': (line) =>
      line.send(encodeFrame({ id: 1, kind: 'response', payload: new Uint8Array() })),
    'a frame too short for its head': (line) => line.send(Uint8Array.of(1)),
    'a truncated frame': async (line) => {
      await line.writeRaw(line.length(20));
      await line.writeRaw(new Uint8Array(3));
      await line.stream.close();
    },
  };
  for (const [name, send] of Object.entries(broken)) {
    it(`${name} costs points and the stream, not the connection`, async () => {
      const host = await startHost('a');
      const line = await rawLine(host, 'votes');
      await send(line);
      await waitFor('points lost', () => scoreOf(host, line.id) <= -20);
      await waitFor('the end of the stream', () => line.stream.status !== 'open');
      assert.equal(host.host.peers().length, 1);
    });
  }

  it('an orderly end of a stream costs nothing', async () => {
    const host = await startHost('a');
    const line = await rawLine(host, 'votes');
    await line.send(encodeFrame({ id: 1, kind: 'request', payload: encodeVotesRequest(votesRequest) }));
    assert.equal((await line.receive()).kind, 'response');
    await line.stream.close();
    await waitFor('the end of the stream', () => line.stream.status !== 'open');
    assert.equal(scoreOf(host, line.id), 0);
  });

  it('an answer that does not decode is the peer’s fault', async () => {
    const a = await startHost('a');
    const peer = await startStranger();
    await peer.handle(protocolId(devnet, 'votes'), async (stream) => {
      const bytes = byteStream(stream);
      await bytes.read({ bytes: 9 });
      const frame = encodeFrame({ id: 1, kind: 'response', payload: Uint8Array.of(1, 2, 3) });
      await bytes.write(Uint8Array.of(0, 0, 0, frame.length));
      await bytes.write(frame);
    });
    await peer.dial(multiaddr(addressOf(a)));
    await waitFor('the connection', () => a.host.peers().length === 1);
    const id = peer.peerId.toString();
    await assert.rejects(a.net.request(id, 'votes', votesRequest), { code: 'PEER_PROTOCOL' });
    assert.ok(scoreOf(a, id) <= -20);
  });
});
