import assert from 'node:assert/strict';
import { encodeLeafList } from '../../../src/chain/market/blob.ts';
import { encodeQuote, encodeQuoteRequest } from '../../../src/chain/market/quote.ts';
import { sealBlob } from '../../../src/compute/blobs/cipher.ts';
import { createMarketLink } from '../../../src/compute/link.ts';
import type { MarketLink, MinerDoor } from '../../../src/compute/link.ts';
import { MAX_ASKED_PEERS, OwnQuotas } from '../../../src/compute/own-quotas.ts';
import { workStreamPair } from '../../../src/compute/stream-pair.ts';
import { MAX_WORK_RECORD_BYTES, PING_RECORD } from '../../../protocols/market/work-channel.ts';
import { PING_MS } from '../../../protocols/market/work-frames.ts';
import { METHODS } from '../../../protocols/registry.ts';
import { NodeError } from '../../../src/errors.ts';
import { systemClock } from '../../../src/clock.ts';
import { nopLogger } from '../../../src/log.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { recorder } from '../../net/fixtures.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { InlineVerifier } from '../../util/inline-verifier.ts';
import { signer } from '../../util/chain-fixture.ts';
import { MemoryNetwork } from '../../util/memory-network.ts';
import { makeOffer, makeQuote, makeQuoteRequest } from '../../util/offers.ts';
import { World } from '../rpc/document-world.ts';

const signal = new AbortController().signal;
/** The account that has a stake in the fixture's market. */
const miner = signer('account-2');

describe('compute/link', () => {
  let world: World;
  let network: MemoryNetwork;
  const links: MarketLink[] = [];

  before(async () => {
    world = await World.start({ market: true });
  });

  after(() => world.server.close());

  beforeEach(() => {
    network = new MemoryNetwork();
  });

  afterEach(() => {
    for (const link of links.splice(0)) link.stop();
  });

  async function linkOf(peer: string): Promise<MarketLink> {
    const link = createMarketLink({
      ...{ chain: world.node.genesis.chain, crypto: nativeCrypto, verifier: new InlineVerifier() },
      ...{
        clock: systemClock,
        log: nopLogger,
        metrics: nopRegister,
        state: () => world.node.chain.tip().state,
      },
    });
    links.push(link);
    const { handlers } = recorder();
    const gossip = { ...handlers.gossip, offer: link.onOffer.bind(link) };
    const requests = { ...handlers.requests, quote: link.onQuote.bind(link), blob: link.onBlob.bind(link) };
    await link.connect(network.join(peer, { ...handlers, gossip, requests }));
    return link;
  }

  const door = (served: string[]): MinerDoor => ({
    quote: async (request, from) => {
      served.push(from);
      if (request.request.model === 'none') throw new NodeError('NO_MODEL', 'no such model');
      return makeQuote(world.node.genesis.chain, miner, request);
    },
    work: async (stream, from) => {
      served.push(from);
      for (let frame = await stream.read(); frame; frame = await stream.read()) await stream.send(frame);
    },
    greet: () => served.push('greeted'),
  });

  it('gives parts of blobs to peers and to itself, and reports who gives other ones', async () => {
    const [host, asker] = [await linkOf('n1'), await linkOf('m1')];
    const { ref, list, leaf } = await sealBlob(nativeCrypto, new Uint8Array(9), new Uint8Array(32));
    const { root } = ref;
    await assert.rejects(asker.blobPart('n1', { root, part: 0 }, signal), { code: 'NOT_FOUND' });
    await host.blobs.begin(list, 'o');
    for (const link of [host, asker]) {
      assert.deepEqual(await link.blobPart('n1', { root, part: 0 }, signal), encodeLeafList(list));
      await assert.rejects(link.blobPart('n1', { root, part: 2 }, signal), { code: 'NOT_FOUND' });
    }
    await assert.rejects(asker.blobPart('n1', { root, part: 1 }, signal), { code: 'NOT_FOUND' });
    await host.blobs.put(root, 0, await leaf(0));
    assert.deepEqual(await asker.blobPart('n1', { root, part: 1 }, signal), await leaf(0));
    const reports = network.reports.length;
    host.reportLie('n1', 'itself');
    asker.reportLie('n1', 'another leaf');
    assert.deepEqual(
      network.reports.slice(reports).map(({ peer, action }) => [peer, action]),
      [['n1', 'lie']],
    );
  });

  it('tells its miner of peers that come', async () => {
    const link = await linkOf('m1');
    link.greet();
    const served: string[] = [];
    const end = await link.attach(door(served));
    link.greet();
    await end();
    link.greet();
    assert.deepEqual(served, ['greeted']);
  });

  for (const place of ['another node', 'its own node'] as const) {
    it(`finds a miner of ${place}, asks it and works with it`, async () => {
      const { chain } = world.node.genesis;
      const client = await linkOf('client');
      const peer = place === 'its own node' ? 'client' : 'miner';
      const host = place === 'its own node' ? client : await linkOf('miner');
      const served: string[] = [];
      const detach = await host.attach(door(served));
      await assert.rejects(host.attach(door([])), { code: 'CONFLICT' });
      const heard = new Promise<void>((resolve) => void client.onOffers(resolve));
      const signed = makeOffer(chain, miner, { peer });
      assert.equal(await host.announce(signed), 'OK');
      await heard;
      assert.deepEqual(client.offers(), [signed]);

      const request = makeQuoteRequest(chain, signer('account-1'));
      const answer = await client.quote(signed.offer, encodeQuoteRequest(request), signal);
      assert.deepEqual(answer, encodeQuote(makeQuote(chain, miner, request)));
      const refused = encodeQuoteRequest(makeQuoteRequest(chain, signer('account-1'), 'none'));
      await assert.rejects(client.quote(signed.offer, refused, signal), { code: 'NO_MODEL' });

      const stream = await client.open(signed.offer, signal);
      await stream.send(Uint8Array.of(1, 2));
      assert.deepEqual(await stream.read(), Uint8Array.of(1, 2));
      assert.deepEqual(new Set(served), new Set(['client']));
      stream.close();
      await detach();
      await assert.rejects(client.open(signed.offer, signal), { code: 'UNREACHABLE' });
      await assert.rejects(client.quote(signed.offer, encodeQuoteRequest(request), signal), {
        code: 'METHOD_DISABLED',
      });
    });
  }

  it('bound: quotes and streams asked of one miner, within the quota that its node has for this one', async () => {
    const { chain } = world.node.genesis;
    const client = await linkOf('client');
    const host = await linkOf('miner');
    let asked = 0;
    await host.attach({
      ...door([]),
      quote: async (request) => {
        asked++;
        return makeQuote(chain, miner, request);
      },
    });
    const { offer } = makeOffer(chain, miner, { peer: 'miner' });
    const request = encodeQuoteRequest(makeQuoteRequest(chain, signer('account-1')));
    const { capacity } = METHODS.quote.quota;
    const answers = await Promise.allSettled(
      Array.from({ length: capacity + 300 }, () => client.quote(offer, request, signal)),
    );
    const refused = answers.filter((answer) => answer.status === 'rejected');
    assert.ok(asked >= capacity && asked < capacity + 200, String(asked));
    assert.equal(refused.length, capacity + 300 - asked);
    assert.ok(refused.every(({ reason }) => (reason as NodeError).code === 'RATE_LIMITED'));
    const stream = await client.open(offer, signal);
    stream.close();
  });

  it('bound: peers whose quotas are kept in mind', () => {
    const clock = manualClock();
    const quotas = new OwnQuotas(clock);
    for (let i = 0; i < MAX_ASKED_PEERS + 5; i++) quotas.take(`peer-${i}`, 'quotes');
    assert.equal(quotas.size, MAX_ASKED_PEERS);
    const open = (): void => {
      for (;;) quotas.take('one', 'work streams');
    };
    assert.throws(open, { code: 'RATE_LIMITED' });
    clock.advance(1_000);
    quotas.take('one', 'work streams');
  });

  it('bound: within a process, too, nobody sends more than is read', async () => {
    const clock = manualClock();
    const [client, served] = workStreamPair(clock);
    let sent = 0;
    const sending = (async () => {
      for (let i = 0; i < 8; i++) {
        await client.send(new Uint8Array(MAX_WORK_RECORD_BYTES));
        sent++;
      }
    })();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(sent, 2);
    for (let i = 0; i < 8; i++) assert.equal((await served.read())?.length, MAX_WORK_RECORD_BYTES);
    await sending;
    await assert.rejects(client.send(new Uint8Array(MAX_WORK_RECORD_BYTES + 1)), { code: 'TOO_LARGE' });
    clock.advance(PING_MS);
    clock.advance(10 * PING_MS);
    assert.deepEqual(await served.read(), PING_RECORD);
    assert.deepEqual(await client.read(), PING_RECORD);
    client.close();
    assert.equal(await served.read(), null);
    await assert.rejects(served.send(Uint8Array.of(1)), { code: 'UNREACHABLE' });
    served.close();
    assert.equal(clock.pending, 0);
  });
});
