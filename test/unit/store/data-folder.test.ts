import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import type { Logger } from '../../../src/log.ts';
import { nopLogger } from '../../../src/log.ts';
import { chainFolderOf, openDataFolder } from '../../../src/store/data-folder.ts';
import { readKeyFile, writeKeyFile } from '../../../src/store/key-file.ts';
import { coded, filled, inFolder } from './fixtures.ts';

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

function recorder(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  return { lines, log: { ...nopLogger, warn: (message) => void lines.push(message) } };
}

describe('data folder', () => {
  it('is made for its owner alone, with its version, and opens again', () =>
    inFolder(async (root) => {
      const home = join(root, 'a', 'home');
      const folder = await openDataFolder(home);
      const chain = await folder.chain('ait-devnet');
      assert.equal(await readFile(join(home, 'FORMAT'), 'utf8'), '1\n');
      for (const path of [home, join(home, 'identity'), join(home, 'run'), join(home, 'chains'), chain.folder]) {
        assert.equal(await modeOf(path), 0o700, path);
      }
      assert.equal(await modeOf(join(home, 'LOCK')), 0o600);
      assert.equal(folder.nodeKeyFile, join(home, 'identity', 'node_key'));
      assert.deepEqual(chain, chainFolderOf(home, 'ait-devnet'));
      assert.equal(chain.dbFolder, join(home, 'chains', 'ait-devnet', 'db'));
      await folder.close();
      assert.deepEqual((await readdir(home)).sort(), ['FORMAT', 'chains', 'identity', 'run']);
      await (await openDataFolder(home)).close();
    }));

  it('refuses a newer or unreadable version, and leaves the folder alone', () =>
    inFolder(async (home) => {
      await writeFile(join(home, 'FORMAT'), '2\n');
      await assert.rejects(openDataFolder(home), coded('DATA_TOO_NEW'));
      await writeFile(join(home, 'FORMAT'), 'two');
      await assert.rejects(openDataFolder(home), coded('DATA_FOLDER'));
      assert.deepEqual(await readdir(home), ['FORMAT']);
    }));

  it('refuses a home that is a file, and ids that are no chain ids', () =>
    inFolder(async (root) => {
      await writeFile(join(root, 'file'), '');
      await assert.rejects(openDataFolder(join(root, 'file')), coded('DATA_FOLDER'));
      await assert.rejects(openDataFolder(join(root, 'file', 'below')), coded('DATA_FOLDER'));
      const folder = await openDataFolder(join(root, 'home'));
      for (const id of ['', '..', '../x', 'a/b', 'Ait', 'x'.repeat(33)]) {
        await assert.rejects(folder.chain(id), coded('CONFIG'));
      }
      await folder.close();
    }));

  it('is held by one process, and taken over from a killed one', async function () {
    this.timeout(30_000);
    await inFolder(async (home) => {
      const holder = spawn(process.execPath, [fileURLToPath(import.meta.resolve('./lock-holder.ts')), home]);
      const exit = once(holder, 'exit');
      await once(holder.stdout, 'data');
      await assert.rejects(openDataFolder(home), coded('DATA_LOCKED', new RegExp(`process ${holder.pid}`)));
      holder.kill('SIGKILL');
      await exit;
      const { log, lines } = recorder();
      const folder = await openDataFolder(home, { log });
      assert.match(lines.join(), /took over/);
      await assert.rejects(openDataFolder(home), coded('DATA_LOCKED', /this process/));
      await folder.close();
    });
  });

  it('takes over what names a dead process, another start or boot, a zombie, or nobody', async function () {
    if (process.platform !== 'linux') this.skip();
    await inFolder(async (home) => {
      const folder = await openDataFolder(home);
      const own = JSON.parse(await readFile(join(home, 'LOCK'), 'utf8')) as Record<string, unknown>;
      await folder.close();
      assert.equal(own['pid'], process.pid);

      const dead = spawn(process.execPath, ['-e', '0']);
      await once(dead, 'exit');
      // The shell becomes a program that never takes note of the end of its child.
      const parent = spawn('bash', ['-c', 'sleep 60 & echo $!; exec sleep 60']);
      const exit = once(parent, 'exit');
      const [output] = (await once(parent.stdout, 'data')) as [Buffer];
      const zombie = Number(output.toString());
      while (!/^sleep/.test(await readFile(`/proc/${parent.pid}/comm`, 'utf8'))) await setImmediate();
      process.kill(zombie, 'SIGKILL');
      while (!/\) Z /.test(await readFile(`/proc/${zombie}/stat`, 'utf8'))) await setImmediate();
      const zombieStart = (await readFile(`/proc/${zombie}/stat`, 'utf8')).split(') ')[1]?.split(' ')[19];

      const left = [
        JSON.stringify({ ...own, pid: dead.pid }),
        JSON.stringify({ pid: dead.pid, startTime: null, bootId: null }),
        JSON.stringify({ ...own, startTime: '1' }),
        JSON.stringify({ ...own, bootId: 'another' }),
        JSON.stringify({ ...own, pid: zombie, startTime: zombieStart }),
        JSON.stringify({ ...own, pid: -1 }),
        'null',
        '{"pid":',
        '',
      ];
      for (const text of left) {
        await writeFile(join(home, 'LOCK'), text);
        const { log, lines } = recorder();
        await (await openDataFolder(home, { log })).close();
        assert.equal(lines.length, 1, text);
      }
      for (const text of [JSON.stringify(own), JSON.stringify({ pid: process.pid, startTime: null, bootId: null })]) {
        await writeFile(join(home, 'LOCK'), text);
        await assert.rejects(openDataFolder(home), coded('DATA_LOCKED'));
      }
      parent.kill('SIGKILL');
      await exit;
    });
  });

  it('goes to one of several that ask at once, new or stale', () =>
    inFolder(async (home) => {
      for (const stale of [false, true]) {
        if (stale) await writeFile(join(home, 'LOCK'), '');
        const results = await Promise.allSettled(Array.from({ length: 6 }, () => openDataFolder(home)));
        const held = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
        assert.equal(held.length, 1);
        for (const folder of held) await folder.close();
        assert.deepEqual((await readdir(home)).sort(), ['FORMAT', 'identity', 'run']);
      }
    }));

  it('leaves the lock of a new owner alone when it closes', () =>
    inFolder(async (home) => {
      const folder = await openDataFolder(home);
      await writeFile(join(home, 'LOCK'), 'another');
      await folder.close();
      assert.equal(await readFile(join(home, 'LOCK'), 'utf8'), 'another');
    }));
});

describe('key files', () => {
  it('are written once, for their owner alone, and read back', () =>
    inFolder(async (root) => {
      const path = join(root, 'deep', 'validator_key');
      await writeKeyFile(path, filled(0xab));
      assert.equal(await readFile(path, 'latin1'), `${'ab'.repeat(32)}\n`);
      assert.equal(await modeOf(path), 0o600);
      assert.equal(await modeOf(join(root, 'deep')), 0o700);
      assert.deepEqual(await readKeyFile(path), filled(0xab));
      await assert.rejects(writeKeyFile(path, filled(1)), coded('KEY_EXISTS'));
      assert.deepEqual(await readKeyFile(path), filled(0xab));
      assert.deepEqual(await readdir(join(root, 'deep')), ['validator_key']);
    }));

  it('are refused when others may read them, and the error holds no secret', () =>
    inFolder(async (root) => {
      const path = join(root, 'key');
      await writeKeyFile(path, filled(0xab));
      for (const mode of [0o640, 0o604, 0o660, 0o644]) {
        await chmod(path, mode);
        await assert.rejects(readKeyFile(path), (error: Error) => {
          assert.ok(!inspect(error).includes('abab'));
          return coded('KEY_FILE', /others/)(error);
        });
      }
    }));

  it('are refused when they are missing, malformed or no file', () =>
    inFolder(async (root) => {
      const path = join(root, 'key');
      await assert.rejects(readKeyFile(path), coded('KEY_FILE', /no such/));
      for (const text of ['', 'ab', 'AB'.repeat(32), 'ab'.repeat(33), 'zz'.repeat(32)]) {
        await writeFile(path, text, { mode: 0o600 });
        await assert.rejects(readKeyFile(path), coded('KEY_FILE'));
      }
      await mkdir(join(root, 'folder'));
      await assert.rejects(readKeyFile(join(root, 'folder')), coded('STORAGE'));
      await assert.rejects(writeKeyFile(path, filled(1, 31)), coded('KEY_FILE'));
    }));
});
