import assert from 'node:assert/strict';
import { fromHex } from '../../../src/bytes.ts';
import { decodeAgreement } from '../../../src/chain/modules/compute/agreement.ts';
import { decodeStake } from '../../../src/chain/modules/compute/stake.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { Client } from '../../../src/sdk/client.ts';
import { addressText } from '../../util/chain-fixture.ts';
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

  it('tells the parameters', async () => {
    assert.deepEqual(await client.marketParams(), world.node.genesis.sections['compute']);
  });
});
