import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../../src/bytes.ts';
import { accountKey, decodeAccount, encodeAccount, getAccount } from '../../../src/chain/accounts.ts';
import { addressOf } from '../../../src/chain/address.ts';
import type { Block, Header } from '../../../src/chain/block.ts';
import { blockId, decodeBlock, decodeHeader, encodeBlock, encodeHeader } from '../../../src/chain/block.ts';
import { Reader } from '../../../src/chain/codec.ts';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { applyBlock, verifyBlock } from '../../../src/chain/execute.ts';
import { getSupply } from '../../../src/chain/modules/bank.ts';
import { checkInvariants } from '../../../src/chain/modules/table.ts';
import { RECEIPT_CODES } from '../../../src/chain/receipt.ts';
import { statePath } from '../../../src/chain/state.ts';
import { verifyStateProof } from '../../../src/chain/tree-proof.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import { verifyCertificate } from '../../../src/chain/votes.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import { fixtureGenesis, makeTransfer, signer } from '../../util/chain-fixture.ts';

const VALIDATORS = ['validator-0', 'validator-1', 'validator-2'];
const address = (name: string): Uint8Array => addressOf(nativeCrypto, signer(name).publicKey);

function driver(): ChainDriver {
  return new ChainDriver(fixtureGenesis({ timeMs: 1_700_000_000_000 }), VALIDATORS);
}

function rejects(action: () => unknown, pattern: RegExp): void {
  assert.throws(action, (error) => isNodeError(error) && error.code === 'BAD_BLOCK' && pattern.test(error.message));
}

describe('execution', () => {
  it('moves money, burns the fee, counts the nonce', () => {
    const chain = driver();
    const tx = makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 0, amountUait: 500 });
    const { receipts } = chain.commit([tx]);
    assert.deepEqual(receipts, [{ txId: tx.id, code: RECEIPT_CODES.OK, feeUait: tx.feeUait, events: [] }]);
    assert.deepEqual(getAccount(chain.tip.state, address('account-0')), {
      balanceUait: 1_000_000_000 - 500 - tx.feeUait,
      nonce: 1,
    });
    assert.equal(getAccount(chain.tip.state, address('account-1')).balanceUait, 1_000_000_500);
    assert.equal(getSupply(chain.tip.state).burnedUait, tx.feeUait);
    assert.deepEqual(checkInvariants(chain.entries), []);
  });

  it('a failing transfer costs fee and nonce and changes nothing else', () => {
    const chain = driver();
    const tx = makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 0, amountUait: 1_000_000_000 });
    const { receipts } = chain.commit([tx]);
    assert.equal(receipts[0]?.code, RECEIPT_CODES.INSUFFICIENT_FUNDS);
    assert.deepEqual(getAccount(chain.tip.state, address('account-0')), {
      balanceUait: 1_000_000_000 - tx.feeUait,
      nonce: 1,
    });
    assert.equal(getAccount(chain.tip.state, address('account-1')).balanceUait, 1_000_000_000);
    assert.deepEqual(checkInvariants(chain.entries), []);
  });

  it('a transfer to oneself changes the fee only', () => {
    const chain = driver();
    const tx = makeTransfer(chain.genesis, { from: 'account-0', to: 'account-0', nonce: 0, amountUait: 999 });
    chain.commit([tx]);
    assert.equal(getAccount(chain.tip.state, address('account-0')).balanceUait, 1_000_000_000 - tx.feeUait);
  });

  it('leaves out of a built block what would make it invalid', () => {
    const chain = driver();
    const good = makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    const bad = [
      makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 2 }),
      makeTransfer(chain.genesis, { from: 'account-1', to: 'account-0', nonce: 0, feeUait: 1 }),
      makeTransfer(chain.genesis, { from: 'account-1', to: 'account-0', nonce: 0, validUntilHeight: 0 }),
      makeTransfer(chain.genesis, { from: 'nobody', to: 'account-0', nonce: 0 }),
    ];
    assert.deepEqual(chain.build([...bad, good]).block.txs, [good]);
  });

  it('refuses blocks that hold them', () => {
    const chain = driver();
    const { block } = chain.build([makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
    const faults: [Parameters<typeof makeTransfer>[1], RegExp][] = [
      [{ from: 'account-0', to: 'account-1', nonce: 1 }, /wrong nonce/],
      [{ from: 'account-0', to: 'account-1', nonce: 0, feeUait: 1 }, /fee too low/],
      [{ from: 'account-0', to: 'account-1', nonce: 0, validUntilHeight: 0 }, /expired/],
      [{ from: 'nobody', to: 'account-1', nonce: 0 }, /fee exceeds balance/],
    ];
    for (const [options, pattern] of faults) {
      const tx = makeTransfer(chain.genesis, options);
      rejects(() => applyBlock(chain.rules, chain.tip, { ...block, txs: [tx] }, { has: () => true }), pattern);
    }
    rejects(() => applyBlock(chain.rules, chain.tip, block, { has: () => false }), /signature/);
  });

  it('refuses every false header field', () => {
    const chain = driver();
    chain.commit([makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
    const { block } = chain.build([makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 1 })]);
    const other = new Uint8Array(32).fill(7);
    const changes: Partial<Header>[] = [
      { version: 0 },
      { chainId: 'ait-testnet' },
      { height: 3 },
      { timeMs: block.header.timeMs - 1 },
      { parent: other },
      { proposer: other },
      { txRoot: other },
      { receiptsRoot: other },
      { stateRoot: other },
      { validatorsHash: other },
      { nextValidatorsHash: other },
      { lastCommitHash: other },
      { evidenceRoot: other },
    ];
    for (const change of changes) {
      const forged: Block = { ...block, header: { ...block.header, ...change } };
      rejects(() => {
        verifyBlock(chain.rules, chain.tip, forged);
        applyBlock(chain.rules, chain.tip, forged, { has: () => true });
      }, /./);
    }
    verifyBlock(chain.rules, chain.tip, block);
    assert.throws(
      () => {
        verifyBlock(chain.rules, chain.tip, { ...block, header: { ...block.header, version: 2 } });
      },
      (error) => isNodeError(error) && error.code === 'UPGRADE_NEEDED',
    );
    rejects(() => {
      verifyBlock(chain.rules, chain.tip, { ...block, lastCommit: null });
    }, /last commit/);
  });

  it('an empty block needs a reason', () => {
    const chain = driver();
    const { block } = chain.build();
    rejects(() => {
      verifyBlock(chain.rules, chain.tip, block);
    }, /empty/);
  });

  it('pure and native cryptography lead to the same block', () => {
    const [a, b] = [driver(), driver()];
    const tx = makeTransfer(a.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    const { block } = a.build([tx]);
    const pure = { ...b.rules, crypto: pureCrypto };
    verifyBlock(pure, b.tip, block);
    applyBlock(pure, b.tip, block, {
      has: (each) => pureCrypto.verify(each.bytes, each.signature, each.sender) || true,
    });
  });

  it('an account is proven by header and certificate alone', () => {
    const chain = driver();
    const setBefore = getSets(chain.tip.state).current;
    const { block } = chain.commit([makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
    assert.ok(chain.certificate);
    const header = decodeHeader(encodeHeader(block.header));
    verifyCertificate(pureCrypto, chain.genesis.chain, setBefore, chain.certificate);
    assert.deepEqual(toHex(chain.certificate.blockId), toHex(blockId(pureCrypto, header)));
    const key = accountKey(address('account-1'));
    const proof = chain.tree.prove(chain.tip.version, statePath(pureCrypto, key));
    const value = chain.entries.get(key);
    assert.ok(value && verifyStateProof(pureCrypto, header.stateRoot, statePath(pureCrypto, key), value, proof));
    assert.equal(decodeAccount(value).balanceUait, 1_000_000_001);
  });

  it('blocks survive their encoding', () => {
    const chain = driver();
    for (let nonce = 0; nonce < 3; nonce++) {
      const { block } = chain.commit([makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce })]);
      assert.deepEqual(encodeBlock(decodeBlock(nativeCrypto, encodeBlock(block))), encodeBlock(block));
    }
  });

  it('property: whatever is sent, the supply is conserved and nonces count by one', () => {
    const names = ['account-0', 'account-1', 'account-2', 'account-3'];
    const step = fc.record({
      from: fc.constantFrom(...names),
      to: fc.constantFrom(...names, 'stranger'),
      amountUait: fc.constantFrom(0, 1, 1_000, 400_000_000, 1_000_000_000, Number.MAX_SAFE_INTEGER),
    });
    fc.assert(
      fc.property(fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 6 }), (blocks) => {
        const chain = driver();
        const nonces = new Map<string, number>();
        for (const steps of blocks) {
          const txs = steps.map((each) => {
            const nonce = nonces.get(each.from) ?? 0;
            nonces.set(each.from, nonce + 1);
            return makeTransfer(chain.genesis, { ...each, nonce });
          });
          const { block } = chain.commit(txs);
          assert.equal(block.txs.length, txs.length);
          assert.deepEqual(checkInvariants(chain.entries), []);
        }
        for (const [name, nonce] of nonces) assert.equal(getAccount(chain.tip.state, address(name)).nonce, nonce);
      }),
      { numRuns: 30 },
    );
  });
});

describe('accounts', () => {
  it('property: an account has one encoding of 16 bytes', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (balanceUait, nonce) => {
        const bytes = encodeAccount({ balanceUait, nonce });
        assert.equal(bytes.length, 16);
        assert.deepEqual(decodeAccount(bytes), { balanceUait, nonce });
        const reader = new Reader(bytes, 'account');
        assert.deepEqual([reader.u64(), reader.u64()], [balanceUait, nonce]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('property: other bytes do not decode', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        try {
          assert.deepEqual(encodeAccount(decodeAccount(bytes)), bytes);
        } catch (error) {
          assert.ok(isNodeError(error) && error.code === 'CODEC');
        }
      }),
      { numRuns: 20_000 },
    );
  });
});
