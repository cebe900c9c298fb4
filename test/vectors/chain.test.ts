import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/bytes.ts';
import { blockId, decodeBlock, decodeHeader, encodeBlock } from '../../src/chain/block.ts';
import { pureCrypto } from '../../src/chain/crypto/pure.ts';
import type { Crypto } from '../../src/chain/crypto/types.ts';
import { checkEvidence, decodeEvidence, evidenceChecks } from '../../src/chain/evidence.ts';
import type { Tip } from '../../src/chain/execute.ts';
import { applyBlock, verifyBlock } from '../../src/chain/execute.ts';
import { genesisBlockId, genesisState, parseGenesis } from '../../src/chain/genesis.ts';
import { agreementId } from '../../src/chain/modules/compute/agreement.ts';
import { voucherSignBytes } from '../../src/chain/modules/compute/voucher.ts';
import type { Json } from '../../src/chain/modules/types.ts';
import { getSets } from '../../src/chain/modules/validators-state.ts';
import { encodeReceipt } from '../../src/chain/receipt.ts';
import type { StateKey } from '../../src/chain/state.ts';
import { statePath } from '../../src/chain/state.ts';
import { StateTree } from '../../src/chain/tree.ts';
import { decodeTransaction, txCheck, txSignBytes } from '../../src/chain/tx.ts';
import { txChecks } from '../../src/chain/tx-checks.ts';
import { decodeCertificate, decodeVote, verifyCertificate, voteCheck } from '../../src/chain/votes.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { readVectors } from './read.ts';

interface Vectors {
  readonly genesis: { json: Json; bytes: string; hash: string; stateRoot: string };
  readonly transactions: { name: string; signBytes: string; bytes: string; id: string }[];
  readonly votes: { signBytes: string; bytes: string }[];
  readonly evidence: string[];
  readonly agreement: { client: string; nonce: number; id: string };
  readonly voucher: {
    agreement: string;
    creditUait: string;
    seen: string;
    signBytes: string;
    signer: string;
    signature: string;
  };
  readonly blocks: {
    height: number;
    header: string;
    blockId: string;
    block: string;
    certificate: string;
    validators: { publicKey: string; power: number; demoted: boolean }[];
    receipts: string[];
    stateRoot: string;
  }[];
}

const vectors = readVectors<Vectors>('chain');

for (const [name, crypto] of Object.entries<Crypto>({ pure: pureCrypto, native: nativeCrypto })) {
  describe(`chain vectors, ${name}`, () => {
    const genesis = parseGenesis(crypto, vectors.genesis.json);
    const verifies = ({ message, signature, publicKey }: ReturnType<typeof txCheck>): boolean =>
      crypto.verify(message, signature, publicKey);

    it('genesis', () => {
      assert.equal(toHex(genesis.bytes), vectors.genesis.bytes);
      assert.equal(toHex(genesis.chain.genesisHash), vectors.genesis.hash);
    });

    it('transactions, votes and evidence: bytes, ids and signatures', () => {
      for (const { signBytes, bytes, id } of vectors.transactions) {
        const tx = decodeTransaction(crypto, fromHex(bytes));
        assert.equal(toHex(txSignBytes(genesis.chain, tx)), signBytes);
        assert.equal(toHex(tx.id), id);
        assert.ok(txChecks(genesis.chain, tx).every(verifies));
        const elsewhere = { chainId: 'ait-testnet', genesisHash: genesis.chain.genesisHash };
        assert.equal(verifies(txCheck(elsewhere, tx)), false);
      }
      for (const { signBytes, bytes } of vectors.votes) {
        const check = voteCheck(genesis.chain, decodeVote(fromHex(bytes)));
        assert.equal(toHex(check.message), signBytes);
        assert.ok(verifies(check));
      }
      for (const hex of vectors.evidence) {
        const evidence = decodeEvidence(fromHex(hex));
        checkEvidence(evidence);
        assert.ok(evidenceChecks(genesis.chain, evidence).every(verifies));
      }
    });

    it('agreement and voucher: id, sign bytes and signature', () => {
      const { agreement, voucher } = vectors;
      const id = agreementId(crypto, genesis.chain, fromHex(agreement.client), agreement.nonce);
      assert.equal(toHex(id), agreement.id);
      const fields = { agreement: id, creditUait: Number(voucher.creditUait), seen: fromHex(voucher.seen) };
      const message = voucherSignBytes(genesis.chain, fields);
      assert.equal(toHex(message), voucher.signBytes);
      assert.ok(verifies({ message, signature: fromHex(voucher.signature), publicKey: fromHex(voucher.signer) }));
    });

    it('blocks execute to their receipts and roots', () => {
      const entries = new Map<StateKey, Uint8Array>();
      for (const [key, value] of genesisState(crypto, genesis)) if (value) entries.set(key, value);
      const tree = StateTree.load(
        crypto,
        [...entries].map(([key, value]) => ({ path: statePath(crypto, key), valueHash: crypto.hash(value) })),
      );
      assert.equal(toHex(tree.head.root), vectors.genesis.stateRoot);
      const rules = { chain: genesis.chain, params: genesis.params, crypto };
      let tip: Tip = {
        height: 0,
        blockId: genesisBlockId(genesis),
        timeMs: genesis.timeMs,
        state: { get: (key) => entries.get(key) },
        tree,
        version: tree.head,
      };
      for (const vector of vectors.blocks) {
        const block = decodeBlock(crypto, fromHex(vector.block));
        assert.equal(toHex(encodeBlock(block)), vector.block);
        assert.equal(toHex(blockId(crypto, decodeHeader(fromHex(vector.header)))), vector.blockId);
        const { current } = getSets(tip.state);
        assert.deepEqual(
          current.validators.map(({ publicKey, power, demoted }) => ({ publicKey: toHex(publicKey), power, demoted })),
          vector.validators,
        );
        verifyCertificate(crypto, genesis.chain, current, decodeCertificate(fromHex(vector.certificate)));
        verifyBlock(rules, tip, block);
        const applied = applyBlock(rules, tip, block, {
          has: (tx) => txChecks(genesis.chain, tx).every(verifies),
        });
        assert.deepEqual(
          applied.receipts.map((receipt) => toHex(encodeReceipt(receipt))),
          vector.receipts,
        );
        assert.equal(toHex(applied.version.root), vector.stateRoot);
        for (const [key, value] of applied.changes) {
          if (value) entries.set(key, value);
          else entries.delete(key);
        }
        tree.commit(applied.version);
        const { height, timeMs } = block.header;
        tip = { ...tip, height, timeMs, blockId: applied.blockId, version: applied.version };
      }
    });
  });
}
