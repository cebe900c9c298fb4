/** What a validator signs after crashes, copies and refusals. */
import assert from 'node:assert/strict';
import { bytesKey } from '../../../src/bytes.ts';
import type { AppliedBlock } from '../../../src/chain/execute.ts';
import type { Vote } from '../../../src/chain/votes.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { MemoryDisk } from '../store/memory-disk.ts';
import { NodeUnderTest, settle, TIMEOUTS } from './node-under-test.ts';

describe('a validator', () => {
  let node: NodeUnderTest;
  let self: number;
  let others: number[];

  beforeEach(() => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1] });
    // Not the proposer of the first rounds.
    self = [3, 2, 1, 0].find((i) => node.proposerAt(0) !== i && node.proposerAt(1) !== i) ?? 0;
    others = [0, 1, 2, 3].filter((i) => i !== self);
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], self });
  });

  afterEach(() => node.stop());

  async function proposeBlock(round = 0): Promise<AppliedBlock> {
    const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    await node.chain.admission.submit([tx], 'peer');
    const built = node.driver.build([tx]);
    const header = { ...built.block.header, timeMs: node.clock.now() };
    const applied = { ...built, block: { ...built.block, header } };
    const message = node.propose(applied, round);
    assert.equal(await node.hearProposal(message), 'OK');
    return { ...applied, block: { ...applied.block, header: message.header }, blockId: message.proposal.blockId };
  }

  const brief = (votes: readonly Vote[]): string[] =>
    votes.map(({ type, round, blockId }) => `${type} ${round} ${blockId ? 'block' : 'nil'}`);

  /** Nothing is signed twice: at most one vote a (type, round), over all that this key ever published. */
  function assertNoDouble(): void {
    const votes = node.ownVotes();
    const slots = votes.map(({ height, type, round }) => `${height} ${type} ${round}`);
    assert.equal(new Set(slots).size, slots.length, brief(votes).join());
  }

  it('locked before a crash, does not vote for another block without a later polka', async () => {
    await node.start();
    const first = await proposeBlock();
    await node.hear(others.slice(0, 2).map((i) => node.vote(i, 'prevote', 0, first.blockId)));
    assert.deepEqual(brief(node.ownVotes()), ['prevote 0 block', 'precommit 0 block']);
    await node.stop();
    await node.start();
    // The others precommitted nil and go on with another block.
    await node.hear(others.map((i) => node.vote(i, 'precommit', 0, null)));
    assert.equal(node.chain.engine.machine.round, 1);
    assert.equal(node.chain.engine.machine.lockedRound, 0);
    const second = await proposeBlock(1);
    assert.notDeepEqual(second.blockId, first.blockId);
    assert.deepEqual(brief(node.ownVotes()).slice(2), ['prevote 1 nil']);
    assertNoDouble();
  });

  it('killed between any two writes of the guard, signs nothing twice', async () => {
    for (let writes = 1; writes < 8; writes++) {
      node = new NodeUnderTest({ powers: [1, 1, 1, 1], self });
      let left = writes;
      node.disk.onWrite = () => {
        if (left-- <= 0) throw new Error('killed');
      };
      await node.start();
      const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
      await node.chain.admission.submit([tx], 'peer');
      const applied = await proposeBlock();
      await node.hear(others.slice(0, 2).map((i) => node.vote(i, 'prevote', 0, applied.blockId)));
      await node.stop();
      node.disk.onWrite = () => undefined;
      await node.start();
      const again = await proposeBlock(1);
      await node.hear(others.map((i) => node.vote(i, 'prevote', 0, null)));
      await node.hear(others.map((i) => node.vote(i, 'prevote', 1, again.blockId)));
      for (let i = 0; i < 10; i++) await node.advance(TIMEOUTS.capMs);
      assertNoDouble();
      assert.deepEqual(
        node.fatal.filter(({ code }) => code !== 'STORAGE'),
        [],
      );
      await node.stop();
    }
    await node.start();
  });

  it('in a restored folder, learns its forgotten lock from peers and goes on, also before it has that block', async () => {
    await node.start();
    const first = await proposeBlock();
    await node.hear(others.slice(0, 2).map((i) => node.vote(i, 'prevote', 0, first.blockId)));
    const signed = node.ownVotes();
    const proposal = node.chain.engine.proposals.at(0)?.message;
    assert.ok(proposal);
    await node.stop();
    node.disk = new MemoryDisk();
    node.network.published.length = 0;
    await node.start();
    await node.hear(signed);
    assert.equal(node.chain.engine.machine.lockedRound, 0);
    await node.hear(others.map((i) => node.vote(i, 'precommit', 0, null)));
    for (let i = 0; i < 5; i++) await node.advance(TIMEOUTS.capMs);
    assert.deepEqual(node.fatal, []);
    // The block comes, and with it the votes.
    await node.hearProposal(proposal);
    await node.hear(others.map((i) => node.vote(i, 'precommit', 4, null)));
    await node.advance(TIMEOUTS.capMs);
    assert.deepEqual(node.fatal, []);
    const later = node
      .ownVotes()
      .filter(({ signature }) => !signed.some((s) => bytesKey(s.signature) === bytesKey(signature)));
    assert.ok(later.length > 0 && later.every(({ round }) => round > 0), brief(later).join());
    assertNoDouble();
  });

  it('told by its guard that it would sign twice, signs nothing more at this height', async () => {
    await node.start();
    const first = await proposeBlock();
    node.chain.gate.floorHeight = 1;
    await node.hear(others.slice(0, 2).map((i) => node.vote(i, 'prevote', 0, first.blockId)));
    assert.deepEqual(brief(node.ownVotes()), ['prevote 0 block']);
  });

  it('says its votes again and asks for what it lacks after half a second of one height, not of two', async () => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], self, params: { min_block_interval_ms: 200 } });
    const asked = (): number => node.network.asked.filter(({ method }) => method === 'votes').length;
    const repeated = (): number => node.network.of('vote').filter(({ attempt }) => attempt > 0).length;
    node.network.scripts.set('peer', { votes: () => ({ votes: [], proposals: [] }) });
    await node.start();
    await node.advance(5_000);
    const before = asked();
    const { blockId } = await proposeBlock();
    await node.advance(300);
    for (const type of ['prevote', 'precommit'] as const) {
      await node.hear(others.slice(0, 2).map((i) => node.vote(i, type, 0, blockId)));
    }
    assert.equal(node.chain.ledger.tip.height, 1);
    await node.hear([node.vote(others[0] ?? 0, 'prevote', 0, null, 2)]);
    await node.advance(300);
    assert.notEqual(node.chain.engine.machine.step, 'idle');
    assert.deepEqual([asked() - before, repeated()], [0, 0]);
    await node.advance(500);
    assert.equal(asked() - before, 1);
    await node.advance(500);
    assert.equal(asked() - before, 2);
    assert.ok(repeated() > 0);
  });

  it('signs nothing from the moment the gate closes', async () => {
    await node.start();
    const first = await proposeBlock();
    const vote = others.slice(0, 2).map((i) => node.vote(i, 'prevote', 0, first.blockId));
    const heard = node.chain.handlers.gossip.vote({ attempt: 0, votes: vote }, 'peer');
    node.chain.gate.set('catching-up', 'test');
    await heard;
    await settle();
    assert.deepEqual(brief(node.ownVotes()), ['prevote 0 block']);
    node.chain.gate.clear('catching-up');
    await settle();
    assert.deepEqual(brief(node.ownVotes()), ['prevote 0 block', 'precommit 0 block']);
    assertNoDouble();
  });
});
