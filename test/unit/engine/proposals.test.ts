import assert from 'node:assert/strict';
import type { ProposalMessage } from '../../../protocols/messages.ts';
import { PAST_ROUNDS } from '../../../src/consensus/votes.ts';
import type { HeardProposal } from '../../../src/engine/proposals.ts';
import { Proposals } from '../../../src/engine/proposals.ts';

const id = (n: number): Uint8Array => new Uint8Array(32).fill(n);

function heard(round: number, block: number): HeardProposal {
  const signature = new Uint8Array(64).fill(block).fill(round, 32);
  const proposal = { height: 1, round, polRound: -1, blockId: id(block), proposer: id(200), signature };
  return { message: { proposal } as unknown as ProposalMessage, from: 'peer', timely: true };
}

describe('proposals of a height', () => {
  it('bound: one a round, whatever its proposer signs', () => {
    const book = new Proposals();
    assert.ok(book.add(heard(0, 1)));
    for (let block = 2; block < 100; block++) assert.ok(!book.add(heard(0, block)));
    assert.equal(book.size, 1);
    assert.equal(book.find(id(1)), book.at(0));
    assert.ok(book.isSpent(heard(0, 100).message));
    assert.ok(!book.isSpent(heard(1, 100).message));
  });

  it('a second one is kept when votes named its block', () => {
    const book = new Proposals();
    book.add(heard(0, 1));
    book.add(heard(0, 2));
    book.want(id(3));
    assert.ok(!book.isSpent(heard(0, 3).message));
    assert.ok(book.add(heard(0, 3)));
    assert.ok(!book.wants(id(3)));
    assert.deepEqual(book.find(id(3))?.message.proposal.blockId, id(3));
    assert.ok(book.isKnown(heard(0, 3).message) && !book.isKnown(heard(0, 2).message));
    assert.equal(book.all().length, 2);
  });

  it('bound: rounds left behind, except of values held', () => {
    const book = new Proposals();
    for (let round = 0; round < 200; round++) {
      book.add(heard(round, round));
      book.prune(round, (block) => block[0] === 5);
      assert.ok(book.size <= PAST_ROUNDS + 2);
    }
    assert.deepEqual(book.find(id(5)), book.at(5));
    assert.equal(book.at(6), undefined);
  });
});
