import assert from 'node:assert/strict';
import { TokenBucket } from '../../../protocols/quotas.ts';
import { METHODS, TOPICS } from '../../../protocols/registry.ts';

describe('protocols/quotas', () => {
  const rule = { capacity: 10, refillPerSecond: 2 };

  it('gives the burst, then the rate', () => {
    const bucket = new TokenBucket(rule, 0);
    for (let i = 0; i < 10; i++) assert.ok(bucket.take(1, 0));
    assert.ok(!bucket.take(1, 0));
    assert.ok(!bucket.take(1, 499));
    assert.ok(bucket.take(1, 500));
    assert.ok(!bucket.take(1, 500));
    assert.ok(bucket.take(10, 1_000_000), 'never holds more than its capacity');
    assert.ok(!bucket.take(1, 1_000_000));
  });

  it('goes into debt for what was used already', () => {
    const bucket = new TokenBucket(rule, 0);
    bucket.charge(14, 0);
    assert.ok(!bucket.take(0, 1_000), 'two tokens short still');
    assert.ok(bucket.take(0, 2_000));
  });

  it('grants a cost above the capacity when full, and takes time that runs backwards', () => {
    const bucket = new TokenBucket(rule, 1_000);
    assert.ok(bucket.take(100, 1_000));
    assert.ok(!bucket.take(1, 500));
    assert.ok(!bucket.take(1, 46_000), '90 below zero need 45 s and more');
    assert.ok(bucket.take(1, 46_500));
  });

  it('the registry allows what its own caps allow', () => {
    for (const rule of Object.values(TOPICS)) {
      assert.ok(rule.cost(rule.maxBytes) <= rule.quota.capacity, rule.name);
      assert.ok(rule.quota.reason.length > 20, rule.name);
    }
    assert.ok(
      METHODS.blocks.cost({ from: 1, count: 64 }) * METHODS.blocks.maxInFlight <= METHODS.blocks.quota.capacity,
    );
    const ids = Array<Uint8Array>(2_048).fill(new Uint8Array(32));
    assert.ok(METHODS.txs.cost({ ids }) * METHODS.txs.maxInFlight <= METHODS.txs.quota.capacity);
  });
});
