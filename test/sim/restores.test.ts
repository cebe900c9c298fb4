import assert from 'node:assert/strict';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { createValidatorSet } from '../../src/chain/validator-set.ts';
import { chainOf, filled } from '../unit/store/fixtures.ts';
import type { Witness } from './restores.ts';
import { isFoundOut } from './restores.ts';
import { StoredChain } from './store.ts';

function setOf(count: number): ValidatorSet {
  const rest = { power: 1, operator: filled(0, 20), priority: 0, demoted: false };
  return createValidatorSet(
    Array.from({ length: count }, (_, i) => ({ ...rest, publicKey: filled(i + 1), name: `validator-${i}` })),
  );
}

/** The first and the third of the validators certify every block. */
function diskAt(height: number): Witness {
  const stored = new StoredChain();
  for (const block of chainOf(height)) stored.put(block);
  return { stored, power: 1 };
}

describe('restored folders', () => {
  it('one of three is found out where each of the others holds a later certificate with its signature', () => {
    const set = setOf(3);
    const copy = { publicKey: filled(1), height: 4 };
    assert.ok(isFoundOut(copy, [diskAt(9), diskAt(6)], 1, set));
    assert.ok(!isFoundOut(copy, [diskAt(9), diskAt(0)], 1, set), 'one was away');
    assert.ok(!isFoundOut(copy, [diskAt(9), diskAt(5)], 1, set), 'the guard in the copy may know the height in work');
    assert.ok(!isFoundOut({ ...copy, publicKey: filled(2) }, [diskAt(9), diskAt(9)], 1, set), 'it certified nothing');
  });

  it('one of four is found out where no quorum with it was away; two of four are too many', () => {
    const copy = { publicKey: filled(1), height: 4 };
    assert.ok(isFoundOut(copy, [diskAt(9), diskAt(9), diskAt(0)], 1, setOf(4)));
    assert.ok(
      !isFoundOut(copy, [diskAt(9), diskAt(0), diskAt(0)], 1, setOf(4)),
      'two who were away are a quorum with it',
    );
    assert.ok(!isFoundOut(copy, [diskAt(9), diskAt(9)], 2, setOf(4)));
  });
});
