import assert from 'node:assert/strict';
import fc from 'fast-check';
import { bytesKey } from '../../../src/bytes.ts';
import { voteSignBytes } from '../../../src/chain/votes.ts';
import type { GuardStatus, SignGuard } from '../../../src/store/guard.ts';
import type { DiskPart } from '../../../src/store/guard-disk.ts';
import { MAGIC, sha256 } from '../../../src/store/guard-file.ts';
import type { GuardRecord } from '../../../src/store/guard-record.ts';
import { parseSlot, SECTOR_BYTES } from '../../../src/store/guard-slot.ts';
import { Writer } from '../../../src/chain/codec.ts';
import { CHAIN_ID, coded, GENESIS_HASH } from './fixtures.ts';
import { fullRecord, openGuard, record, vote } from './guard-fixtures.ts';
import { MemoryDisk } from './memory-disk.ts';

/** A guard that saved heights 1 to `last`. */
async function savedDisk(last: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const guard = await openGuard(disk);
  for (let height = 1; height <= last; height++) {
    const { record: next, value } = fullRecord(height);
    await guard.save(next, value);
  }
  return disk;
}

/** Whatever was done to the files: never an older record as the newest, never wrong bytes of a value. */
async function checkHonest(disk: MemoryDisk, newest: number, what: string): Promise<SignGuard> {
  const store = { sequence: 0, height: newest - 1 };
  const guard = await openGuard(disk, { store });
  const { record: expected, value } = fullRecord(newest);
  const { status } = guard;
  if (status.kind === 'ready') assert.deepEqual(status.record, expected, what);
  else {
    assert.notEqual(status.kind, 'empty', what);
    assert.ok(guard.signAbove > newest - 1, what);
    await assert.rejects(guard.save(record(newest, 3, 'precommit')), coded('GUARD'), what);
  }
  const bytes = guard.value(value.blockId);
  if (bytes) assert.deepEqual(bytes, value.bytes, what);
  return guard;
}

/** Of a file: the header of a value, the stamp of the first sector of a slot. */
const STAMP_BYTES = 128;

const kindsAfter = async (disk: MemoryDisk): Promise<GuardStatus['kind']> => (await openGuard(disk)).status.kind;

/** One that is longer than the slots that were made for others. */
const LONG = { ...fullRecord(4).record, proposalMessage: new Uint8Array(6_000).fill(7) };

/** To slot b, over disks whose newest record, of height 3, is in slot a. */
const WRITES = [
  { what: 'a record', next: fullRecord(4).record, before: () => savedDisk(3) },
  { what: 'a record that needs more room', next: LONG, before: () => savedDisk(3) },
  { what: 'the first record after those of the older form', next: LONG, before: () => olderDisk(3) },
];

/** What saving a record writes to slot b; the disk as it is before. */
async function writeOf(before: MemoryDisk, next: GuardRecord): Promise<{ disk: MemoryDisk; parts: DiskPart[] }> {
  const disk = before.copy();
  const parts: DiskPart[] = [];
  disk.onWrite = (name, written) => {
    if (name === 'b') parts.push(...written);
  };
  await (await openGuard(disk)).save(next, fullRecord(next.height).value);
  return { disk: before.copy(), parts };
}

/** Of the part that is being written, only some sectors reach the disk. */
function cutPower(disk: MemoryDisk, part: DiskPart | undefined, reached: readonly boolean[]): void {
  for (let at = 0; part && at < part.bytes.length; at += SECTOR_BYTES) {
    const sector = (part.at + at) / SECTOR_BYTES;
    if (reached[sector % reached.length]) disk.put('b', part.at + at, part.bytes.subarray(at, at + SECTOR_BYTES));
  }
}

/** As `savedDisk`, with slots as they were written before they had sectors. */
async function olderDisk(last: number): Promise<MemoryDisk> {
  const disk = await savedDisk(last);
  for (const slot of ['a', 'b']) {
    const frame = parseSlot(disk.files.get(slot));
    assert.ok(frame.kind === 'valid');
    const { sequence, payload, payloadHash } = frame;
    const sealed = new Writer().raw(MAGIC).u16(1).u64(sequence).u32(payload.length).fixed(payloadHash, 32).finish();
    disk.files.delete(slot);
    disk.put(slot, 128, payload);
    disk.put(slot, 0, new Writer().raw(sealed).raw(sha256(sealed)).finish());
  }
  return disk;
}

describe('damage of the sign guard', () => {
  for (const newest of [3, 4]) {
    it(`is found at every byte of every file, record ${newest} being the newest`, async () => {
      const whole = await savedDisk(newest);
      for (const [name, bytes] of whole.files) {
        for (let at = 0; at < bytes.length; at++) {
          for (const flip of at < STAMP_BYTES ? [1, 2, 4, 8, 16, 32, 64, 128] : [1, 0xff]) {
            const disk = whole.copy();
            disk.put(name, at, Uint8Array.of((bytes[at] ?? 0) ^ flip));
            await checkHonest(disk, newest, `${name} byte ${at} flipped by ${flip}`);
          }
        }
      }
    });

    it(`is found at every length of every file, record ${newest} being the newest`, async () => {
      const whole = await savedDisk(newest);
      for (const [name, bytes] of whole.files) {
        for (let length = 0; length < bytes.length; length++) {
          const disk = whole.copy();
          disk.files.set(name, bytes.slice(0, length));
          await checkHonest(disk, newest, `${name} cut to ${length}`);
        }
        const disk = whole.copy();
        disk.files.delete(name);
        await checkHonest(disk, newest, `${name} removed`);
      }
    });
  }

  it('in the older record does no harm, in the newest lets the node sign from the height after next', async () => {
    // Sequence 5 in slot a is height 3, sequence 4 in slot b is height 2.
    const older = await savedDisk(3);
    older.put('b', SECTOR_BYTES + 100, Uint8Array.of(0xff));
    assert.equal(await kindsAfter(older), 'ready');
    // What the first sector does not tell any more, the others cannot: they may be left of an older record.
    older.put('b', 100, Uint8Array.of(0xff));
    assert.equal(await kindsAfter(older), 'uncertain');
    const newest = await savedDisk(3);
    newest.put('a', SECTOR_BYTES + 100, Uint8Array.of(0xff));
    const guard = await openGuard(newest, { store: { sequence: 5, height: 8 } });
    assert.equal(guard.status.kind, 'uncertain');
    assert.equal(guard.signAbove, 9);
    await assert.rejects(guard.save(record(9, 0, 'prevote')), coded('GUARD', /newest/));
    await guard.save(record(10, 0, 'prevote'));
    const again = await openGuard(newest, { store: { sequence: 5, height: 9 } });
    assert.deepEqual(again.status, { kind: 'ready', record: record(10, 0, 'prevote') });
  });

  it('of both records, or records in each other’s place, refuse everything until reset', async () => {
    const both = await savedDisk(3);
    both.put('a', 100, Uint8Array.of(0xff));
    both.put('b', 100, Uint8Array.of(0xff));
    const swapped = await savedDisk(3);
    const { a, b } = Object.fromEntries(swapped.files);
    assert.ok(a && b);
    swapped.files.set('a', b).set('b', a);
    for (const disk of [both, swapped]) {
      const guard = await openGuard(disk);
      assert.equal(guard.status.kind, 'corrupt');
      await assert.rejects(guard.save(record(99, 0, 'prevote')), coded('GUARD'));
      await guard.reset(20);
      await guard.save(record(21, 0, 'prevote'));
      assert.equal(await kindsAfter(disk), 'ready');
    }
  });

  for (const { what, next, before } of WRITES) {
    it(`cannot come from a killed process: every prefix of the write of ${what} leaves the old record or the new one`, async () => {
      const { disk: old, parts } = await writeOf(await before(), next);
      for (const [i, part] of parts.entries()) {
        const torn = old.copy();
        for (const { at, bytes } of parts.slice(0, i)) torn.put('b', at, bytes);
        for (let length = 0; length <= part.bytes.length; length += SECTOR_BYTES) {
          torn.put('b', part.at, part.bytes.subarray(0, length));
          const isWhole = i === parts.length - 1 && length === part.bytes.length;
          assert.deepEqual((await openGuard(torn)).status, {
            kind: 'ready',
            record: isWhole ? next : fullRecord(3).record,
          });
        }
      }
    });

    it(`cannot come from a power cut: any sectors of the write of ${what} leave the old record or the new one`, async () => {
      const { disk: old, parts } = await writeOf(await before(), next);
      const sectors = fc.array(fc.boolean(), { minLength: 64, maxLength: 64 });
      await fc.assert(
        fc.asyncProperty(fc.nat(parts.length - 1), sectors, async (synced, reached) => {
          const torn = old.copy();
          for (const { at, bytes } of parts.slice(0, synced)) torn.put('b', at, bytes);
          cutPower(torn, parts[synced], reached);
          const first = await openGuard(torn);
          assert.ok(first.status.kind === 'ready' && [3, 4].includes(first.status.record.height));
          // And once more, in the write after that.
          const again = await writeOf(torn, fullRecord(5).record);
          cutPower(again.disk, again.parts[0], reached.toReversed());
          const { status } = await openGuard(again.disk);
          assert.ok(status.kind === 'ready' && [3, 4, 5].includes(status.record.height));
        }),
      );
    });
  }

  it('of the newest record stays damage when the write after it, or the word of the operator, is cut off', async () => {
    for (const at of [100, SECTOR_BYTES + 100]) {
      for (const work of [
        (guard: SignGuard) => guard.reset(30),
        (guard: SignGuard) => guard.save(record(30, 0, 'prevote')),
      ]) {
        const disk = await savedDisk(4);
        disk.put('b', at, Uint8Array.of(0xff));
        assert.equal(await kindsAfter(disk), 'uncertain');
        const parts: DiskPart[] = [];
        const whole = disk.copy();
        whole.onWrite = (name, written) => {
          if (name === 'b' && parts.length === 0) parts.push(...written);
        };
        await work(await openGuard(whole));
        for (const [i, part] of parts.entries()) {
          const sectors = part.bytes.length / SECTOR_BYTES;
          for (let reached = 0; reached < 2 ** sectors - (i === parts.length - 1 ? 1 : 0); reached++) {
            const torn = disk.copy();
            for (const before of parts.slice(0, i)) torn.put('b', before.at, before.bytes);
            const bits = Array.from({ length: sectors }, (_, bit) => ((reached >> bit) & 1) === 1);
            cutPower(torn, part, bits);
            assert.equal(await kindsAfter(torn), 'uncertain');
          }
        }
      }
    }
  });

  it('is told from an interrupted write in slots of the older form too', async () => {
    for (const newest of [3, 4]) {
      const disk = await olderDisk(newest);
      assert.deepEqual((await openGuard(disk)).status, { kind: 'ready', record: fullRecord(newest).record });
      const [slot, other] = newest === 3 ? ['a', 'b'] : ['b', 'a'];
      const damaged = disk.copy();
      damaged.put(slot, 200, Uint8Array.of(0xff));
      assert.equal(await kindsAfter(damaged), 'uncertain');
      const interrupted = disk.copy();
      interrupted.put(other, 200, Uint8Array.of(0xff));
      assert.equal(await kindsAfter(interrupted), 'ready');
    }
  });

  it('of any bytes is never worse than uncertain where the other record is whole', async () => {
    const { record: next, value } = fullRecord(4);
    const before = await savedDisk(3);
    const after = before.copy();
    await (await openGuard(after)).save(next, value);
    const [old, fresh] = [before.files.get('b') ?? new Uint8Array(), after.files.get('b') ?? new Uint8Array()];
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 64, maxLength: 64 }), async (choice) => {
        const torn = after.copy();
        const bytes = fresh.map((byte, at) => ((choice[at >> 4] ?? 0) & 1 ? byte : (old[at] ?? 0)));
        torn.files.set('b', bytes);
        const { status } = await openGuard(torn);
        if (status.kind === 'ready') assert.ok([3, 4].includes(status.record.height));
        else assert.equal(status.kind, 'uncertain');
      }),
    );
  });

  it('and crashes at any moment never let two different things be signed at one place', async function () {
    this.timeout(120_000);
    const step = fc.record({
      advance: fc.constantFrom(0, 0, 1, 2, 3, 9),
      block: fc.constantFrom(null, 1, 2),
      // The share of the write that reaches the disk before the process is killed; null: it goes through.
      killedAt: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        let disk = new MemoryDisk();
        let guard = await openGuard(disk);
        const sent = new Map<string, string>();
        let place = 0;
        for (const { advance, block, killedAt } of steps) {
          // A forgetful validator: it may ask for the same place again, with another block.
          place += advance;
          const next = voteAt(place, block);
          disk.onWrite = (name, parts) => {
            if (killedAt === null) return;
            const torn = disk.copy();
            const sectors = parts.reduce((sum, { bytes }) => sum + bytes.length / SECTOR_BYTES, 0);
            let left = SECTOR_BYTES * Math.floor(killedAt * sectors);
            for (const { at, bytes } of disk.files.has(name) ? parts : []) {
              torn.put(name, at, bytes.subarray(0, left));
              left = Math.max(0, left - bytes.length);
            }
            disk = torn;
            throw new Error('killed');
          };
          try {
            await guard.save(next);
            const [signed] = next.signedVotes;
            assert.ok(signed);
            const at = `${signed.height}/${signed.round}/${signed.type}`;
            const bytes = bytesKey(voteSignBytes({ chainId: CHAIN_ID, genesisHash: GENESIS_HASH }, signed));
            assert.equal(sent.get(at) ?? bytes, bytes, at);
            sent.set(at, bytes);
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
          }
          disk.onWrite = () => undefined;
          if (killedAt !== null) guard = await openGuard(disk);
          assert.ok(guard.status.kind === 'ready' || guard.status.kind === 'empty', guard.status.kind);
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** Places in order: four a height, two rounds of a prevote and a precommit. */
function voteAt(place: number, block: number | null): GuardRecord {
  const [height, round] = [1 + Math.floor(place / 4), Math.floor(place / 2) % 2];
  const step = place % 2 === 0 ? 'prevote' : 'precommit';
  const blockId = block === null ? null : new Uint8Array(32).fill(block);
  return record(height, round, step, { signedVotes: [vote(step, height, round, blockId)] });
}
