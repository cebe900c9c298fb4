import assert from 'node:assert/strict';
import fc from 'fast-check';
import { StateCache } from '../../../src/store/state-cache.ts';
import { filled } from './fixtures.ts';

describe('state cache', () => {
  it('never holds more entries than its bound, and answers as the map behind it', () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 30 }), fc.option(fc.integer({ min: 0, max: 255 })), fc.boolean());
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 12 }), fc.array(step, { maxLength: 200 }), (bound, steps) => {
        const cache = new StateCache(bound, 1_000_000);
        const disk = new Map<string, Uint8Array | undefined>();
        for (const [n, byte, write] of steps) {
          const name = `k${n}`;
          if (write) {
            const value = byte === null ? undefined : filled(byte);
            disk.set(name, value);
            cache.set(name, value);
          }
          assert.deepEqual(
            cache.get(name, (k) => disk.get(k)),
            disk.get(name),
          );
          assert.ok(cache.size <= bound);
        }
      }),
    );
  });

  it('reads a cached key, also an absent one, from the disk once', () => {
    const cache = new StateCache(10, 1_000_000);
    let loads = 0;
    const load = (): undefined => {
      loads++;
    };
    for (let i = 0; i < 5; i++) cache.get('absent', load);
    assert.equal(loads, 1);
  });

  it('holds about as many bytes as its bound', () => {
    const cache = new StateCache(1_000_000, 100_000);
    for (let i = 0; i < 1_000; i++) cache.set(`k${i}`, filled(1, 1_000));
    assert.ok(cache.size <= 100);
    assert.ok(cache.size >= 40);
  });
});
