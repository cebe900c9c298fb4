import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checkEvidence } from '../../../src/chain/evidence.ts';
import type { Vote } from '../../../src/chain/votes.ts';
import { startHeight, step } from '../../../src/consensus/machine.ts';
import {
  hasVote,
  justification,
  ownVotes,
  polkaCertificate,
  proposals,
  votesFrom,
} from '../../../src/consensus/selectors.ts';
import type { Input } from '../../../src/consensus/types.ts';
import { FUTURE_ROUNDS, PAST_ROUNDS, VoteKeeper } from '../../../src/consensus/votes.ts';
import { FOUR, heightStart, HEIGHT, id, inputsFor, key, letter, play, setOf } from './table.ts';

const inputs = inputsFor(FOUR);
const { vote, work, proposal, prevote, precommit, selfVote, certificate, validated, timeout } = inputs;
const show = ({ type, round, validator, blockId }: Vote): string =>
  `${type} ${round} ${letter(blockId)} by ${(validator[0] ?? 0) - 1}`;

function keeperOf(votes: readonly Vote[], round = 0): VoteKeeper {
  const keeper = new VoteKeeper(FOUR);
  keeper.advance(round, new Set());
  for (const each of votes) keeper.add(each);
  return keeper;
}

describe('consensus votes', () => {
  it('count each validator once, whatever is repeated', () => {
    const keeper = keeperOf([vote('prevote', 0, 0, 'A'), vote('prevote', 0, 0, 'A', 9), vote('prevote', 1, 0, 'A')]);
    assert.equal(keeper.tally('prevote', 0)?.power, 2);
    assert.equal(keeper.hasPolka(0, id('A')), false);
    keeper.add(vote('prevote', 2, 0, 'A'));
    assert.equal(keeper.hasPolka(0, id('A')), true);
  });

  it('ignore strangers', () => {
    const keeper = keeperOf([0, 1, 2].map((i) => ({ ...vote('prevote', i, 0, 'A'), validator: key(FOUR, 40 + i) })));
    assert.equal(keeper.tally('prevote', 0), undefined);
    assert.equal(keeper.skipTarget(), null);
  });

  it('turn a contradiction into evidence once, in either order of arrival the same', () => {
    const [a, b] = [vote('prevote', 0, 0, 'A'), vote('prevote', 0, 0, null)];
    const found = [
      [a, b],
      [b, a],
    ].map((pair) => {
      const keeper = new VoteKeeper(FOUR);
      const evidence = pair.map((each) => keeper.add(each));
      assert.equal(evidence[0], null);
      assert.equal(keeper.add(vote('prevote', 0, 0, 'C')), null);
      assert.ok(evidence[1]);
      checkEvidence(evidence[1]);
      return evidence[1];
    });
    assert.deepEqual(found[0], found[1]);
  });

  it('let a contradicting vote count only for an id that more than a third supports first', () => {
    const keeper = keeperOf([vote('prevote', 0, 0, 'X'), vote('prevote', 0, 0, 'A')]);
    assert.equal(keeper.has(vote('prevote', 0, 0, 'A')), false);
    keeper.add(vote('prevote', 1, 0, 'A'));
    keeper.add(vote('prevote', 0, 0, 'A'));
    assert.equal(keeper.has(vote('prevote', 0, 0, 'A')), false);
    keeper.add(vote('prevote', 2, 0, 'A'));
    keeper.add(vote('prevote', 0, 0, 'A'));
    assert.equal(keeper.has(vote('prevote', 0, 0, 'A')), true);
    assert.equal(keeper.hasPolka(0, id('A')), true);
    assert.equal(keeper.tally('prevote', 0)?.power, 3);
  });

  it('keep of far rounds the highest only, and take it in once the window reaches it', () => {
    const far = FUTURE_ROUNDS + 1;
    const keeper = keeperOf([
      vote('prevote', 0, far, 'A'),
      vote('prevote', 0, far + 5, 'B'),
      vote('prevote', 0, far + 2, 'C'),
    ]);
    assert.deepEqual(keeper.all().map(show), [`prevote ${far + 5} B by 0`]);
    keeper.advance(10, new Set());
    assert.equal(keeper.tally('prevote', far + 5)?.power, 1);
    assert.deepEqual(keeper.all().map(show), [`prevote ${far + 5} B by 0`]);
  });

  it('forget rounds behind the window unless they are pinned', () => {
    const keeper = keeperOf([vote('prevote', 0, 1, 'A'), vote('prevote', 0, 2, 'A')]);
    keeper.advance(PAST_ROUNDS + 3, new Set([2]));
    assert.equal(keeper.tally('prevote', 1), undefined);
    assert.equal(keeper.tally('prevote', 2)?.power, 1);
    keeper.add(vote('prevote', 1, 1, 'A'));
    assert.equal(keeper.tally('prevote', 1), undefined);
  });

  it('keep nothing without bound when a traitor sprays rounds and ids', () => {
    let { state } = startHeight(heightStart(FOUR, 3));
    let evidence = 0;
    const block = (n: number): Uint8Array => {
      const bytes = new Uint8Array(32);
      new DataView(bytes.buffer).setUint32(0, n);
      return bytes;
    };
    const send = (input: Input): void => {
      const turn = step(state, input);
      state = turn.state;
      evidence += turn.effects.filter((effect) => effect.type === 'evidence').length;
    };
    for (let n = 0; n < 100_000; n++) {
      const round = n % 3 === 0 ? n % 12 : n;
      const core = { height: HEIGHT, round, blockId: block(n), signature: new Uint8Array(64) };
      send({ type: 'vote', vote: { ...core, type: n % 2 === 0 ? 'prevote' : 'precommit', validator: key(FOUR, 0) } });
      if (n % 5 === 0) send({ type: 'proposal', proposal: { ...core, polRound: -1, proposer: key(FOUR, 0) } });
    }
    assert.equal(state.round, 0);
    assert.ok(state.votes.all().length <= 2 * (FUTURE_ROUNDS + 2), 'votes');
    assert.ok(proposals(state).length <= FUTURE_ROUNDS + 1, 'proposals');
    assert.ok(state.candidates.size <= 1, 'candidates');
    assert.ok(evidence <= 3 * (FUTURE_ROUNDS + 1), 'evidence');
  });

  it('keep nothing without bound through many rounds, each with a proposal and a polka', () => {
    const one = setOf([1, 1, 1, 1, 1, 1, 1]);
    const seven = inputsFor(one);
    let { state } = startHeight(heightStart(one, 6));
    for (let round = 0; round < 300; round++) {
      const name = String.fromCharCode(65 + (round % 50));
      const turn: Input[] = [seven.proposal(round, name), seven.validated(name)];
      for (let v = 0; v < 5; v++) turn.push(seven.prevote(v, round, name));
      for (let v = 0; v < 5; v++) turn.push(seven.precommit(v, round, null));
      for (const input of turn) state = step(state, input).state;
    }
    assert.equal(state.round, 300);
    assert.ok(state.votes.all().length <= 10 * (PAST_ROUNDS + 2));
    assert.ok(proposals(state).length <= PAST_ROUNDS + 1);
    assert.ok(state.candidates.size <= 50);
  });

  it('give the same states and effects for the same inputs', () => {
    const names = fc.constantFrom('A', 'B', null);
    const someVote = fc
      .tuple(fc.constantFrom('prevote', 'precommit'), fc.nat(4), fc.nat(12), names)
      .map(
        ([type, v, round, name]): Input => (type === 'prevote' ? prevote(v, round, name) : precommit(v, round, name)),
      );
    const someOther = fc.oneof(
      fc.tuple(fc.nat(12), fc.constantFrom('A', 'B')).map(([round, name]) => proposal(round, name)),
      fc.tuple(fc.constantFrom('A', 'B'), fc.boolean(), fc.boolean()).map(([n, v, t]) => validated(n, v, t)),
      fc.tuple(fc.constantFrom('propose', 'prevote', 'precommit'), fc.nat(3)).map(([kind, r]) => timeout(kind, r)),
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(someVote, someOther), { maxLength: 80 }), (sequence) => {
        const [first, second] = [play(heightStart(FOUR, 3), sequence), play(heightStart(FOUR, 3), sequence)];
        assert.deepEqual(first.effects, second.effects);
        assert.deepEqual(first.state.votes.all(), second.state.votes.all());
      }),
      { numRuns: 300 },
    );
  });

  it('sign each slot once and upwards only, whatever comes in', () => {
    const names = fc.constantFrom('A', 'B', null);
    const any = fc.oneof(
      fc.tuple(fc.nat(4), fc.nat(5), names).map(([v, r, name]) => prevote(v, r, name)),
      fc.tuple(fc.nat(4), fc.nat(5), names).map(([v, r, name]) => precommit(v, r, name)),
      fc
        .tuple(fc.nat(5), fc.constantFrom('A', 'B'), fc.integer({ min: -1, max: 4 }))
        .map(([r, n, p]) => proposal(r, n, p)),
      fc.tuple(fc.constantFrom('A', 'B'), fc.boolean()).map(([n, v]) => validated(n, v)),
      fc.tuple(fc.nat(5), fc.constantFrom('A', 'B')).map(([r, n]) => inputs.built(r, n)),
      fc.tuple(fc.constantFrom('propose', 'prevote', 'precommit'), fc.nat(5)).map(([kind, r]) => timeout(kind, r)),
    );
    fc.assert(
      fc.property(fc.array(any, { maxLength: 120 }), fc.nat(3), (sequence, self) => {
        let { state } = startHeight(heightStart(FOUR, self));
        let last = -1;
        for (const input of sequence) {
          const turn = step(state, input);
          state = turn.state;
          for (const effect of turn.effects) {
            if (effect.type !== 'vote' && effect.type !== 'propose') continue;
            const order = effect.type === 'propose' ? 0 : effect.voteType === 'prevote' ? 1 : 2;
            const slot = effect.round * 3 + order;
            assert.ok(slot > last, `signed ${slot} after ${last}`);
            last = slot;
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('consensus selectors', () => {
  const polka = [0, 1, 2].map((v) => prevote(v, 0, 'A'));

  it('polkaCertificate proves the valid value, null without one', () => {
    const before = play(heightStart(FOUR, 3), [work]).state;
    assert.equal(polkaCertificate(before), null);
    const after = play(heightStart(FOUR, 3), [proposal(0, 'A'), validated('A'), ...polka]).state;
    const found = polkaCertificate(after);
    assert.deepEqual([found?.type, found?.round, found?.signers], ['prevote', 0, [0, 1, 2]]);
  });

  it('justification moves another node into the round: by precommits of the round before', () => {
    const precommits = [precommit(0, 0, 'A'), precommit(1, 0, null), precommit(2, 0, null)];
    const { state } = play(heightStart(FOUR, 3), [work, ...precommits, timeout('precommit', 0)]);
    assert.equal(state.round, 1);
    const votes = justification(state);
    assert.deepEqual(votes.map(show), ['precommit 0 A by 0', 'precommit 0 nil by 1', 'precommit 0 nil by 2']);
    const other = play(
      heightStart(FOUR, 2),
      votes.map((each): Input => ({ type: 'vote', vote: each })),
    );
    assert.ok(other.effects.includes('timer precommit 0'));
  });

  it('justification after a skip: the votes of more than a third', () => {
    const { state } = play(heightStart(FOUR, 3), [work, prevote(0, 20, 'A'), precommit(1, 21, null)]);
    assert.equal(state.round, 20);
    const votes = justification(state);
    assert.deepEqual(votes.map(show), ['precommit 21 nil by 1', 'prevote 20 A by 0']);
    const other = play(
      heightStart(FOUR, 2),
      votes.map((each): Input => ({ type: 'vote', vote: each })),
    );
    assert.equal(other.state.round, 20);
  });

  it('justification of round 0 is empty', () => {
    assert.deepEqual(justification(play(heightStart(FOUR, 3), [work]).state), []);
  });

  it('votesFrom: precommits for blocks of any round, the polka of the valid value, rounds from the asked one; capped', () => {
    const { state } = play(heightStart(FOUR, 3), [
      proposal(0, 'A'),
      validated('A'),
      ...polka,
      precommit(0, 0, 'A'),
      ...[0, 1, 2].map((v) => precommit(v, 1, null)),
      prevote(1, 2, null),
      prevote(3, 1, null),
    ]);
    assert.equal(state.round, 2);
    const all = [
      'precommit 0 A by 0',
      'prevote 0 A by 0',
      'prevote 0 A by 1',
      'prevote 0 A by 2',
      'prevote 2 nil by 1',
    ];
    assert.deepEqual(votesFrom(state, 2, 100).map(show), all);
    assert.deepEqual(votesFrom(state, 2, 2).map(show), all.slice(0, 2));
    assert.equal(votesFrom(state, 1, 100).length, all.length + 4);
  });

  it('hasVote, ownVotes and proposals', () => {
    const { state } = play(heightStart(FOUR, 3), [proposal(1, 'B'), proposal(0, 'A'), selfVote('prevote', 3, 0, 'A')]);
    assert.equal(hasVote(state, vote('prevote', 3, 0, 'A')), true);
    assert.equal(hasVote(state, vote('prevote', 3, 0, null)), false);
    assert.deepEqual(ownVotes(state).map(show), ['prevote 0 A by 3']);
    assert.deepEqual(
      proposals(state).map(({ round }) => round),
      [0, 1],
    );
  });

  it('a certificate counts as its votes do', () => {
    const byVotes = play(heightStart(FOUR, 3), [proposal(0, 'A'), validated('A'), ...polka]);
    const byCertificate = play(heightStart(FOUR, 3), [
      proposal(0, 'A'),
      validated('A'),
      certificate('prevote', [0, 1, 2], 0, 'A'),
    ]);
    assert.deepEqual(byVotes.effects, byCertificate.effects);
  });
});
