/** What one traitor among four validators, or a peer without any key, tries on a node. */
import assert from 'node:assert/strict';
import { equalBytes } from '../../../src/bytes.ts';
import { blockId } from '../../../src/chain/block.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

describe('one traitor among four', () => {
  let node: NodeUnderTest;

  afterEach(() => node.stop());

  async function start(): Promise<void> {
    // Not the proposer of round 0.
    node = new NodeUnderTest({ powers: [1, 1, 1, 1] });
    const self = [0, 1, 2, 3].find((i) => node.proposerAt(0) !== i && node.proposerAt(1) !== i) ?? 0;
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], self });
    await node.start();
  }

  const transfer = (nonce = 0) => makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce });

  it('a proposal of a newer protocol version gets nil and stops nobody from signing', async () => {
    await start();
    const tx = transfer();
    await node.chain.admission.submit([tx], 'peer');
    const built = node.driver.build([tx]);
    const header = { ...built.block.header, version: 2, timeMs: node.clock.now() };
    const forged = { ...built, block: { ...built.block, header }, blockId: blockId(nativeCrypto, header) };
    assert.equal(await node.hearProposal(node.propose(forged)), 'OK');
    assert.deepEqual([...node.chain.gate.reasons.keys()], []);
    const [vote] = node.ownVotes();
    assert.equal(vote?.type, 'prevote');
    assert.equal(vote.blockId, null);
  });

  it('double proposals without end change nothing for an honest proposal', async () => {
    await start();
    const tx = transfer();
    await node.chain.admission.submit([tx], 'peer');
    const fresh = (round: number, plusMs: number) => {
      const built = node.driver.build([tx], [], round);
      const header = { ...built.block.header, timeMs: node.clock.now() + plusMs };
      return node.propose({ ...built, block: { ...built.block, header } }, round);
    };
    // Round 0 belongs to the traitor, round 1 to an honest validator.
    for (let i = 0; i < 20; i++) await node.hearProposal(fresh(0, i));
    await node.hear([0, 1, 2, 3].filter((i) => i !== node.self).map((i) => node.vote(i, 'precommit', 0, null)));
    assert.equal(node.chain.engine.machine.round, 1);
    const honest = fresh(1, 100);
    const heard = node.chain.handlers.gossip.proposal(honest, 'peer');
    for (let i = 20; i < 60; i++) void node.chain.handlers.gossip.proposal(fresh(0, i), 'peer');
    await heard;
    await settle();
    const vote = node.ownVotes().find(({ type, round }) => type === 'prevote' && round === 1);
    assert.deepEqual(vote?.blockId, honest.proposal.blockId);
  });

  it('a block whose proposal was lost is got by its id when votes name it', async () => {
    await start();
    const tx = transfer();
    const built = node.driver.build([tx]);
    const header = { ...built.block.header, timeMs: node.clock.now() };
    const message = node.propose({ ...built, block: { ...built.block, header } });
    const { blockId } = message.proposal;
    const others = [0, 1, 2, 3].filter((i) => i !== node.self);
    const votes = (['prevote', 'precommit'] as const).flatMap((type) =>
      others.map((i) => node.vote(i, type, 0, blockId)),
    );
    await node.hear(votes);
    assert.equal(node.chain.ledger.tip.height, 0);
    node.network.scripts.set('honest', {
      votes: () => ({ votes: [], proposals: [message] }),
      txs: ({ ids }) => (ids.some((id) => equalBytes(id, tx.id)) ? [tx] : []),
    });
    for (let i = 0; i < 4; i++) await node.advance(500);
    assert.equal(node.chain.ledger.tip.height, 1);
    assert.deepEqual(node.chain.ledger.tip.blockId, blockId);
  });

  it('transactions without end that nobody can pay for leave an idle chain idle', async () => {
    await start();
    const [fee] = [transfer().feeUait];
    // The balance is spent by the first, and the second could only be paid before.
    const rich = makeTransfer(node.genesis, {
      from: 'account-0',
      to: 'account-1',
      nonce: 0,
      amountUait: 1_000_000_000 - fee - 1,
    });
    assert.deepEqual(await node.chain.admission.submit([transfer(1), rich], 'client'), [null, null]);
    const { block } = node.driver.commit([rich]);
    assert.ok(node.driver.certificate);
    await node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block, certificate: node.driver.certificate }]));
    assert.equal(node.chain.pool.size, 1);
    for (let i = 0; i < 10; i++) await node.advance(1_000);
    assert.equal(node.chain.engine.machine.step, 'idle');
  });
});
