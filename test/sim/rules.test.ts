import assert from 'node:assert/strict';
import { proposalSignBytes, voteSignBytes } from '../../src/chain/votes.ts';
import type { Electorate, Signed } from './rules.ts';
import { AgreementRules, readSignBytes } from './rules.ts';

const [A, B] = ['aa', 'bb'];
const KEYS = ['k0', 'k1', 'k2', 'k3'];

/** Four of equal power, the last a traitor; k0 proposes in round 0, k1 in round 1, and so on. */
const FOUR: Electorate = {
  members: KEYS.map((key) => ({ key, power: 1, isTraitor: key === 'k3' })),
  proposer: (round) => KEYS[round % KEYS.length] ?? '',
};

function at(kind: Signed['kind'], round: number, blockId: string | null, polRound = -1): Signed {
  return { kind, height: 1, round, polRound, blockId };
}

/** Signs it, and says it. */
function say(rules: AgreementRules, key: string, signed: Signed): string | null {
  rules.onSigned(key, signed, true);
  return rules.judge(key, signed, FOUR);
}

/** k0 locked on A in round 0, and all left that round. */
function locked(): AgreementRules {
  const rules = new AgreementRules();
  say(rules, 'k0', at('proposal', 0, A));
  for (const key of ['k0', 'k1']) assert.equal(say(rules, key, at('prevote', 0, A)), null);
  assert.equal(say(rules, 'k0', at('precommit', 0, A)), null);
  for (const key of ['k1', 'k2']) assert.equal(say(rules, key, at('precommit', 0, null)), null);
  return rules;
}

describe('rules of agreement', () => {
  it('a lock holds against a fresh proposal, not against a later polka', () => {
    const rules = locked();
    assert.equal(say(rules, 'k1', at('proposal', 1, B)), null);
    assert.match(say(rules, 'k0', at('prevote', 1, B)) ?? '', /against its lock of round 0/);
    for (const key of ['k1', 'k2']) assert.equal(say(rules, key, at('prevote', 1, B)), null);
    for (const key of ['k1', 'k2']) assert.equal(say(rules, key, at('precommit', 1, B)), null);
    assert.equal(say(rules, 'k2', at('proposal', 2, B, 1)), null);
    assert.equal(say(rules, 'k0', at('prevote', 2, B)), null);
  });

  it('a node whose folder was restored may have lost a lock that nobody heard of', () => {
    const rules = locked();
    rules.onForgotten('k0', 1);
    say(rules, 'k1', at('proposal', 1, B));
    assert.equal(say(rules, 'k0', at('prevote', 1, B)), null);
  });

  it('a round is entered by a quorum of precommits or by more than a third ahead', () => {
    const rules = new AgreementRules();
    assert.match(say(rules, 'k0', at('prevote', 5, null)) ?? '', /nothing leads to/);
    assert.equal(say(rules, 'k1', at('prevote', 5, null)), null);
    assert.equal(say(locked(), 'k1', at('prevote', 1, null)), null);
  });

  it('a precommit and a repeated proposal need a polka', () => {
    const rules = locked();
    assert.match(say(rules, 'k2', at('precommit', 0, B)) ?? '', /without a polka/);
    assert.match(say(rules, 'k1', at('proposal', 1, B, 0)) ?? '', /nobody can have/);
    assert.equal(say(rules, 'k1', at('proposal', 1, A, 0)), null);
  });

  it('a prevote is for what was proposed, and never for an invalid block', () => {
    const rules = new AgreementRules();
    say(rules, 'k0', at('proposal', 0, A));
    assert.match(say(rules, 'k1', at('prevote', 0, B)) ?? '', /did not propose/);
    rules.onInvalid(A);
    assert.match(say(rules, 'k1', at('prevote', 0, A)) ?? '', /invalid block/);
  });

  it('reads the bytes that are signed', () => {
    const chain = { chainId: 'ait-test', genesisHash: new Uint8Array(32).fill(7) };
    const blockId = new Uint8Array(32).fill(0xab);
    const vote = { type: 'precommit', height: 12, round: 3, blockId } as const;
    const hex = 'ab'.repeat(32);
    const read = { height: 12, round: 3, polRound: -1, blockId: hex };
    assert.deepEqual(readSignBytes(voteSignBytes(chain, vote)), { ...read, kind: 'precommit' });
    const nil = readSignBytes(voteSignBytes(chain, { ...vote, type: 'prevote', blockId: null }));
    assert.deepEqual(nil, { ...read, kind: 'prevote', blockId: null });
    const proposal = { height: 12, round: 3, polRound: 1, blockId };
    assert.deepEqual(readSignBytes(proposalSignBytes(chain, proposal)), { ...read, kind: 'proposal', polRound: 1 });
  });
});
