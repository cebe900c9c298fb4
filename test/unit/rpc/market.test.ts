import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../../src/bytes.ts';
import { parseAddress } from '../../../src/chain/address.ts';
import { decodeOffer } from '../../../src/chain/market/offer.ts';
import { decodeAgreement } from '../../../src/chain/modules/compute/agreement.ts';
import { decodeStake } from '../../../src/chain/modules/compute/stake.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { Client } from '../../../src/sdk/client.ts';
import { addressText, signer } from '../../util/chain-fixture.ts';
import { makeOffer } from '../../util/offers.ts';
import { World } from './document-world.ts';

describe('the market over RPC', () => {
  let world: World;
  let client: Client;

  beforeEach(async () => {
    world = await World.start({ market: true });
    client = createClient({ url: world.server.url });
  });

  afterEach(() => world.server.close());

  it('shows an agreement, and proves what it shows', async () => {
    const { proof, ...shown } = await client.agreement(world.agreement(), { proof: true });
    const expiresAtMs = Math.ceil((world.node.genesis.timeMs + 600_000) / 60_000) * 60_000;
    assert.deepEqual(shown, {
      agreement: world.agreement(),
      state: 'open',
      client: addressText('account-3'),
      signer: shown.signer,
      miner: addressText('account-2'),
      cap_uait: '10000',
      paid_uait: '0',
      held_uait: '10000',
      refunded_uait: '0',
      expires_at: new Date(expiresAtMs).toISOString(),
      closing_since: null,
      closed: null,
      receipts_root: null,
      height: 3,
    });
    assert.equal(decodeAgreement(fromHex(proof?.value ?? '')).capUait, 10_000);
    assert.deepEqual(await client.agreement(world.agreement()), shown);
  });

  it('shows a stake, and nothing of who never staked', async () => {
    const { proof, ...shown } = await client.stake(addressText('account-2'), { proof: true });
    const nothing = { cooling_uait: '0', cools_until: null, height: 3 };
    assert.deepEqual(shown, { address: addressText('account-2'), staked_uait: '1000000', ...nothing });
    assert.equal(decodeStake(fromHex(proof?.value ?? '')).stakedUait, 1_000_000);
    const none = await client.stake(addressText('account-1'), { proof: true });
    assert.equal(none.staked_uait, '0');
    assert.equal(none.proof?.value, null);
  });

  it('lists offers with what they are signed by, page by page, and those of a kind and model', async () => {
    const { chain } = world.node.genesis;
    const offers = ['account-1', 'account-2', 'account-3'].map((name) => makeOffer(chain, signer(name), { free: 2 }));
    world.node.market.offers = () => offers;
    const listed = await client.offers();
    assert.deepEqual(
      listed.map(({ offer }) => decodeOffer(fromHex(offer)).offer.name),
      ['m1', 'm1', 'm1'],
    );
    const sorted = listed.map(({ provider }) => toHex(parseAddress(provider)));
    assert.deepEqual(sorted, [...sorted].sort());
    const [first] = listed;
    assert.deepEqual(
      { capacity: first?.capacity, price: first?.price, status: first?.status },
      { capacity: 2, price: 20, status: 'open' },
    );
    const rest = await client.offers({ after: first?.provider ?? '' });
    assert.deepEqual(rest, listed.slice(1));
    assert.equal((await client.offers({ kind: 'llm.chat', model: 'demo' })).length, 3);
    assert.deepEqual(await client.offers({ kind: 'llm.chat', model: 'other' }), []);
    const { items, next_cursor } = await client.miners();
    assert.deepEqual(
      items.map(({ address, staked_uait }) => [address === addressText('account-2'), staked_uait]),
      listed.map(({ provider }) => (provider === addressText('account-2') ? [true, '1000000'] : [false, '0'])),
    );
    assert.equal(next_cursor, null);
    assert.deepEqual(await client.marketStats(), {
      ...{ totalOffers: 3, openCapacity: 6, averagePrice: 20, activeBids: 0, slots: 6, models: 1 },
    });
  });

  it('tells the parameters', async () => {
    assert.deepEqual(await client.marketParams(), world.node.genesis.sections['compute']);
  });
});
