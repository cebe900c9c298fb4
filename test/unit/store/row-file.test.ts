import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { toHex, utf8 } from '../../../src/bytes.ts';
import type { RowFile } from '../../../src/store/row-file.ts';
import { openRowFile } from '../../../src/store/row-file.ts';

describe('rows in a file', () => {
  let folder: string;
  let path: string;
  const opened: RowFile[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-rows-'));
    path = join(folder, 'jobs', 'rows');
  });

  afterEach(async () => {
    for (const rows of opened.splice(0)) await rows.close().catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  });

  async function openRows(maxBytes?: number): Promise<RowFile> {
    const rows = await openRowFile(path, maxBytes);
    opened.push(rows);
    return rows;
  }

  async function all(rows: RowFile): Promise<[string, string][]> {
    const found: [string, string][] = [];
    for await (const { key, value } of rows.load()) found.push([toHex(key), new TextDecoder().decode(value)]);
    return found;
  }

  const put = (key: number, value: string | null) => ({
    key: Uint8Array.of(key),
    value: value === null ? null : utf8(value),
  });

  it('come back in the order of their keys, the last value of each', async () => {
    const rows = await openRows();
    await Promise.all([rows.persist([put(2, 'b'), put(1, 'a')]), rows.persist([put(3, 'c')]), rows.persist([])]);
    await rows.persist([put(1, 'A'), put(3, null)]);
    const expected: [string, string][] = [
      ['01', 'A'],
      ['02', 'b'],
    ];
    assert.deepEqual(await all(rows), expected);
    await rows.close();
    assert.deepEqual(await all(await openRows()), expected);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'jobs')).mode & 0o777, 0o700);
    await assert.rejects(rows.persist([put(1, 'x')]), { code: 'STORAGE' });
  });

  it('hold what was kept, cut off wherever a crash ended the file', async () => {
    const rows = await openRows();
    await rows.persist([put(1, 'one')]);
    const before = statSync(path).size;
    await rows.persist([put(1, 'two'), put(2, 'new')]);
    await rows.close();
    const whole = readFileSync(path);
    for (let size = 0; size <= whole.length; size++) {
      writeFileSync(path, whole.subarray(0, size));
      const again = await openRows();
      const found = await all(again);
      const expected =
        size < before
          ? []
          : size < whole.length
            ? [['01', 'one']]
            : [
                ['01', 'two'],
                ['02', 'new'],
              ];
      assert.deepEqual(found, expected, String(size));
      await again.persist([put(9, 'after')]);
      await again.close();
      assert.equal((await all(await openRows())).length, expected.length + 1);
      await opened.at(-1)?.close();
    }
  });

  it('are refused when a record that was kept is damaged', async () => {
    const rows = await openRows();
    for (const value of ['one', 'two', 'three']) await rows.persist([put(1, value)]);
    await rows.close();
    const whole = readFileSync(path);
    whole[20] = (whole[20] ?? 0) ^ 1;
    writeFileSync(path, whole);
    await assert.rejects(openRows(), { code: 'CORRUPT' });
    writeFileSync(path, 'something else that is long enough');
    await assert.rejects(openRows(), { code: 'CORRUPT' });
  });

  it('are those of a map, whatever is kept together', async () => {
    const change = fc.array(fc.tuple(fc.nat(4), fc.option(fc.string(), { nil: null })), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (calls) => {
        rmSync(path, { force: true });
        const rows = await openRowFile(path);
        const model = new Map<number, string>();
        await Promise.all(calls.map((call) => rows.persist(call.map(([key, value]) => put(key, value)))));
        for (const [key, value] of calls.flat()) value === null ? model.delete(key) : model.set(key, value);
        await rows.close();
        const again = await openRowFile(path);
        const expected = [...model].sort(([a], [b]) => a - b).map(([key, value]) => [`0${key}`, value]);
        assert.deepEqual(await all(again), expected);
        await again.close();
      }),
      { numRuns: 25 },
    );
  });

  it('bound: the file has a largest size, a call a largest number of rows, and nothing is kept beyond', async () => {
    const rows = await openRows(100);
    await rows.persist([put(1, 'x')]);
    await assert.rejects(rows.persist([put(2, 'y'.repeat(100))]), { code: 'STORAGE' });
    await assert.rejects(rows.persist([put(3, 'z')]), { code: 'STORAGE' });
    assert.deepEqual(await all(rows), [['01', 'x']]);
    await rows.close();
    const others = await openRows();
    await assert.rejects(others.persist(Array.from({ length: 4097 }, () => put(1, ''))), { code: 'TOO_LARGE' });
    await Promise.all(Array.from({ length: 3 }, () => others.persist(Array.from({ length: 3000 }, () => put(7, 'v')))));
    assert.equal((await all(others)).length, 2);
  });
});
