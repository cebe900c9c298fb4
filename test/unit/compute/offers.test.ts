import assert from 'node:assert/strict';
import type { Signer } from '../../../src/chain/crypto/types.ts';
import { encodeStake } from '../../../src/chain/modules/compute/stake.ts';
import { genesisState } from '../../../src/chain/genesis.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { stakeKey } from '../../../src/chain/modules/compute/keys.ts';
import type { StateReader } from '../../../src/chain/state.ts';
import { MAX_AHEAD_MS, MAX_OFFERS, MIN_OFFER_MS, OffersIndex } from '../../../src/compute/offers.ts';
import { nopLogger } from '../../../src/log.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { fixtureGenesis, signer } from '../../util/chain-fixture.ts';
import { InlineVerifier } from '../../util/inline-verifier.ts';
import { makeOffer } from '../../util/offers.ts';

const genesis = fixtureGenesis();
const { chain } = genesis;
const MIN_STAKE = 1_000_000;

function world() {
  const clock = manualClock();
  const verifier = new InlineVerifier();
  const base = new Map(genesisState(nativeCrypto, genesis));
  const stakes = new Map<string, Uint8Array>();
  const state: StateReader = { get: (key) => stakes.get(key) ?? base.get(key) };
  const stake = (miner: Signer, stakedUait = MIN_STAKE): void => {
    const bytes = encodeStake({ stakedUait, coolingUait: 0, coolsUntilMs: 0 });
    stakes.set(stakeKey(addressOf(nativeCrypto, miner.publicKey)), bytes);
  };
  const index = new OffersIndex({
    ...{ chain, hasher: nativeCrypto, verifier, clock, log: nopLogger, metrics: nopRegister },
    state: () => state,
  });
  const offer = (miner: Signer, fields = {}) => makeOffer(chain, miner, { sequence: clock.now(), ...fields });
  return { clock, verifier, stake, index, offer };
}

const alice = signer('alice');
const bob = signer('bob');

describe('compute/offers', () => {
  it('keeps the newest of each miner that is staked, and tells when they change', async () => {
    const { clock, stake, index, offer } = world();
    stake(alice);
    let changes = 0;
    const end = index.onChange(() => changes++);
    const first = offer(alice);
    assert.equal(await index.add(first, 'private'), 'OK');
    assert.equal(index.toldIn(first.offer), 'private');
    assert.equal(await index.add(first, 'private'), 'DUPLICATE');
    clock.advance(MIN_OFFER_MS - 1);
    assert.equal(await index.add(offer(alice), 'public'), 'STALE');
    clock.advance(1);
    const second = offer(alice, { name: 'again' });
    assert.equal(await index.add(second, 'public'), 'OK');
    assert.equal(await index.add(first, 'private'), 'STALE');
    assert.deepEqual(index.list(), [second]);
    assert.deepEqual(index.ofMiner(addressOf(nativeCrypto, alice.publicKey)), second);
    assert.equal(index.ofMiner(addressOf(nativeCrypto, bob.publicKey)), undefined);
    assert.equal(changes, 2);
    end();
    index.stop();
    assert.equal(clock.pending, 0);
  });

  it('takes none that is not signed, not staked, over, or of the future, and pays no signature for those', async () => {
    const { clock, verifier, stake, index, offer } = world();
    stake(alice);
    const good = offer(alice);
    const forged = { ...good, offer: { ...good.offer, name: 'other' } };
    assert.equal(await index.add(forged, 'public'), 'BAD_SIGNATURE');
    assert.equal(verifier.checked, 1);
    stake(bob, MIN_STAKE - 1);
    assert.equal(await index.add(offer(bob), 'public'), 'UNKNOWN_SIGNER');
    assert.equal(await index.add(offer(alice, { sequence: clock.now() + MAX_AHEAD_MS + 1 }), 'public'), 'FUTURE');
    assert.equal(await index.add(offer(alice, { sequence: clock.now() - 10, ttlMs: 10 }), 'public'), 'STALE');
    assert.equal(verifier.checked, 1);
    assert.deepEqual(index.list(), []);
  });

  it('drops offers that have run out, and those whose stake is gone', async () => {
    const { clock, stake, index, offer } = world();
    stake(alice);
    stake(bob);
    await index.add(offer(alice, { ttlMs: 1_000 }), 'public');
    await index.add(offer(bob), 'public');
    clock.advance(1_000);
    assert.deepEqual(
      index.list().map(({ offer: { miner } }) => miner),
      [bob.publicKey],
    );
    stake(bob, 0);
    clock.advance(5_000);
    assert.deepEqual(index.list(), []);
    assert.equal(clock.pending, 0, 'nothing is looked after any more');
  });

  it('bound: miners in all; beyond, more stake comes in for the least', async () => {
    const { stake, index, offer } = world();
    for (let i = 0; i < MAX_OFFERS; i++) {
      const miner = signer(`miner-${i}`);
      stake(miner, MIN_STAKE + (i === 7 ? 0 : 1));
      assert.equal(await index.add(offer(miner), 'public'), 'OK');
    }
    stake(alice);
    assert.equal(await index.add(offer(alice), 'public'), 'REFUSED');
    stake(alice, MIN_STAKE + 1);
    assert.equal(await index.add(offer(alice), 'public'), 'OK');
    assert.equal(index.list().length, MAX_OFFERS);
    assert.equal(index.ofMiner(addressOf(nativeCrypto, signer('miner-7').publicKey)), undefined);
    index.stop();
  });
});
