import assert from 'node:assert/strict';
import { applySignAbove, guardAdvice } from '../../../src/store/guard-advice.ts';
import { coded } from './fixtures.ts';
import { openGuard, record } from './guard-fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';

describe('--sign-above', () => {
  it('sets the floor of a lost guard, and does nothing at later starts, signatures above it or not', async () => {
    const disk = new MemoryDisk();
    const store = { sequence: 9, height: 40 };
    assert.ok(await applySignAbove(await openGuard(disk, { store }), 41));
    const again = await openGuard(disk, { store });
    assert.ok(!(await applySignAbove(again, 41)));
    await again.save(record(42, 0, 'prevote'));
    const later = await openGuard(disk, { store });
    assert.ok(!(await applySignAbove(later, 41)));
    assert.equal(later.status.kind, 'ready');
  });

  it('below what a whole guard knows does nothing, above it raises the floor', async () => {
    const guard = await openGuard(new MemoryDisk());
    await guard.save(record(7, 0, 'prevote'));
    assert.ok(!(await applySignAbove(guard, 5)));
    assert.ok(await applySignAbove(guard, 9));
    await assert.rejects(guard.save(record(9, 0, 'prevote')), coded('GUARD'));
  });

  it('is named with the height that is safe: one above the blocks, where others can decide that height', () => {
    const stale = { kind: 'stale', reason: 'it is missing' } as const;
    assert.match(guardAdvice(stale, 40, false) ?? '', /start once with --sign-above 41;/);
    assert.match(guardAdvice(stale, 40, true) ?? '', /start once with --sign-above 40;/);
    assert.equal(guardAdvice({ kind: 'empty' }, 40, false), undefined);
  });
});
