import assert from 'node:assert/strict';
import type { Evidence } from '../../../src/chain/evidence.ts';
import { duplicateProposal, duplicateVote } from '../../../src/chain/evidence.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { getKeyRecord } from '../../../src/chain/modules/validators-state.ts';
import { EvidencePool, MAX_PENDING_EVIDENCE } from '../../../src/engine/evidence-pool.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { makeTransfer, signer } from '../../util/chain-fixture.ts';
import { NodeUnderTest } from './node-under-test.ts';

describe('evidence pool', () => {
  let node: NodeUnderTest;

  async function start(validators = 4): Promise<EvidencePool> {
    node = new NodeUnderTest({ powers: Array.from({ length: validators }, () => 1), self: null });
    await node.start();
    return new EvidencePool(node.chain.ledger, node.verifier);
  }

  afterEach(() => node.stop());

  function double(i: number, { height = 1, round = 0 } = {}): Evidence {
    const [a, b] = [1, 2].map((n) => node.vote(i, 'precommit', round, new Uint8Array(32).fill(n), height));
    assert.ok(a && b);
    return duplicateVote(a, b);
  }

  it('OK once a key, DUPLICATE after that', async () => {
    const pool = await start();
    assert.equal(await pool.add(double(0)), 'OK');
    assert.equal(await pool.add(double(0)), 'DUPLICATE');
    assert.equal(await pool.add(double(0, { round: 7 })), 'DUPLICATE');
    assert.deepEqual(pool.pending(), [double(0)]);
  });

  it('MALFORMED where nothing contradicts, before any signature is verified', async () => {
    const pool = await start();
    const before = node.verifier.checked;
    const vote = node.vote(0, 'prevote', 0, null);
    assert.equal(await pool.add({ kind: 'duplicate-vote', a: vote, b: vote }), 'MALFORMED');
    const { a, b } = double(0) as Evidence & { kind: 'duplicate-vote' };
    assert.equal(await pool.add({ kind: 'duplicate-vote', a: b, b: a }), 'MALFORMED', 'the other order');
    assert.equal(await pool.add({ kind: 'duplicate-vote', a, b: { ...b, round: 1 } }), 'MALFORMED');
    const message = node.propose(node.driver.build());
    assert.equal(await pool.add(duplicateProposal(message.proposal, message.proposal)), 'MALFORMED');
    assert.equal(node.verifier.checked, before);
  });

  it('STALE for strangers and heights to come', async () => {
    const pool = await start();
    const [a, b] = [1, 2].map((n) => node.driver.vote(signer('stranger'), 1, 0, new Uint8Array(32).fill(n)));
    assert.ok(a && b);
    assert.equal(await pool.add(duplicateVote(a, b)), 'STALE');
    assert.equal(await pool.add(double(0, { height: 2 })), 'STALE');
  });

  it('STALE, and forgotten, when it is too old for a block', async () => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], self: null, params: { evidence_max_age_blocks: 2 } });
    await node.start();
    const pool = new EvidencePool(node.chain.ledger, node.verifier);
    const old = [double(0), double(1)] as const;
    assert.equal(await pool.add(old[0]), 'OK');
    for (let nonce = 0; nonce < 3; nonce++) {
      assert.equal(pool.size, 1);
      const { block } = node.driver.commit([
        makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, validUntilHeight: 10_000 }),
      ]);
      const { certificate } = node.driver;
      assert.ok(certificate);
      await node.chain.admission.verifyBodies(block.txs);
      assert.equal((await node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block, certificate }]))).count, 1);
      pool.onCommitted();
    }
    assert.equal(pool.size, 0);
    assert.equal(await pool.add(old[1]), 'STALE');
  });

  it('BAD_SIGNATURE for a forgery, which leaves room for the truth', async () => {
    const pool = await start();
    const { a, b } = double(0) as Evidence & { kind: 'duplicate-vote' };
    const forged = duplicateVote(a, { ...b, signature: new Uint8Array(64) });
    assert.equal(await pool.add(forged), 'BAD_SIGNATURE');
    assert.equal(await pool.add(double(0)), 'OK');
  });

  it('what a block used while it was verified is not kept: it would wake the chain for nothing', async () => {
    const pool = await start();
    let open: () => void = () => undefined;
    node.verifier.gate = new Promise((resolve) => {
      open = resolve;
    });
    const adding = pool.add(double(0));
    const { block } = node.driver.commit([], [double(0)]);
    const { certificate } = node.driver;
    assert.ok(certificate);
    const importing = node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block, certificate }]));
    node.verifier.gate = Promise.resolve();
    open();
    await importing;
    assert.ok(getKeyRecord(node.chain.ledger.tip.state, node.key(0).publicKey)?.convicted);
    // The verifier answered before the import; judged again, both orders end well.
    const code = await adding;
    pool.onCommitted();
    assert.ok(code === 'STALE' || code === 'OK');
    assert.equal(pool.size, 0);
  });

  it('forgets after a block what it convicted', async () => {
    const pool = await start();
    await pool.add(double(0));
    await pool.add(double(1));
    const { block } = node.driver.commit([], [double(0)]);
    assert.ok(node.driver.certificate);
    await node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block, certificate: node.driver.certificate }]));
    pool.onCommitted();
    assert.deepEqual(pool.pending(), [double(1)]);
    assert.equal(await pool.add(double(0)), 'STALE');
  });

  it(`bound: ${MAX_PENDING_EVIDENCE} pieces wait, 16 a block`, async () => {
    const pool = await start(MAX_PENDING_EVIDENCE + 1);
    for (let i = 0; i < MAX_PENDING_EVIDENCE; i++) assert.equal(await pool.add(double(i)), 'OK');
    assert.equal(await pool.add(double(MAX_PENDING_EVIDENCE)), 'REFUSED');
    assert.equal(pool.size, MAX_PENDING_EVIDENCE);
    assert.equal(pool.pending().length, 16);
  });
});
