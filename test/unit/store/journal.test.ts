import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Clock } from '../../../src/clock.ts';
import { systemClock } from '../../../src/clock.ts';
import { bytesKey, toHex } from '../../../src/bytes.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { nopLogger } from '../../../src/log.ts';
import type { MetricsRegister } from '../../../src/metrics.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import type { Database } from '../../../src/store/db.ts';
import { openDatabase } from '../../../src/store/db.ts';
import type { JournalOptions } from '../../../src/store/journal.ts';
import { DiskJournal } from '../../../src/store/journal.ts';
import { CHAIN_ID, filled, GENESIS_HASH, inFolder, transaction } from './fixtures.ts';

const name = (byte: number): string => bytesKey(filled(byte));

/** Timers run when the test says so. */
function manualClock(): { clock: Clock; fire: () => void; pending: () => number } {
  const timers = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    after: (_ms, fn) => {
      timers.add(fn);
      return () => timers.delete(fn);
    },
  };
  const fire = (): void => {
    for (const fn of [...timers]) {
      timers.delete(fn);
      fn();
    }
  };
  return { clock, fire, pending: () => timers.size };
}

async function withDatabase(test: (db: Database) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const db = await openDatabase(folder);
    try {
      await test(db);
    } finally {
      await db.close();
    }
  });
}

async function openJournal(
  db: Database,
  options: JournalOptions = {},
  clock: Clock = manualClock().clock,
  metrics: MetricsRegister = nopRegister,
): Promise<DiskJournal> {
  const journal = new DiskJournal(db, clock, nopLogger, metrics, options);
  await journal.open();
  return journal;
}

const texts = (all: readonly Uint8Array[]): string[] => all.map(toHex).sort();

describe('journal of pending transactions', () => {
  it('survives a restart of the store, and closing writes what is queued', () =>
    inFolder(async (folder) => {
      const options = { folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher };
      const [kept, dropped] = [transaction(1, 0), transaction(1, 1)];
      const store = await openChainStore(options);
      store.journal.add(kept.key, kept.bytes);
      store.journal.add(dropped.key, dropped.bytes);
      await store.journal.flush();
      store.journal.remove(dropped.key);
      await store.close();
      const again = await openChainStore(options);
      assert.deepEqual(await again.journal.load(), [kept.bytes]);
      await again.close();
      const memory = await openChainStore({ ...options, journal: { memory: true } });
      memory.journal.remove(kept.key);
      memory.journal.add(dropped.key, dropped.bytes);
      await memory.journal.flush();
      assert.deepEqual(await memory.journal.load(), []);
      await memory.close();
    }));

  it('writes when its timer fires, and at once when enough is queued', () =>
    withDatabase(async (db) => {
      const { clock, fire, pending } = manualClock();
      const journal = await openJournal(db, { flushEntries: 3 }, clock);
      journal.add(name(1), filled(1));
      assert.equal(journal.queued, 1);
      assert.equal(pending(), 1);
      fire();
      await journal.flush();
      assert.equal(journal.queued, 0);
      for (const byte of [2, 3, 4]) journal.add(name(byte), filled(byte));
      // No timer fires from here on: the third addition started the write.
      while (journal.queued > 0) await new Promise(setImmediate);
      assert.deepEqual(texts(await journal.load()), texts([1, 2, 3, 4].map((byte) => filled(byte))));
    }));

  it('what others hold too is written only when it is still pending seconds later', () =>
    withDatabase(async (db) => {
      const { clock, fire, pending } = manualClock();
      const journal = await openJournal(db, {}, clock);
      for (const byte of [1, 2, 3]) journal.add(name(byte), filled(byte), true);
      journal.remove(name(1));
      fire();
      journal.remove(name(2));
      journal.add(name(4), filled(4), true);
      assert.equal(journal.queued, 2);
      fire();
      while (journal.queued > 1) await new Promise(setImmediate);
      journal.remove(name(4));
      fire();
      assert.equal(pending(), 0);
      assert.deepEqual(texts(await journal.load()), texts([filled(3)]));
    }));

  it('what others hold too is written at the end', () =>
    withDatabase(async (db) => {
      const { clock, fire, pending } = manualClock();
      const journal = await openJournal(db, {}, clock);
      journal.add(name(1), filled(1), true);
      fire();
      journal.add(name(2), filled(2), true);
      await journal.flush();
      assert.equal(pending(), 0);
      assert.deepEqual(texts(await journal.load()), texts([filled(1), filled(2)]));
    }));

  it('stays within its bounds and counts what it drops', () =>
    withDatabase(async (db) => {
      let dropped = 0;
      const metrics = { ...nopRegister, counter: () => ({ inc: () => void dropped++ }) };
      const journal = await openJournal(db, { maxEntries: 4, maxBytes: 100 }, manualClock().clock, metrics);
      for (let i = 0; i < 10; i++) journal.add(name(i), filled(i, 10));
      assert.equal(journal.size, 4);
      assert.equal(dropped, 6);
      for (let i = 0; i < 4; i++) journal.remove(name(i));
      journal.add(name(20), filled(20, 80));
      journal.add(name(21), filled(21, 21));
      assert.equal(journal.size, 1);
      assert.equal(dropped, 7);
      assert.ok(journal.queued <= 8);
      await journal.flush();
      assert.deepEqual(await journal.load(), [filled(20, 80)]);
      const smaller = await openJournal(db, { maxEntries: 0 });
      assert.deepEqual(await smaller.load(), []);
    }));

  it('bounds its queue while additions and removals alternate without a write', () =>
    withDatabase(async (db) => {
      const journal = await openJournal(db, { maxEntries: 10, flushEntries: 1_000_000 });
      for (let i = 0; i < 10; i++) journal.add(name(i), filled(i));
      await journal.flush();
      for (let i = 0; i < 200; i++) {
        journal.remove(name(i));
        journal.add(name(i + 10), filled(i + 10));
      }
      assert.ok(journal.size <= 10);
      assert.ok(journal.queued <= 20, `${journal.queued} queued`);
      await journal.flush();
      assert.equal((await journal.load()).length, journal.size);
    }));

  it('holds on disk what a set would hold, whatever is added, removed and flushed', async () => {
    const step = fc.tuple(fc.constantFrom('add', 'remove', 'flush', 'tick', 'reopen'), fc.integer({ min: 0, max: 5 }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) =>
        withDatabase(async (db) => {
          const model = new Set<number>();
          let journal = await openJournal(db, { flushEntries: 2 });
          for (const [action, n] of steps) {
            if (action === 'add') {
              model.add(n);
              journal.add(name(n), filled(n), n % 2 === 0);
            } else if (action === 'remove') {
              model.delete(n);
              journal.remove(name(n));
            } else if (action === 'tick') {
              await new Promise(setImmediate);
            } else {
              await journal.flush();
              if (action === 'reopen') journal = await openJournal(db, { flushEntries: 2 });
            }
          }
          assert.deepEqual(texts(await journal.load()), texts([...model].map((n) => filled(n))));
          assert.equal(journal.size, model.size);
        }),
      ),
      { numRuns: 60 },
    );
  });

  it('keeps nothing more, and never throws, after the disk failed; flush says so', async () => {
    const failing = {
      entries: async function* () {
        await Promise.resolve();
        yield* [];
      },
      write: () => Promise.reject(Object.assign(new Error('write: no space left on device'), { code: 'ENOSPC' })),
    } as unknown as Database;
    const journal = await openJournal(failing);
    journal.add(name(1), filled(1));
    await assert.rejects(journal.flush(), /no space left/);
    journal.add(name(2), filled(2));
    journal.remove(name(1));
    assert.equal(journal.queued, 0);
    await assert.rejects(journal.flush());
  });
});
