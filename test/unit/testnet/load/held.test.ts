import assert from 'node:assert/strict';
import { Held } from '../../../../testnet/load/held.ts';

const item = (sender: number, order: number): { sender: number; order: number } => ({ sender, order });

describe('transfers refused for the moment', () => {
  it('are due again after the wait, with those of their sender that came after them, in order', () => {
    const held = new Held<{ sender: number; order: number }>(1_000);
    held.add(item(1, 10), 0);
    assert.equal(held.follow(item(2, 11)), false);
    assert.equal(held.follow(item(1, 13)), true);
    held.add(item(1, 12), 40);
    held.add(item(3, 14), 500);
    assert.equal(held.size, 4);
    assert.deepEqual(held.takeRipe(999), []);
    assert.deepEqual(held.takeRipe(1_000), [item(1, 10), item(1, 12), item(1, 13)]);
    assert.equal(held.follow(item(1, 15)), false);
    assert.deepEqual(held.takeRipe(1_500), [item(3, 14)]);
    assert.equal(held.size, 0);
  });
});
