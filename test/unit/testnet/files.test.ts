import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isNodeError } from '../../../src/errors.ts';
import { becomeLauncher, launcherOf, resignLauncher, withLock } from '../../../testnet/lock.ts';
import { boundLog, logTail } from '../../../testnet/log-file.ts';
import { formatAit } from '../../../testnet/report.ts';

describe('testnet files', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-files-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('logs stay below their bound, and a writer goes on in the same file', () => {
    const path = join(folder, 'node.log');
    const writer = openSync(path, 'a');
    writeSync(writer, 'x'.repeat(50));
    boundLog(path, 100);
    assert.equal(readFileSync(path, 'utf8').length, 50);
    writeSync(writer, 'y'.repeat(50));
    boundLog(path, 100);
    writeSync(writer, 'z');
    assert.equal(readFileSync(path, 'utf8'), 'z');
    assert.equal(readFileSync(`${path}.1`, 'utf8').length, 100);
    closeSync(writer);
    boundLog(join(folder, 'none'));
  });

  it('log tails are a few last lines', () => {
    const path = join(folder, 'node.log');
    assert.deepEqual(logTail(path), []);
    for (let i = 0; i < 1000; i++) appendFileSync(path, `line ${i}\n`);
    const lines = logTail(path);
    assert.equal(lines.length, 12);
    assert.equal(lines.at(-1), 'line 999');
  });

  it('locks let one action run at a time', async () => {
    let inside = 0;
    let most = 0;
    await Promise.all(
      [1, 2, 3].map(() =>
        withLock(folder, async () => {
          most = Math.max(most, ++inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside--;
        }),
      ),
    );
    assert.equal(most, 1);
  });

  it('locks of processes that are gone are taken over', async () => {
    writeFileSync(join(folder, 'lock.json'), JSON.stringify({ pid: process.pid, started: 'another one' }));
    assert.equal(await withLock(folder, () => Promise.resolve(5)), 5);
    writeFileSync(join(folder, 'launcher.json'), '{"pid":');
    becomeLauncher(folder);
    assert.equal(launcherOf(folder)?.pid, process.pid);
    assert.throws(
      () => {
        becomeLauncher(folder);
      },
      (error) => isNodeError(error) && error.kind.exit === 3,
    );
    resignLauncher(folder);
    assert.equal(launcherOf(folder), undefined);
  });

  it('amounts are grouped', () => {
    assert.equal(formatAit('1000000000000'), '1 000 000 AIT');
    assert.equal(formatAit('1500001'), '1.500001 AIT');
    assert.equal(formatAit('10000000000'), '10 000 AIT');
  });
});
