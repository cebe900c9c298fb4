import assert from 'node:assert/strict';
import { once } from 'node:events';
import { encodeQuote, encodeQuoteRequest } from '../../../src/chain/market/quote.ts';
import type { SignedOffer } from '../../../src/chain/market/offer.ts';
import { systemClock } from '../../../src/clock.ts';
import { workStreamPair } from '../../../src/compute/stream-pair.ts';
import { NodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { RelayMiners } from '../../../src/sdk/market-relay.ts';
import { connectRelay } from '../../../src/sdk/market-relay.ts';
import { MAX_WORK_RECORD_BYTES } from '../../../protocols/market/work-channel.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import { addressText, signer } from '../../util/chain-fixture.ts';
import { makeOffer, makeQuote, makeQuoteRequest } from '../../util/offers.ts';
import { waitFor } from '../../util/wait.ts';
import { World } from '../rpc/document-world.ts';

const signal = new AbortController().signal;
const miner = signer('account-2');

describe('sdk/market-relay', () => {
  let world: World;
  let relay: RelayMiners;
  let offer: SignedOffer;
  /** The miner's ends of the streams that the node opened. */
  let served: WorkStream[];

  beforeEach(async () => {
    world = await World.start({ market: true });
    const { chain } = world.node.genesis;
    offer = makeOffer(chain, miner);
    world.node.market.offers = () => [offer];
    served = [];
    world.node.market.openWork = async () => {
      const [client, end] = workStreamPair(systemClock);
      served.push(end);
      return client;
    };
    const client = createClient({ url: world.server.url });
    relay = await connectRelay({ client, chain, crypto: nativeCrypto, pollMs: 60_000 });
  });

  afterEach(async () => {
    relay.close();
    for (const stream of served) stream.close();
    await world.close();
  });

  const open = (): Promise<WorkStream> => relay.open(offer.offer, signal);

  async function servedEnd(i = 0): Promise<WorkStream> {
    await waitFor('the stream to be opened', () => served.length > i);
    const end = served[i];
    assert(end);
    return end;
  }

  it('knows offers that are signed, and tells when they change', async () => {
    assert.deepEqual(relay.offers(), [offer]);
    let changes = 0;
    relay.onOffers(() => changes++);
    await relay.refresh();
    assert.equal(changes, 0);
    const forged = { ...offer, offer: { ...offer.offer, name: 'forged' } };
    const elsewhere = makeOffer({ ...world.node.genesis.chain, chainId: 'ait-testnet' }, signer('account-1'));
    world.node.market.offers = () => [forged, elsewhere];
    await relay.refresh();
    assert.deepEqual(relay.offers(), []);
    assert.equal(changes, 1);
  });

  it('brings quotes, and the codes of miners that decline', async () => {
    const { chain } = world.node.genesis;
    const request = makeQuoteRequest(chain, signer('account-3'));
    const bytes = encodeQuoteRequest(request);
    assert.deepEqual(await relay.quote(offer.offer, bytes, signal), encodeQuote(makeQuote(chain, miner, request)));
    world.node.market.quote = () => Promise.reject(new NodeError('PRICE', 'too dear'));
    await assert.rejects(relay.quote(offer.offer, bytes, signal), { code: 'PRICE' });
    await assert.rejects(relay.quote(offer.offer, bytes, AbortSignal.abort()), { code: 'UNREACHABLE' });
  });

  it('carries frames both ways, in order, up to the cap', async () => {
    const stream = await open();
    const end = await servedEnd();
    const frames = [1, 2, 3].map((fill) => new Uint8Array(fill === 3 ? MAX_WORK_RECORD_BYTES : fill).fill(fill));
    const all = Promise.all(frames.map((frame) => stream.send(frame)));
    for (const frame of frames) assert.deepEqual(await end.read(), frame);
    await all;
    for (const frame of frames) await end.send(frame);
    for (const frame of frames) assert.deepEqual(await stream.read(), frame);
    await assert.rejects(stream.send(new Uint8Array(MAX_WORK_RECORD_BYTES + 1)), { code: 'TOO_LARGE' });
    end.close();
    assert.equal(await stream.read(), null);
    await assert.rejects(stream.send(Uint8Array.of(1)), { code: 'UNREACHABLE' });
  });

  it('ends the stream to the miner when the client goes, and tells the client why there is none', async () => {
    const stream = await open();
    const end = await servedEnd();
    stream.close();
    stream.close();
    assert.equal(await end.read(), null);
    world.node.market.openWork = () => Promise.reject(new NodeError('NO_MINER', 'nobody of that address'));
    const refused = await open();
    await assert.rejects(refused.read(), { code: 'NO_MINER', message: 'nobody of that address' });
    world.node.market.openWork = () => Promise.reject(new Error('broken inside'));
    const broken = await open();
    await assert.rejects(broken.read(), { code: 'INTERNAL', message: 'unexpected failure' });
  });

  it('holds up a client whose miner does not read', async () => {
    const stream = await open();
    const end = await servedEnd();
    const count = 60;
    const sending = (async () => {
      for (let i = 0; i < count; i++) await stream.send(new Uint8Array(MAX_WORK_RECORD_BYTES).fill(i));
    })();
    for (let i = 0; i < count; i++) assert.equal((await end.read())?.[9], i);
    await sending;
    stream.close();
  });

  it('ends with the chain', async () => {
    const stream = await open();
    await servedEnd();
    world.node.closing.abort();
    await assert.rejects(stream.read(), { code: 'CHAIN_STOPPED' });
  });

  it('bound: refuses text, and what is larger than a frame', async () => {
    const url = `${world.server.url.replace('http', 'ws')}/v1/market/work?miner=${addressText('account-2')}`;
    const closed = async (socket: WebSocket): Promise<number> =>
      ((await once(socket, 'close')) as [CloseEvent])[0].code;
    const text = new WebSocket(url);
    text.addEventListener('open', () => {
      text.send('text');
    });
    assert.equal(await closed(text), 1003);
    const large = new WebSocket(url);
    large.addEventListener('open', () => {
      large.send(new Uint8Array(MAX_WORK_RECORD_BYTES + 1));
    });
    assert.equal(await closed(large), 1009);
    for (const query of ['', '?miner=nobody', `?miner=${addressText('account-2')}&chain_id=ait-other`]) {
      const socket = new WebSocket(url.replace(/\?.*/, query));
      assert.equal(await closed(socket), 1006, query);
    }
  });
});
