import assert from 'node:assert/strict';
import fc from 'fast-check';
import { bytesKey } from '../../../src/bytes.ts';
import { voteSignBytes } from '../../../src/chain/votes.ts';
import type { GuardStatus, SignGuard } from '../../../src/store/guard.ts';
import type { DiskPart } from '../../../src/store/guard-disk.ts';
import { PAYLOAD_AT } from '../../../src/store/guard-file.ts';
import type { GuardRecord } from '../../../src/store/guard-record.ts';
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

const kindsAfter = async (disk: MemoryDisk): Promise<GuardStatus['kind']> => (await openGuard(disk)).status.kind;

describe('damage of the sign guard', () => {
  for (const newest of [3, 4]) {
    it(`is found at every byte of every file, record ${newest} being the newest`, async () => {
      const whole = await savedDisk(newest);
      for (const [name, bytes] of whole.files) {
        for (let at = 0; at < bytes.length; at++) {
          for (const flip of at < PAYLOAD_AT ? [1, 2, 4, 8, 16, 32, 64, 128] : [1, 0x80, 0xff]) {
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
    older.put('b', PAYLOAD_AT + 3, Uint8Array.of(0xff));
    assert.equal(await kindsAfter(older), 'ready');
    const newest = await savedDisk(3);
    newest.put('a', PAYLOAD_AT + 3, Uint8Array.of(0xff));
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
    both.put('a', PAYLOAD_AT, Uint8Array.of(0xff));
    both.put('b', PAYLOAD_AT, Uint8Array.of(0xff));
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

  it('cannot come from a killed process: every prefix of a write leaves the old record or the new one', async () => {
    const { record: next, value } = fullRecord(4);
    const before = await savedDisk(3);
    let parts: readonly DiskPart[] = [];
    const disk = before.copy();
    disk.onWrite = (name, written) => {
      if (name === 'b') parts = written;
    };
    await (await openGuard(disk)).save(next, value);
    const [payload, header] = parts;
    assert.ok(payload && header && parts.length === 2);
    const old = { kind: 'ready', record: fullRecord(3).record };
    for (let length = 0; length <= payload.bytes.length; length++) {
      const torn = before.copy();
      torn.put('b', payload.at, payload.bytes.subarray(0, length));
      assert.deepEqual((await openGuard(torn)).status, old);
      torn.put('b', header.at, header.bytes);
      if (length === payload.bytes.length) assert.equal(await kindsAfter(torn), 'ready');
    }
  });

  it('cannot come from a power cut: any sectors of the part being written leave the old record or the new one', async () => {
    const { record: next, value } = fullRecord(4);
    const before = await savedDisk(3);
    const parts: DiskPart[] = [];
    const disk = before.copy();
    disk.onWrite = (name, written) => {
      if (name === 'b') parts.push(...written);
    };
    await (await openGuard(disk)).save(next, value);
    await fc.assert(
      fc.asyncProperty(fc.nat(1), fc.array(fc.boolean(), { minLength: 64, maxLength: 64 }), async (synced, reached) => {
        const torn = before.copy();
        for (const { at, bytes } of parts.slice(0, synced)) torn.put('b', at, bytes);
        const old = torn.files.get('b') ?? new Uint8Array();
        const part = parts[synced];
        assert.ok(part);
        torn.put('b', part.at, part.bytes);
        const whole = torn.files.get('b') ?? new Uint8Array();
        const bytes = whole.map((byte, at) => (reached[Math.floor(at / 512) % 64] ? byte : (old[at] ?? 0)));
        torn.files.set('b', bytes);
        const { status } = await openGuard(torn);
        assert.ok(status.kind === 'ready' && [3, 4].includes(status.record.height));
      }),
    );
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
            const [payload, header] = parts;
            if (payload && header && disk.files.has(name)) {
              torn.put(name, payload.at, payload.bytes.subarray(0, Math.floor(killedAt * payload.bytes.length)));
              if (killedAt === 1) torn.put(name, header.at, header.bytes);
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
