import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes, utf8, ZERO_HASH } from '../../../src/bytes.ts';
import type { Header } from '../../../src/chain/block.ts';
import { encodeManifest, manifestRoot, verifyChunk } from '../../../src/chain/state-chunks.ts';
import type { StateKey } from '../../../src/chain/state.ts';
import { systemClock } from '../../../src/clock.ts';
import { nopLogger } from '../../../src/log.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import type { SnapshotOptions } from '../../../src/store/snapshots.ts';
import { Snapshots } from '../../../src/store/snapshots.ts';
import { Spill } from '../../../src/store/snapshot-spill.ts';
import { Prng } from '../../sim/prng.ts';
import { DAMAGES, damageFile } from '../../util/file-damage.ts';
import { collectLines } from '../../util/log-lines.ts';
import { makeEntries, snapshotOf } from '../../util/snapshot-fixture.ts';
import { CHAIN_ID, coded, committed, GENESIS_HASH, inFolder, key } from './fixtures.ts';

/** Times each kind for each file. */
const DAMAGE_ROUNDS = 2;

type Entries = ReadonlyMap<StateKey, Uint8Array>;

function open(folder: string, options: Partial<SnapshotOptions> = {}): Promise<Snapshots> {
  return Snapshots.open({
    ...{ folder: join(folder, 'snapshots'), interval: 10, keep: 2, hasher: nativeHasher, clock: systemClock },
    ...{ log: nopLogger, metrics: nopRegister, ...options },
  });
}

function headerOf(height: number, entries: Entries): Header {
  const stateRoot = manifestRoot(nativeHasher, snapshotOf(height, entries).manifest);
  return { ...committed(height, GENESIS_HASH).block.header, stateRoot };
}

function storeOf(entries: Entries): { stateEntries(): AsyncGenerator<readonly [StateKey, Uint8Array]> } {
  return {
    async *stateEntries() {
      await Promise.resolve();
      yield* [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
    },
  };
}

async function make(snapshots: Snapshots, height: number, entries: Entries): Promise<void> {
  snapshots.onCommit(headerOf(height, entries), entries.size, storeOf(entries));
  await snapshots.idle();
}

describe('snapshots of the state', () => {
  it('are what the rule of cutting makes of the state, chunk by chunk', () =>
    inFolder(async (folder) => {
      const cases: Entries[] = [
        new Map(),
        makeEntries(1, 10),
        makeEntries(700, 40),
        makeEntries(9_000, 300),
        new Map([...makeEntries(5, 600_000, 'large'), ...makeEntries(6_000, 100)]),
      ];
      const snapshots = await open(folder, { interval: 1, keep: 9 });
      for (const [i, entries] of cases.entries()) {
        const want = snapshotOf(i + 1, entries);
        await make(snapshots, i + 1, entries);
        const manifest = snapshots.manifestBelow(i + 2);
        assert.deepEqual(manifest, want.manifest);
        const hash = nativeHasher.hash(encodeManifest(want.manifest));
        for (const [index, chunk] of want.manifest.chunks.entries()) {
          const bytes = await snapshots.chunk(hash, index);
          assert.deepEqual(bytes, want.chunks[index]);
          verifyChunk(nativeHasher, chunk, bytes);
        }
        await assert.rejects(snapshots.chunk(hash, want.chunks.length), coded('NOT_FOUND'));
      }
      assert.ok((snapshots.held[3]?.chunks ?? 0) > 8);
    })).timeout(20_000);

  it('sort in bounded memory: what does not fit the buffers comes back from the file', () =>
    inFolder(async (folder) => {
      const spill = await Spill.create(join(folder, 'spill'), 5_000, nativeHasher);
      const paths: string[] = [];
      for (const [name, value] of makeEntries(5_000, 200)) {
        const own = utf8(name);
        const path = nativeHasher.hash(own);
        paths.push(Buffer.from(path).toString('hex'));
        spill.add(path, nativeHasher.hash(value), own, value);
        if (spill.pendingBytes > 100_000) await spill.flush();
      }
      await spill.flush();
      assert.ok(spill.bits >= 1);
      const leaves = await spill.take(0, 2 ** spill.bits, () => Promise.resolve());
      assert.deepEqual(
        leaves.map(({ path }) => Buffer.from(path).toString('hex')),
        paths.sort(),
      );
      await spill.close();
    }));

  it('are of the height they are named by, whatever is committed while they are made', () =>
    inFolder(async (folder) => {
      const store = await openChainStore({
        ...{ folder: join(folder, 'db'), chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: nativeHasher },
      });
      const entries = makeEntries(3_000, 200);
      await store.initialise(new Map());
      const first = committed(1, GENESIS_HASH, { changes: entries });
      await store.commit([first]);
      const snapshots = await open(folder, { interval: 1 });
      snapshots.onCommit(headerOf(1, entries), entries.size, store);
      const changes = new Map<StateKey, Uint8Array | undefined>([[key('new'), utf8('x')]]);
      for (const name of [...entries.keys()].slice(0, 1_000)) changes.set(name, undefined);
      await store.commit([committed(2, first.blockId, { changes })]);
      await snapshots.idle();
      assert.deepEqual(snapshots.manifestBelow(9), snapshotOf(1, entries).manifest);
      await store.close();
    }));

  it('are made at their interval, and the newest are kept, over a restart too', () =>
    inFolder(async (folder) => {
      const entries = makeEntries(10, 10);
      const snapshots = await open(folder);
      for (const height of [5, 10, 11, 20, 30]) await make(snapshots, height, entries);
      const heights = (of: Snapshots): number[] => of.held.map(({ height }) => height);
      assert.deepEqual(heights(snapshots), [20, 30]);
      assert.deepEqual((await readdir(join(folder, 'snapshots'))).sort(), ['20', '30']);
      const again = await open(folder);
      assert.deepEqual(again.held, snapshots.held);
      assert.equal(again.manifestBelow(30)?.height, 20);
      assert.equal(again.manifestBelow(20), null);
      const off = await open(join(folder, 'off'), { interval: 0 });
      await make(off, 10, entries);
      assert.deepEqual(off.held, []);
    }));

  it('that were not finished, or are damaged, are removed at the next start', () =>
    inFolder(async (folder) => {
      const snapshots = await open(folder);
      await make(snapshots, 10, makeEntries(10, 10));
      await make(snapshots, 20, makeEntries(10, 10));
      await mkdir(join(folder, 'snapshots', 'making-30'));
      await writeFile(join(folder, 'snapshots', 'making-30', 'chunks'), 'half');
      const index = join(folder, 'snapshots', '20', 'index');
      const bytes = await readFile(index);
      bytes[40] = (bytes[40] ?? 0) ^ 1;
      await writeFile(index, bytes);
      const again = await open(folder);
      assert.deepEqual(
        again.held.map(({ height }) => height),
        [10],
      );
      assert.deepEqual(await readdir(join(folder, 'snapshots')), ['10']);
    }));

  it('whose chunks were changed on the disk are never served', () =>
    inFolder(async (folder) => {
      const snapshots = await open(folder);
      await make(snapshots, 10, makeEntries(10, 10));
      const [held] = snapshots.held;
      assert.ok(held);
      const path = join(folder, 'snapshots', '10', 'chunks');
      const bytes = await readFile(path);
      bytes[50] = (bytes[50] ?? 0) ^ 1;
      await writeFile(path, bytes);
      await assert.rejects(snapshots.chunk(held.manifestHash, 0), coded('NOT_FOUND'));
      assert.deepEqual(snapshots.held, []);
      assert.deepEqual(await readdir(join(folder, 'snapshots')), []);
    }));

  it('give the true chunks or none, whatever happened to their files, and the next interval makes a new one', () =>
    inFolder(async (folder) => {
      const rng = new Prng(`snapshots/${process.env['DAMAGE_SEED'] ?? '1'}`);
      const whole = join(folder, 'whole');
      const entries = makeEntries(2_000, 600);
      const truth = snapshotOf(10, entries);
      await make(await open(whole), 10, entries);
      for (const name of ['index', 'chunks']) {
        for (let round = 0; round < DAMAGE_ROUNDS * DAMAGES.length; round++) {
          const damaged = join(folder, 'damaged');
          await cp(whole, damaged, { recursive: true });
          const path = join(damaged, 'snapshots', '10', name);
          // A file may be damaged before it is opened, or while the node offers it.
          const isOpen = rng.chance(0.5);
          const { log, lines } = collectLines();
          const early = isOpen ? await open(damaged, { log }) : null;
          const what = `${name} ${await damageFile(path, DAMAGES[round % DAMAGES.length] ?? 'cut', rng)}`;
          const snapshots = early ?? (await open(damaged, { log }));
          const [held] = snapshots.held;
          const wrong = [];
          for (const [index, chunk] of truth.chunks.entries()) {
            if (!held) break;
            const bytes = await snapshots.chunk(held.manifestHash, index).catch((error: unknown) => {
              assert.ok(coded('NOT_FOUND')(error), what);
              wrong.push(index);
            });
            assert.ok(!bytes || equalBytes(bytes, chunk), what);
          }
          if (!held || wrong.length > 0) {
            assert.deepEqual(snapshots.held, [], what);
            assert.deepEqual(await readdir(join(damaged, 'snapshots')), [], what);
            assert.deepEqual([lines.length, lines[0]?.level], [1, 'warn'], what);
            assert.match(lines[0]?.msg ?? '', /damaged/);
          }
          await make(snapshots, 20, entries);
          const hash = nativeHasher.hash(encodeManifest(snapshotOf(20, entries).manifest));
          assert.ok(equalBytes(await snapshots.chunk(hash, 0), truth.chunks[0] ?? ZERO_HASH), what);
          await rm(damaged, { recursive: true });
        }
      }
    })).timeout(60_000);

  it('are given up when the file that sorts their entries changes on the disk', () =>
    inFolder(async (folder) => {
      const rng = new Prng(`spill/${process.env['DAMAGE_SEED'] ?? '1'}`);
      for (const kind of DAMAGES.filter((each) => each !== 'removal')) {
        const path = join(folder, `spill-${rng.next()}`);
        const spill = await Spill.create(path, 5_000, nativeHasher);
        for (let i = 0; i < 20_000; i++) {
          const own = utf8(`key ${i}`);
          spill.add(nativeHasher.hash(own), nativeHasher.hash(own), own, own);
        }
        await spill.flush();
        const what = await damageFile(path, kind, rng);
        await assert.rejects(
          spill.take(0, 2 ** spill.bits, () => Promise.resolve()),
          coded('CORRUPT'),
          what,
        );
        await spill.close();
      }
    }));

  it('that do not have the root of their block are not offered, and the chain goes on', () =>
    inFolder(async (folder) => {
      const snapshots = await open(folder);
      const entries = makeEntries(10, 10);
      snapshots.onCommit(headerOf(10, makeEntries(11, 10)), entries.size, storeOf(entries));
      await snapshots.idle();
      assert.deepEqual(snapshots.held, []);
      assert.deepEqual(await readdir(join(folder, 'snapshots')), []);
    }));

  it('are made one at a time, and given up when the node stops', () =>
    inFolder(async (folder) => {
      let open_: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        open_ = resolve;
      });
      const entries = makeEntries(100, 10);
      const slow = {
        async *stateEntries() {
          await gate;
          yield* storeOf(entries).stateEntries();
        },
      };
      const snapshots = await open(folder);
      snapshots.onCommit(headerOf(10, entries), entries.size, slow);
      snapshots.onCommit(headerOf(20, entries), entries.size, storeOf(entries));
      open_();
      await snapshots.idle();
      assert.deepEqual(
        snapshots.held.map(({ height }) => height),
        [10],
      );
      snapshots.onCommit(headerOf(30, entries), entries.size, storeOf(entries));
      await snapshots.stop();
      assert.deepEqual(await readdir(join(folder, 'snapshots')), ['10']);
      snapshots.onCommit(headerOf(40, entries), entries.size, storeOf(entries));
      await snapshots.idle();
      assert.equal(snapshots.held.length, 1);
    }));
});
