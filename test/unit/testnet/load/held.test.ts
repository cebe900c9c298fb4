import assert from 'node:assert/strict';
import type { Held } from '../../../../testnet/load/held.ts';
import { HeldTransfers } from '../../../../testnet/load/held.ts';

const item = (sender: number, order: number): Held => ({ sender, order });

describe('transfers refused for the moment', () => {
  it('the first of a sender is due again after the wait, the others once it is taken, in order', () => {
    const held = new HeldTransfers<Held>(1_000);
    const [first, second] = [item(1, 10), item(1, 12)];
    held.add(first, 0);
    assert.equal(held.follow(item(2, 11)), false);
    assert.equal(held.follow(item(1, 13)), true);
    held.add(second, 0);
    held.add(item(3, 14), 500);
    assert.equal(held.size, 4);
    assert.deepEqual(held.takeRipe(999), []);
    assert.deepEqual(held.takeRipe(1_000), [first]);
    assert.deepEqual(held.takeRipe(1_400), [], 'while the first is offered the others wait');
    held.settled(first, 1_400);
    assert.deepEqual(held.takeRipe(1_400), [second, item(1, 13)]);
    assert.equal(held.follow(item(1, 15)), false);
    assert.deepEqual(held.takeRipe(1_500), [item(3, 14)]);
    assert.equal(held.size, 0);
  });

  it('one that is refused again comes first the next time too', () => {
    const held = new HeldTransfers<Held>(1_000);
    const first = item(1, 10);
    held.add(first, 0);
    held.follow(item(1, 11));
    assert.deepEqual(held.takeRipe(1_000), [first]);
    held.add(first, 1_050);
    assert.deepEqual(held.takeRipe(2_000), []);
    assert.deepEqual(held.takeRipe(2_050), [first]);
  });

  it('nothing is kept of a sender whose only one was taken', () => {
    const held = new HeldTransfers<Held>(1_000);
    const only = item(1, 10);
    held.add(only, 0);
    held.takeRipe(1_000);
    assert.equal(held.follow(item(1, 11)), true);
    held.settled(only, 1_010);
    assert.deepEqual(held.takeRipe(1_010), [item(1, 11)]);
    assert.equal(held.follow(item(1, 12)), false);
  });
});
