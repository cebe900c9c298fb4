/** Rows of the market on disk. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RowsOptions } from '../../../src/store/rows.ts';
import { openRows, ROWS_SCHEMA } from '../../../src/store/rows.ts';
import { rotateStoreKey } from '../../../src/store/meta.ts';

const key = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

describe('rows', () => {
  let folder: string;
  let options: RowsOptions;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-rows-'));
    options = {
      folder: join(folder, 'market', 'miner'),
      chainId: 'ait-devnet',
      genesisHash: new Uint8Array(32).fill(1),
    };
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  async function held(given = options): Promise<[string, string][]> {
    const rows = await openRows(given);
    const found: [string, string][] = [];
    for await (const row of rows.load()) found.push([row.key.join(), row.value.join()]);
    await rows.close();
    return found;
  }

  it('are there again, in the order of their keys, and gone when removed', async () => {
    const rows = await openRows(options);
    await rows.persist([
      { key: key(2, 9), value: key(1) },
      { key: key(1, 200), value: key(2) },
      { key: key(2), value: key(3) },
    ]);
    await rows.persist([{ key: key(2, 9), value: null }]);
    await rows.close();
    assert.deepEqual(await held(), [
      ['1,200', '2'],
      ['2', '3'],
    ]);
  });

  it('written at once share a sync, each whole, in the order of the calls', async () => {
    const calls: string[] = [];
    const rows = await openRows({ ...options, onPersist: (call, when) => calls.push(`${when} ${call}`) });
    await Promise.all([1, 2, 3].map((i) => rows.persist([{ key: key(1), value: key(i) }])));
    await rows.close();
    assert.deepEqual(calls, ['before 1', 'before 2', 'before 3', 'after 1', 'after 2', 'after 3']);
    assert.deepEqual(await held(), [['1', '3']]);
  });

  it('of another genesis, or of a newer program, are refused with advice that loses nothing', async () => {
    await (await openRows(options)).close();
    const other = { ...options, genesisHash: new Uint8Array(32) };
    await assert.rejects(openRows(other), { code: 'WRONG_GENESIS', hint: /genesis file this folder was made with/ });
    const log = readdirSync(options.folder).find((name) => name.endsWith('.log')) ?? assert.fail();
    const path = join(options.folder, log);
    writeFileSync(path, readFileSync(path).subarray(0, -3));
    await assert.doesNotReject(held());
  });

  it('are encrypted with a store key, which can be changed', async () => {
    const [first, second] = [new Uint8Array(32).fill(5), new Uint8Array(32).fill(6)];
    const rows = await openRows({ ...options, storeKey: first.slice() });
    await rows.persist([{ key: key(1), value: new TextEncoder().encode('a secret answer') }]);
    await rows.close();
    for (const name of readdirSync(options.folder)) {
      assert.ok(!readFileSync(join(options.folder, name)).includes('a secret answer'));
    }
    await assert.rejects(openRows(options), { code: 'KEY_FILE' });
    assert.equal(await rotateStoreKey(options.folder, first, second, ROWS_SCHEMA), true);
    assert.equal((await held({ ...options, storeKey: second.slice() })).length, 1);
  });
});
