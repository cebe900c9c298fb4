import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equalBytes } from '../../../src/bytes.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { JoinFolder } from '../../../src/store/join-folder.ts';
import { fetchChunks, GIVE_UP_MS, HEDGE_MS, MAX_ROUNDS } from '../../../src/sync/join-chunks.ts';
import { JoinPeers, MAX_FAILURES, MAX_IN_FLIGHT, MAX_PER_PEER } from '../../../src/sync/join-peers.ts';
import { Prng } from '../../sim/prng.ts';
import { DAMAGES, damageFile } from '../../util/file-damage.ts';
import type { LogLine } from '../../util/log-lines.ts';
import { collectLines } from '../../util/log-lines.ts';
import type { PeerScript } from '../../util/scripted-network.ts';
import { ScriptedNetwork, stall } from '../../util/scripted-network.ts';
import { makeEntries, snapshotOf } from '../../util/snapshot-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { settle } from '../engine/node-under-test.ts';

const SNAPSHOT = snapshotOf(7, makeEntries(12_000, 600));
const TOTAL = SNAPSHOT.chunks.length;

interface Bed {
  readonly network: ScriptedNetwork;
  readonly folder: JoinFolder;
  readonly path: string;
  /** Of the folder. */
  readonly lines: LogLine[];
  /** Runs until it ends. */
  fetch(): Promise<boolean>;
  honest(): PeerScript;
}

async function withBed(use: (bed: Bed) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'aitbc-chunks-'));
  const clock = manualClock();
  const { log, lines } = collectLines();
  const network = new ScriptedNetwork();
  const folder = new JoinFolder(path, nativeCrypto, log);
  const abort = new AbortController();
  const fetch = async (): Promise<boolean> => {
    const peers = new JoinPeers(network, nopLogger);
    const ended: { result?: boolean; error?: Error } = {};
    void fetchChunks(SNAPSHOT.manifest, {
      ...{ crypto: nativeCrypto, folder, clock, log: nopLogger, network, peers, signal: abort.signal },
      onProgress: () => undefined,
    }).then(
      (result) => {
        ended.result = result;
      },
      (error: unknown) => {
        ended.error = error as Error;
      },
    );
    await waitFor('the chunks', async () => {
      clock.advance(50);
      await settle(3);
      return ended.result !== undefined || ended.error !== undefined;
    });
    if (ended.error !== undefined) throw ended.error;
    return ended.result ?? false;
  };
  const honest = (): PeerScript => ({
    snapshot: () => SNAPSHOT.manifest,
    chunk: ({ index }) => SNAPSHOT.chunks[index] ?? new Uint8Array(),
  });
  try {
    await use({ network, folder, path, lines, fetch, honest });
  } finally {
    abort.abort();
    await rm(path, { recursive: true, force: true });
  }
}

describe('fetching the chunks of a snapshot', () => {
  it('asks all peers at once, each within its bound, and each chunk once', () =>
    withBed(async ({ network, folder, fetch, honest }) => {
      assert.ok(TOTAL > 2 * MAX_IN_FLIGHT, String(TOTAL));
      const open = new Map<string, number>();
      let most = 0;
      let mostOfOne = 0;
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
        const chunk: PeerScript['chunk'] = async ({ index }) => {
          open.set(name, (open.get(name) ?? 0) + 1);
          const all = [...open.values()];
          most = Math.max(
            most,
            all.reduce((sum, one) => sum + one, 0),
          );
          mostOfOne = Math.max(mostOfOne, ...all);
          await settle(2);
          open.set(name, (open.get(name) ?? 1) - 1);
          return SNAPSHOT.chunks[index] ?? new Uint8Array();
        };
        network.scripts.set(name, { ...honest(), chunk });
      }
      assert.equal(await fetch(), true);
      assert.equal(most, MAX_IN_FLIGHT);
      assert.equal(mostOfOne <= MAX_PER_PEER, true);
      const asked = network.asked.filter(({ method }) => method === 'chunk');
      assert.equal(asked.length, TOTAL);
      assert.ok(new Set(asked.map(({ peer }) => peer)).size >= 4);
      for (const [index, bytes] of SNAPSHOT.chunks.entries()) {
        assert.ok(equalBytes(await folder.read(index), bytes), `chunk ${index}`);
      }
    })).timeout(20_000);

  it('fetches only what is not there yet', () =>
    withBed(async ({ network, folder, fetch, honest }) => {
      await folder.begin({ manifest: SNAPSHOT.manifest, block: emptyBlock(), certificate: emptyCertificate() });
      for (let index = 0; index < TOTAL - 3; index++)
        await folder.put(index, SNAPSHOT.chunks[index] ?? new Uint8Array());
      network.scripts.set('a', honest());
      assert.equal(await fetch(), true);
      assert.equal(network.asked.filter(({ method }) => method === 'chunk').length, 3);
    }));

  it('fetches again what was damaged on the disk since an earlier run, and only that', () =>
    withBed(async ({ network, folder, path, lines, fetch, honest }) => {
      const rng = new Prng(`chunks/${process.env['DAMAGE_SEED'] ?? '1'}`);
      network.scripts.set('a', honest());
      assert.equal(await fetch(), true);
      for (const kind of DAMAGES) {
        network.asked.length = 0;
        lines.length = 0;
        const hit = new Set(Array.from({ length: 1 + rng.below(TOTAL) }, () => rng.below(TOTAL)));
        for (const index of hit) await damageFile(join(path, `chunk-${index}`), kind, rng);
        assert.equal(await fetch(), true);
        const asked = network.asked.flatMap(({ method, request }) =>
          method === 'chunk' ? [(request as { index: number }).index] : [],
        );
        assert.deepEqual(asked.sort(byNumber), [...hit].sort(byNumber), kind);
        assert.equal(lines.filter(({ level }) => level === 'warn').length, kind === 'removal' ? 0 : hit.size, kind);
        for (const [index, bytes] of SNAPSHOT.chunks.entries()) assert.ok(equalBytes(await folder.read(index), bytes));
      }
    })).timeout(60_000);

  it('fetches again what was damaged on the disk while others were on their way', () =>
    withBed(async ({ network, folder, path, lines, fetch, honest }) => {
      const rng = new Prng('meanwhile');
      const seen = new Set<number>();
      const chunk: PeerScript['chunk'] = async ({ index }) => {
        if (index === TOTAL - 1 && !seen.has(index)) await damageFile(join(path, 'chunk-0'), 'flip', rng);
        seen.add(index);
        return SNAPSHOT.chunks[index] ?? new Uint8Array();
      };
      network.scripts.set('a', { ...honest(), chunk });
      assert.equal(await fetch(), true);
      assert.equal(lines.filter(({ level }) => level === 'warn').length, 1);
      assert.equal(network.asked.filter(({ method }) => method === 'chunk').length, TOTAL + 1);
      assert.ok(equalBytes(await folder.read(0), SNAPSHOT.chunks[0] ?? new Uint8Array()));
    })).timeout(20_000);

  it(`gives up with STORAGE when the disk has spoilt what was written ${MAX_ROUNDS} times`, () =>
    withBed(async ({ network, path, fetch, honest }) => {
      const rng = new Prng('spoilt');
      const chunk: PeerScript['chunk'] = async ({ index }) => {
        // The last one to come finds all others damaged.
        for (const name of await readdir(path)) {
          if (/^chunk-\d+$/.test(name)) await damageFile(join(path, name), 'cut', rng).catch(() => undefined);
        }
        return SNAPSHOT.chunks[index] ?? new Uint8Array();
      };
      network.scripts.set('a', { ...honest(), chunk });
      await assert.rejects(fetch(), { code: 'STORAGE' });
    })).timeout(60_000);

  it(`asks another peer after ${HEDGE_MS} ms for a last chunk that does not come, and none of other snapshots`, () =>
    withBed(async ({ network, fetch, honest }) => {
      const other = snapshotOf(7, makeEntries(10, 10));
      network.scripts.set('other', { ...honest(), snapshot: () => other.manifest });
      network.scripts.set('stalls', { ...honest(), chunk: stall }).set('honest', honest());
      assert.equal(await fetch(), true);
      const ofStalled = network.asked.filter(({ peer, method }) => peer === 'stalls' && method === 'chunk');
      assert.equal(ofStalled.length, MAX_PER_PEER);
      assert.ok(!network.asked.some(({ peer, method }) => peer === 'other' && method === 'chunk'));
    })).timeout(20_000);

  it(`asks a peer that fails ${MAX_FAILURES} times no more, and gives up ${GIVE_UP_MS} ms after the last one`, () =>
    withBed(async ({ network, fetch, honest }) => {
      const chunk = (): Promise<Uint8Array> => Promise.reject(new NodeError('TIMEOUT', 'too late'));
      network.scripts.set('late', { ...honest(), chunk });
      assert.equal(await fetch(), false);
      const asked = network.asked.filter(({ method }) => method === 'chunk').length;
      assert.ok(asked >= MAX_FAILURES && asked <= MAX_FAILURES + MAX_PER_PEER, String(asked));
      assert.deepEqual(network.reports, []);
    })).timeout(20_000);
});

function byNumber(a: number, b: number): number {
  return a - b;
}

function emptyCertificate() {
  const blockId = new Uint8Array(32);
  return { type: 'precommit' as const, height: 7, round: 0, blockId, signers: [], signatures: [] };
}

function emptyBlock() {
  const hash = new Uint8Array(32);
  const header = {
    ...{ version: 1, chainId: 'ait-devnet', height: 7, timeMs: 1, parent: hash, proposer: hash, txRoot: hash },
    ...{ receiptsRoot: hash, stateRoot: hash, validatorsHash: hash, nextValidatorsHash: hash },
    ...{ lastCommitHash: hash, evidenceRoot: hash },
  };
  return { header, lastCommit: null, evidence: [], txs: [] };
}
