import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../../../../src/bytes.ts';
import {
  addDeadline,
  firstDue,
  MINUTE_MS,
  nextDeadlineMs,
  removeDeadline,
  wholeMinuteMs,
} from '../../../../../src/chain/modules/compute/deadlines.ts';
import type { StateKey } from '../../../../../src/chain/state.ts';
import { memoryState, StateOverlay } from '../../../../../src/chain/state.ts';

const START_MINUTE = 28_333_333;
const entryOf = (n: number): Uint8Array => Uint8Array.of(1, n);

/** Minutes close together, at the edges of bytes and days, and far apart. */
const minute = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.integer({ min: 0, max: 3 }).map((day) => day * 1440 - (START_MINUTE % 1440) + 1440),
  fc.integer({ min: 0, max: 400 * 1440 }),
);
const step = fc.record({ entry: fc.integer({ min: 0, max: 15 }), minute });

describe('deadlines', () => {
  it('property: what is due first is found, in the order of time and then of arrival', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const state = new StateOverlay(memoryState());
        let model: { entry: number; dueMs: number }[] = [];
        for (const { entry, minute: offset } of steps) {
          const known = model.find((each) => each.entry === entry);
          if (known) {
            removeDeadline(state, known.dueMs, entryOf(entry));
            model = model.filter((each) => each !== known);
          } else {
            const dueMs = (START_MINUTE + offset) * MINUTE_MS;
            addDeadline(state, dueMs, entryOf(entry));
            model.push({ entry, dueMs });
          }
          const first = model.reduce<(typeof model)[0] | null>(
            (best, each) => (best === null || each.dueMs < best.dueMs ? each : best),
            null,
          );
          assert.equal(nextDeadlineMs(state), first?.dueMs ?? null);
          if (!first) continue;
          assert.equal(firstDue(state, first.dueMs - 1), null);
          const due = firstDue(state, first.dueMs);
          assert.deepEqual(
            [due?.dueMs, toHex(due?.entry ?? new Uint8Array())],
            [first.dueMs, toHex(entryOf(first.entry))],
          );
        }
        for (const { entry, dueMs } of model) removeDeadline(state, dueMs, entryOf(entry));
        assert.deepEqual(left(state), []);
      }),
      { numRuns: 300 },
    );
  });

  it('bound: reads and writes do not grow with what lies ahead', () => {
    const state = new StateOverlay(memoryState());
    const costs = [10, 3000].map((size) => {
      for (let i = 0; i < size; i++) addDeadline(state, (START_MINUTE + (i % 5)) * MINUTE_MS, number(size, i));
      let touched = 0;
      const counting = {
        get: (key: StateKey) => (touched++, state.get(key)),
        set: (key: StateKey, value: Uint8Array | undefined) => (touched++, state.set(key, value)),
      };
      removeDeadline(counting, START_MINUTE * MINUTE_MS, number(size, 5));
      addDeadline(counting, START_MINUTE * MINUTE_MS, number(size, 5));
      return touched;
    });
    assert.ok(Math.max(...costs) <= 16, String(costs));
  });

  it('times are rounded up to whole minutes', () => {
    assert.deepEqual([0, 1, MINUTE_MS, MINUTE_MS + 1].map(wholeMinuteMs), [0, MINUTE_MS, MINUTE_MS, 2 * MINUTE_MS]);
  });
});

function number(a: number, b: number): Uint8Array {
  return Uint8Array.of(2, a >> 8, a & 255, b >> 8, b & 255);
}

function left(state: StateOverlay): StateKey[] {
  return [...state.changes].flatMap(([key, value]) => (value ? [key] : []));
}
