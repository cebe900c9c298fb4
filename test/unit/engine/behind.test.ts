/** One block behind, a node has nothing but the messages of others to learn it from soon. */
import assert from 'node:assert/strict';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

describe('a node one block behind', () => {
  let node: NodeUnderTest;

  beforeEach(() => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], self: null });
  });

  afterEach(() => node.stop());

  it('asks again at each vote of the height after next, known or not, when the first question was lost', async () => {
    const { block } = node.driver.commit([
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 }),
    ]);
    const { certificate } = node.driver;
    assert.ok(certificate);
    let isLost = true;
    const { height } = block.header;
    node.network.scripts.set('peer', {
      status: (own) => (isLost ? Promise.reject(new Error('lost')) : { ...own, height }),
      blocks: () => (isLost ? Promise.reject(new Error('lost')) : [{ block, certificate }]),
    });
    await node.start();
    const vote = node.vote(0, 'prevote', 0, null, height + 1);
    assert.equal(await node.hear([vote]), 'OK');
    for (let i = 0; i < 3; i++) {
      node.clock.advance(2_000);
      await settle();
    }
    assert.equal(node.chain.ledger.tip.height, 0);
    isLost = false;
    assert.equal(await node.hear([vote]), 'DUPLICATE');
    for (let i = 0; i < 5 && node.chain.ledger.tip.height === 0; i++) {
      node.clock.advance(2_000);
      await settle();
    }
    assert.equal(node.chain.ledger.tip.height, height);
  });
});
