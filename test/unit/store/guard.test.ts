import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SignGuard } from '../../../src/store/guard.ts';
import { guardFolder, openSignGuard } from '../../../src/store/guard.ts';
import { DiskPace, nodeGuardDisk } from '../../../src/store/guard-disk.ts';
import { KEPT_ROUNDS } from '../../../src/store/guard-record.ts';
import { SIGN_NOTHING } from '../../../src/store/guard-recovery.ts';
import { coded, filled, inFolder, CHAIN_ID, GENESIS_HASH } from './fixtures.ts';
import { fullRecord, openGuard, proposal, PUBLIC_KEY, record, vote } from './guard-fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';

describe('sign guard', () => {
  it('brings back every field and the value after a restart', async () => {
    const disk = new MemoryDisk();
    const guard = await openGuard(disk);
    assert.deepEqual(guard.status, { kind: 'empty' });
    assert.equal(guard.sequence, 0);
    assert.equal(disk.files.size, 0);
    for (const height of [1, 2, 3]) {
      const { record: next, value } = fullRecord(height);
      await guard.save(next, value);
      const again = await openGuard(disk.copy());
      assert.deepEqual(again.status, { kind: 'ready', record: next });
      assert.deepEqual(again.value(value.blockId), value.bytes);
      assert.equal(again.sequence, guard.sequence);
      assert.equal(again.signAbove, height - 1);
      assert.equal(again.value(filled(99)), undefined);
    }
    assert.equal(guard.sequence, 5);
  });

  it('works on real files, for their owner alone', () =>
    inFolder(async (folder) => {
      const options = { folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, publicKey: PUBLIC_KEY };
      const guard = await openSignGuard({ ...options, store: { sequence: 0, height: 0 } });
      const own = guardFolder(folder, PUBLIC_KEY);
      await assert.rejects(stat(own));
      for (const height of [1, 2, 3]) {
        const { record: next, value } = fullRecord(height);
        await guard.save(next, value);
      }
      await guard.close();
      await assert.rejects(guard.save(record(4, 0, 'prevote')), coded('INTERNAL', /closed/));
      assert.equal((await stat(own)).mode & 0o777, 0o700);
      for (const name of await readdir(own)) assert.equal((await stat(join(own, name))).mode & 0o777, 0o600);
      const again = await openSignGuard({ ...options, store: { sequence: 5, height: 2 } });
      assert.deepEqual(again.status, { kind: 'ready', record: fullRecord(3).record });
      assert.deepEqual(again.value(filled(3)), fullRecord(3).value.bytes);
      await again.reset(9);
      assert.deepEqual((await readdir(own)).sort(), ['a', 'b']);
      await again.close();
    }));

  it('refuses to go back, and to sign two things at one place', async () => {
    const guard = await openGuard(new MemoryDisk());
    const a = filled(1);
    await guard.save(record(5, 1, 'prevote'));
    const before = guard.sequence;
    const refused = [
      record(4, 9, 'precommit'),
      record(5, 0, 'precommit'),
      record(5, 1, 'propose'),
      record(5, 1, 'prevote', { signedVotes: [vote('prevote', 5, 1, a)] }),
      record(5, 1, 'precommit', { signedVotes: [vote('prevote', 5, 1, a), vote('precommit', 5, 1, null)] }),
      record(5, 2, 'prevote', { signedVotes: [vote('precommit', 5, 0, null), vote('prevote', 5, 2, null)] }),
      record(5, 2, 'prevote', { signedVotes: [vote('prevote', 5, 2, null), vote('prevote', 5, 2, a)] }),
    ];
    for (const next of refused) await assert.rejects(guard.save(next), coded('WOULD_DOUBLE_SIGN'));
    const value = { blockId: a, bytes: a };
    const late = record(5, 1, 'prevote', { signedProposals: [proposal(5, 1, a)] });
    await assert.rejects(
      guard.save({ ...late, signedVotes: [vote('prevote', 5, 1, null)] }, value),
      coded('WOULD_DOUBLE_SIGN'),
    );
    for (const next of [
      record(5, 1, 'prevote', { signedVotes: [] }),
      record(6, 0, 'prevote', { signedVotes: [vote('prevote', 5, 0, null)] }),
      record(6, 0, 'prevote', { signedVotes: [vote('precommit', 6, 0, null)] }),
      record(6, 0, 'prevote', { signedVotes: [{ ...vote('prevote', 6, 0, null), validator: filled(1) }] }),
    ]) {
      await assert.rejects(guard.save(next), coded('INTERNAL'));
    }
    assert.equal(guard.sequence, before);
    await guard.save(record(5, 1, 'prevote'));
    await guard.save(
      record(5, 1, 'precommit', { signedVotes: [vote('prevote', 5, 1, null), vote('precommit', 5, 1, null)] }),
    );
    await guard.save(record(6, 0, 'prevote'));
    await assert.rejects(guard.save(record(5, 9, 'precommit')), coded('WOULD_DOUBLE_SIGN'));
  });

  it('tells a proposal of another polRound from the same one', async () => {
    const guard = await openGuard(new MemoryDisk());
    const value = { blockId: filled(1), bytes: filled(2) };
    const own = (polRound: number): ReturnType<typeof record> =>
      record(3, 2, 'propose', { signedProposals: [proposal(3, 2, value.blockId, polRound)] });
    await guard.save(own(-1), value);
    await guard.save(own(-1));
    await assert.rejects(guard.save(own(1)), coded('WOULD_DOUBLE_SIGN'));
  });

  it('leaves out what is many rounds back, and so stays small in a height that does not end', async () => {
    const disk = new MemoryDisk();
    const guard = await openGuard(disk);
    const signedVotes: ReturnType<typeof vote>[] = [];
    for (let round = 0; round < 100; round++) {
      signedVotes.push(vote('prevote', 1, round, null));
      await guard.save(record(1, round, 'prevote', { signedVotes: [...signedVotes] }));
    }
    const { status } = await openGuard(disk);
    assert.ok(status.kind === 'ready');
    assert.equal(status.record.signedVotes.length, KEPT_ROUNDS + 1);
    assert.equal(status.record.signedVotes.at(-1)?.round, 99);
    assert.ok((disk.files.get('a')?.length ?? 0) <= 4_096);
  });

  it('refuses lists and bytes above their caps, and writes nothing', async () => {
    const disk = new MemoryDisk();
    const guard = await openGuard(disk);
    await guard.save(record(1, 0, 'prevote'));
    const files = disk.copy().files;
    const many = Array.from({ length: 513 }, () => vote('prevote', 1, 0, null));
    await assert.rejects(guard.save(record(2, 0, 'prevote', { justification: many })), coded('INTERNAL'));
    const long = filled(1, 1024 * 1024 + 1);
    await assert.rejects(guard.save(record(2, 0, 'prevote', { proposalMessage: long })), coded('INTERNAL'));
    const value = { blockId: filled(1), bytes: filled(1, 4 * 1024 * 1024) };
    const lock = { lockedRound: 0, lockedId: value.blockId };
    await assert.rejects(guard.save(record(2, 0, 'prevote', lock), value), coded('INTERNAL'));
    assert.deepEqual(disk.files, files);
    await guard.save(record(2, 0, 'prevote'));
  });

  it('wants the value of every block that it names, and keeps no more files than slots', async () => {
    const disk = new MemoryDisk();
    const guard = await openGuard(disk);
    const named = (round: number, locked: number, valid: number): ReturnType<typeof record> =>
      record(1, round, 'prevote', {
        lockedRound: 0,
        lockedId: filled(locked),
        validRound: round,
        validId: filled(valid),
      });
    const value = (byte: number): { blockId: Uint8Array; bytes: Uint8Array } => ({
      blockId: filled(byte),
      bytes: filled(byte, 50),
    });
    await assert.rejects(guard.save(named(0, 1, 1)), coded('INTERNAL', /not given/));
    await assert.rejects(guard.save(named(0, 1, 1), value(2)), coded('INTERNAL', /not given/));
    await guard.save(named(0, 1, 1), value(1));
    for (let byte = 2; byte < 40; byte++) {
      await guard.save(named(byte, 1, byte), value(byte));
      const again = await openGuard(disk.copy());
      assert.deepEqual(again.value(filled(1)), filled(1, 50));
      assert.deepEqual(again.value(filled(byte)), filled(byte, 50));
      assert.equal(again.value(filled(byte - 1)), byte === 2 ? again.value(filled(1)) : undefined);
    }
    assert.ok(disk.files.size <= 2 + 6);
  });

  it('goes on signing with its lock when the file of the locked block is damaged', async () => {
    const disk = new MemoryDisk();
    const { record: first, value } = fullRecord(4);
    await (await openGuard(disk)).save(first, value);
    disk.put('value-0', 200, filled(0xee));
    const guard = await openGuard(disk);
    assert.deepEqual(guard.status, { kind: 'ready', record: first });
    assert.equal(guard.value(value.blockId), undefined);
    const next = { ...first, round: 3, step: 'prevote' as const };
    const signedVotes = [...first.signedVotes, vote('prevote', 4, 3, value.blockId)];
    await guard.save({ ...next, signedVotes });
    await guard.save({ ...next, step: 'precommit', signedVotes }, value);
    assert.deepEqual((await openGuard(disk)).value(value.blockId), value.bytes);
  });

  it('refuses a guard of another chain, genesis or key', async () => {
    const disk = new MemoryDisk();
    await (await openGuard(disk)).save(record(1, 0, 'prevote'));
    for (const other of [{ chainId: 'ait-testnet' }, { genesisHash: filled(1) }, { publicKey: filled(1) }]) {
      const guard = await openGuard(disk.copy(), other);
      assert.equal(guard.status.kind, 'corrupt');
      assert.equal(guard.signAbove, SIGN_NOTHING);
      const own = other.publicKey ? [] : [vote('prevote', 9, 0, null)];
      await assert.rejects(guard.save(record(9, 0, 'prevote', { signedVotes: own })), coded('GUARD', /another/));
    }
  });

  it('refuses a guard that is missing, or older than the block store', async () => {
    const disk = new MemoryDisk();
    const guard = await openGuard(disk);
    await guard.save(record(1, 0, 'prevote'));
    const old = disk.copy();
    for (const height of [2, 3]) await guard.save(record(height, 0, 'prevote'));
    const store = { sequence: guard.sequence, height: 3 };
    assert.equal((await openGuard(disk, { store })).status.kind, 'ready');
    assert.equal((await openGuard(disk, { store: { sequence: 4, height: 2 } })).status.kind, 'ready');
    for (const stale of [old, new MemoryDisk()]) {
      const refusing = await openGuard(stale, { store });
      assert.equal(refusing.status.kind, 'stale');
      assert.equal(refusing.signAbove, SIGN_NOTHING);
      await assert.rejects(refusing.save(record(50, 0, 'prevote')), coded('GUARD', /block store knows record 5/));
      await refusing.reset(60);
      assert.ok(refusing.sequence > store.sequence);
      assert.deepEqual((await openGuard(stale.copy(), { store })).status, { kind: 'empty' });
      await assert.rejects(refusing.save(record(60, 0, 'prevote')), coded('GUARD', /above height 60/));
      await refusing.save(record(61, 0, 'prevote'));
      const again = await openGuard(stale, { store });
      assert.equal(again.status.kind, 'ready');
    }
  });

  it('keeps the word of the operator when it is made after a crash in the middle of it', async () => {
    const disk = new MemoryDisk();
    await crashAtWrite(disk, 1, async (guard) => {
      await guard.reset(100);
    });
    await crashAtWrite(disk, 1, async (guard) => {
      assert.equal(guard.signAbove, 100);
      await guard.save(record(101, 0, 'prevote'));
    });
    const guard = await openGuard(disk);
    await assert.rejects(guard.save(record(100, 0, 'prevote')), coded('GUARD', /above height 100/));
    await guard.save(record(101, 0, 'prevote'));
  });

  it('takes the word of the operator only above what it knows itself', async () => {
    const disk = new MemoryDisk();
    const guard = await openGuard(disk);
    await guard.save(record(7, 0, 'prevote'));
    await assert.rejects(guard.reset(6), coded('GUARD', /height 7/));
    await guard.reset(7);
    await assert.rejects(guard.save(record(7, 5, 'prevote')), coded('GUARD'));
    assert.equal((await openGuard(disk)).signAbove, 7);
    await assert.rejects(guard.reset(6), coded('GUARD'));
    await guard.save(record(8, 0, 'prevote'));
  });

  it('signs nothing more after its disk failed, and forgets nothing that it had', async () => {
    for (const failing of ['a', 'b', 'value-0']) {
      for (const code of ['ENOSPC', 'EIO', 'EROFS']) {
        const disk = new MemoryDisk();
        const guard = await openGuard(disk);
        await guard.save(record(1, 0, 'prevote'));
        disk.onWrite = (name) => {
          if (name === failing) throw Object.assign(new Error(`${code}: write`), { code });
        };
        let saved = record(1, 0, 'prevote');
        let failed = false;
        for (const height of [2, 3, 4]) {
          const { record: next, value } = fullRecord(height);
          try {
            await guard.save(next, value);
            assert.ok(!failed, 'a save after a failed one');
            saved = next;
          } catch (error) {
            failed = true;
            coded('STORAGE')(error);
          }
        }
        assert.ok(failed);
        await assert.rejects(guard.reset(100), coded('STORAGE'));
        assert.deepEqual((await openGuard(disk)).status, { kind: 'ready', record: saved });
      }
    }
  });

  it('takes one call at a time', async () => {
    const guard = await openGuard(new MemoryDisk());
    const first = guard.save(record(1, 0, 'prevote'));
    await assert.rejects(guard.save(record(2, 0, 'prevote')), coded('INTERNAL', /already/));
    await first;
  });

  it('survives a crash while its files are made, and blocks fetched before the next start', async () => {
    const disk = new MemoryDisk();
    await crashAtWrite(disk, 1, async (guard) => {
      await guard.save(record(1, 0, 'prevote'));
    });
    assert.deepEqual([...disk.files.keys()], ['a']);
    // Each block records the guard's sequence, though nothing is signed while blocks are fetched.
    const store = { sequence: (await openGuard(disk)).sequence, height: 17 };
    assert.equal(store.sequence, 1);
    const again = await openGuard(disk, { store });
    assert.deepEqual(again.status, { kind: 'empty' });
    await again.save(record(18, 0, 'prevote'));
    disk.files.delete('b');
    assert.equal((await openGuard(disk, { store })).status.kind, 'uncertain');
  });

  it('survives a crash while its files are made', async () => {
    for (let writes = 0; writes < 3; writes++) {
      const disk = new MemoryDisk();
      const guard = await openGuard(disk);
      let left = writes;
      disk.onWrite = () => {
        if (left-- === 0) throw new Error('crash');
      };
      await assert.rejects(guard.save(record(1, 0, 'prevote')));
      disk.onWrite = () => undefined;
      const again = await openGuard(disk);
      assert.equal(again.status.kind, 'empty');
      await again.save(record(1, 0, 'prevote'));
      assert.equal((await openGuard(disk)).status.kind, 'ready');
    }
  });

  it('says what failed when its files cannot be read', () =>
    inFolder(async (folder) => {
      const own = guardFolder(folder, PUBLIC_KEY);
      await mkdir(join(own, 'a'), { recursive: true });
      await assert.rejects(openGuard(nodeGuardDisk(own)), coded('STORAGE', /sign guard/));
    }));
});

/** The process is killed as it begins its write after so many whole ones. */
async function crashAtWrite(disk: MemoryDisk, whole: number, work: (guard: SignGuard) => Promise<void>): Promise<void> {
  const guard = await openGuard(disk);
  let left = whole;
  disk.onWrite = () => {
    if (left-- === 0) throw new Error('crash');
  };
  await assert.rejects(work(guard));
  disk.onWrite = () => undefined;
}

describe('the disk of the sign guard', () => {
  it('overwrites parts, makes files whole, reads no more than asked, and removes', () =>
    inFolder(async (root) => {
      const folder = join(root, 'guard');
      const disk = nodeGuardDisk(folder);
      assert.equal(await disk.read('x', 100), undefined);
      await disk.remove('x');
      await disk.writeSynced('x', [
        { at: 4, bytes: filled(1, 4) },
        { at: 0, bytes: filled(2, 2) },
      ]);
      assert.deepEqual(await readdir(folder), ['x']);
      assert.deepEqual(await disk.read('x', 100), Uint8Array.of(2, 2, 0, 0, 1, 1, 1, 1));
      await disk.writeSynced('x', [{ at: 6, bytes: filled(3, 4) }]);
      assert.deepEqual(new Uint8Array(await readFile(join(folder, 'x'))), Uint8Array.of(2, 2, 0, 0, 1, 1, 3, 3, 3, 3));
      assert.deepEqual(await disk.read('x', 3), Uint8Array.of(2, 2, 0));
      await disk.remove('x');
      assert.equal(await disk.read('x', 100), undefined);
      await disk.close();
      await writeFile(join(folder, 'y'), 'abc');
      await chmod(join(folder, 'y'), 0o600);
      assert.deepEqual(await disk.read('y', 2), Uint8Array.of(97, 98));
      await disk.close();
    }));

  it('is waited for while it is quick, and left to the threads once it is not, or where much is written', () => {
    const pace = new DiskPace();
    /** Parts left to the threads before the next one that is waited for. */
    const asides = (): number => {
      let count = 0;
      while (!pace.mayWait(1_000)) count++;
      return count;
    };
    assert.equal(asides(), 0);
    const slow = Array.from({ length: 10 }, () => {
      pace.onWaited(30);
      return asides();
    });
    assert.deepEqual(slow, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    pace.onWaited(2);
    assert.equal(asides(), 0);
    pace.onWaited(11);
    assert.equal(asides(), 1);
    assert.equal(new DiskPace().mayWait(4 * 1024 * 1024), false);
  });
});
