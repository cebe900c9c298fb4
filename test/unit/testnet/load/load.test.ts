import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { pureCrypto } from '../../../../src/chain/crypto/pure.ts';
import { transfer } from '../../../../src/chain/modules/bank.ts';
import type { ChainParams } from '../../../../src/chain/params.ts';
import { leastFeeUait } from '../../../../src/chain/params.ts';
import { decodeTransaction, txCheck } from '../../../../src/chain/tx.ts';
import { percentile, percentiles } from '../../../../testnet/load/percentiles.ts';
import { createRandom } from '../../../../testnet/load/random.ts';
import { LOAD_TX_BYTES, loadAccounts, roundRobin } from '../../../../testnet/load/transfers.ts';

const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
const params = { baseFeeUait: 1000, feePerByteUait: 10 } as ChainParams;

describe('load percentiles', () => {
  it('are values of the sample, by nearest rank', () => {
    const sorted = Array.from({ length: 100 }, (_, i) => i + 1);
    assert.equal(percentile(sorted, 0.5), 50);
    assert.equal(percentile(sorted, 0.99), 99);
    assert.equal(percentile(sorted, 1), 100);
    assert.equal(percentile([7], 0.99), 7);
    assert.deepEqual(percentiles([3, 1, 2]), { count: 3, p50: 2, p99: 3, max: 3 });
    assert.ok(Number.isNaN(percentile([], 0.5)));
  });

  it('bound the share of values above', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { minLength: 1, maxLength: 300 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, share) => {
          const sorted = [...values].sort((a, b) => a - b);
          const at = percentile(sorted, share);
          assert.ok(sorted.filter((value) => value <= at).length >= share * sorted.length);
        },
      ),
    );
  });

  it('of transfers never final are endless', () => {
    assert.equal(percentiles([1, Infinity]).p99, Infinity);
  });
});

describe('load randomness', () => {
  it('repeats for a seed and differs between seeds', () => {
    const draw = (seed: string): number[] => {
      const random = createRandom(seed);
      return Array.from({ length: 50 }, () => random.next());
    };
    assert.deepEqual(draw('a'), draw('a'));
    assert.notDeepEqual(draw('a'), draw('b'));
    assert.ok(draw('a').every((value) => value >= 0 && value < 1));
  });

  it('shuffles without loss and has the mean asked for', () => {
    const random = createRandom('x');
    assert.deepEqual(
      random.shuffle([1, 2, 3, 4, 5]).sort((a, b) => a - b),
      [1, 2, 3, 4, 5],
    );
    const sum = Array.from({ length: 5000 }, () => random.exponential(10)).reduce((a, b) => a + b, 0);
    assert.ok(Math.abs(sum / 5000 - 10) < 1);
  });
});

describe('load transfers', () => {
  it('are valid, of the size named, and take their senders in turn with growing nonces', () => {
    const accounts = loadAccounts(randomBytes(32), 3);
    const source = roundRobin(chain, params, accounts);
    for (let i = 0; i < 7; i++) {
      const { value } = source.next();
      assert.ok(value);
      assert.equal(value.account, i % 3);
      assert.equal(value.tx.bytes.length, LOAD_TX_BYTES);
      const tx = decodeTransaction(pureCrypto, value.tx.bytes);
      assert.equal(tx.nonce, Math.floor(i / 3));
      assert.equal(tx.feeUait, leastFeeUait(params, LOAD_TX_BYTES));
      const { message, signature, publicKey } = txCheck(chain, tx);
      assert.ok(pureCrypto.verify(message, signature, publicKey));
      assert.deepEqual(transfer.decode(tx.payload).to, accounts[(i + 1) % 3]?.address);
    }
  });

  it('come from keys that one seed gives again', () => {
    const seed = randomBytes(32);
    assert.deepEqual(
      loadAccounts(seed, 5).map(({ address }) => address),
      loadAccounts(seed, 5).map(({ address }) => address),
    );
  });
});
