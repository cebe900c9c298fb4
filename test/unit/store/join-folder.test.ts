import assert from 'node:assert/strict';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes, ZERO_HASH } from '../../../src/bytes.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import type { JoinTarget } from '../../../src/store/join-folder.ts';
import { JoinFolder } from '../../../src/store/join-folder.ts';
import { Prng } from '../../sim/prng.ts';
import { DAMAGES, damageFile } from '../../util/file-damage.ts';
import { collectLines } from '../../util/log-lines.ts';
import { makeEntries, snapshotOf } from '../../util/snapshot-fixture.ts';
import { certificateOf, coded, committed, GENESIS_HASH, inFolder } from './fixtures.ts';

const SNAPSHOT = snapshotOf(40, makeEntries(2_000, 600));
const ROUNDS = 2;

function target(): JoinTarget {
  const { block, blockId } = committed(40, GENESIS_HASH);
  return { manifest: SNAPSHOT.manifest, block, certificate: certificateOf(40, blockId) };
}

async function filled(folder: string): Promise<void> {
  const joining = new JoinFolder(folder, nativeHasher, nopLogger);
  await joining.begin(target());
  for (const [index, bytes] of SNAPSHOT.chunks.entries()) await joining.put(index, bytes);
}

describe('what a joining node has fetched', () => {
  it('comes back as it was put, another process reading it', () =>
    inFolder(async (folder) => {
      await filled(join(folder, 'joining'));
      const { log, lines } = collectLines();
      const joining = new JoinFolder(join(folder, 'joining'), nativeHasher, log);
      assert.deepEqual(await joining.target(), target());
      assert.deepEqual([...(await joining.chunks())].sort(byNumber), [...SNAPSHOT.chunks.keys()]);
      for (const [index, bytes] of SNAPSHOT.chunks.entries()) assert.ok(equalBytes(await joining.read(index), bytes));
      await joining.clear();
      assert.equal(await joining.target(), null);
      assert.equal((await joining.chunks()).size, 0);
      assert.deepEqual(lines, []);
    }));

  it('is found out, told of and removed where it was damaged, and the rest is kept', () =>
    inFolder(async (folder) => {
      const rng = new Prng(`joining/${process.env['DAMAGE_SEED'] ?? '1'}`);
      const whole = join(folder, 'whole');
      const path = join(folder, 'joining');
      await filled(whole);
      const names = await readdir(whole);
      assert.equal(names.length, SNAPSHOT.chunks.length + 1);
      for (const name of names) {
        for (let round = 0; round < ROUNDS; round++) {
          for (const kind of DAMAGES) {
            await cp(whole, path, { recursive: true });
            const what = `${name} ${await damageFile(join(path, name), kind, rng)}`;
            const { log, lines } = collectLines();
            const joining = new JoinFolder(path, nativeHasher, log);
            const found = await joining.target();
            const chunks = await joining.chunks();
            const isGone = kind === 'removal';
            // A sector of zeros may have been one before.
            const isSame = kind === 'zeros' && lines.length === 0;
            assert.equal(lines.length, isGone || isSame ? 0 : 1, what);
            assert.ok(
              lines.every(({ level, msg }) => level === 'warn' && msg.includes('damaged on this disk')),
              what,
            );
            assert.equal(found === null, name === 'target' && !isSame, what);
            if (found) assert.deepEqual(found, target(), what);
            const expected = [...SNAPSHOT.chunks.keys()].filter((index) => isSame || name !== `chunk-${index}`);
            assert.deepEqual([...chunks].sort(byNumber), expected, what);
            for (const index of chunks) {
              assert.ok(equalBytes(await joining.read(index), SNAPSHOT.chunks[index] ?? ZERO_HASH), what);
            }
            await rm(path, { recursive: true });
          }
        }
      }
    })).timeout(60_000);

  it('is no chunk in the place of another, no half of one, and no folder', () =>
    inFolder(async (folder) => {
      await filled(folder);
      await cp(join(folder, 'chunk-1'), join(folder, 'chunk-0'));
      await writeFile(join(folder, 'chunk-9.part'), 'half');
      await rm(join(folder, 'chunk-2'));
      await mkdir(join(folder, 'chunk-2'));
      const { log, lines } = collectLines();
      const joining = new JoinFolder(folder, nativeHasher, log);
      await assert.rejects(joining.read(0), coded('CORRUPT'));
      const kept = await joining.chunks();
      assert.equal(kept.size, SNAPSHOT.chunks.length - 2);
      assert.ok(!kept.has(0) && !kept.has(2) && !kept.has(9));
      assert.deepEqual(lines.map(({ index }) => Number(index)).sort(byNumber), [0, 2]);
    }));
});

function byNumber(a: number, b: number): number {
  return a - b;
}
