/** What one traitor among four validators, or a peer without any key, tries on a node. */
import assert from 'node:assert/strict';
import { blockId } from '../../../src/chain/block.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { NodeUnderTest } from './node-under-test.ts';

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
});
