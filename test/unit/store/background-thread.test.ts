import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { NICENESS } from '../../../src/store/background-thread.ts';
import { openDatabase, spreadBytes } from '../../../src/store/db.ts';
import { inFolder } from './fixtures.ts';

const prioritiesOfWorkers = (): number[] =>
  readdirSync('/proc/self/task')
    .filter((task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim() === 'libuv-worker')
    .map((task) => getPriority(Number(task)));

describe('background thread of the databases', () => {
  it('has a lower priority than the other threads, which keep theirs', async function () {
    if (process.platform !== 'linux') this.skip();
    await inFolder(async (folder) => {
      for (const name of ['one', 'another']) await (await openDatabase(`${folder}/${name}`)).close();
    });
    const own = getPriority(0);
    const priorities = prioritiesOfWorkers();
    assert.deepEqual(
      priorities.filter((priority) => priority !== own),
      [own + NICENESS],
    );
    assert.ok(priorities.length > 1);
  });

  it('merges files of 3 to 5 MiB, of another size for each database', () => {
    const mib = 1024 * 1024;
    assert.deepEqual([0, 0.5, 1].map(spreadBytes), [3 * mib, 4 * mib, 5 * mib]);
  });
});
