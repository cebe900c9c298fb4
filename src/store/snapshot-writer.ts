/**
 * Makes the files of one snapshot beside the running chain: read as of its height, sorted by path through a file
 * (snapshot-spill.ts), cut, hashed and written, in slices of few milliseconds with rests between them.
 */
import type { FileHandle } from 'node:fs/promises';
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Hash } from '../bytes.ts';
import { equalBytes, keyBytes, toHex, ZERO_HASH } from '../bytes.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { ChunkRef, Cut, StateManifest } from '../chain/state-chunks.ts';
import {
  chunkNode,
  cutLeaves,
  isChunk,
  manifestRoot,
  MAX_CHUNKS,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  withBit,
} from '../chain/state-chunks.ts';
import type { StateKey } from '../chain/state.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import { replaceFile, writeAll } from './files.ts';
import type { StoredChunk } from './snapshot-index.ts';
import { CHUNKS_FILE, encodeIndex, INDEX_FILE } from './snapshot-index.ts';
import type { SpilledLeaf } from './snapshot-spill.ts';
import { Spill } from './snapshot-spill.ts';

/** Work at a stretch, and rests as long as so many times the work: a fifth of one core. */
const SLICE_MS = 4;
const REST_FACTOR = 4;
const ENTRIES_A_LOOK = 32;
const FLUSH_BYTES = 1024 * 1024;

export interface SnapshotSource {
  readonly height: number;
  readonly stateRoot: Hash;
  /** Leaves of the state, for room. */
  readonly size: number;
  /** All entries as of the height, however long reading takes. */
  readonly entries: AsyncIterable<readonly [StateKey, Uint8Array]>;
}

export interface WriterModules {
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** @throws NodeError CORRUPT when the entries do not have the root, TOO_LARGE when they cannot be cut; STORAGE by the caller */
export async function writeSnapshot(
  folder: string,
  source: SnapshotSource,
  modules: WriterModules,
): Promise<{ readonly manifest: StateManifest; readonly chunks: readonly StoredChunk[] }> {
  const pace = new Pace(modules);
  const spillPath = join(folder, 'spill');
  const spill = await Spill.create(spillPath, source.size, modules.hasher);
  try {
    await sortIn(spill, source, modules.hasher, pace);
    const file = await open(join(folder, CHUNKS_FILE), 'wx', 0o600);
    try {
      const { refs, chunks } = await writeChunks(file, spill, modules.hasher, pace);
      const manifest = { height: source.height, chunks: refs };
      checkRoot(modules.hasher, manifest, source.stateRoot);
      await file.sync();
      await replaceFile(join(folder, INDEX_FILE), encodeIndex(modules.hasher, manifest, chunks));
      return { manifest, chunks };
    } finally {
      await file.close();
    }
  } finally {
    await spill.close();
    await unlink(spillPath);
  }
}

function checkRoot(hasher: Hasher, manifest: StateManifest, expected: Hash): void {
  const found = manifestRoot(hasher, manifest);
  if (equalBytes(found, expected)) return;
  throw new NodeError('CORRUPT', 'the state that was read for a snapshot does not have the root of its block', {
    data: { height: manifest.height, expected: toHex(expected), found: toHex(found) },
    hint: 'stop the node and check its database: aitbc chain verify',
  });
}

async function sortIn(spill: Spill, { entries }: SnapshotSource, hasher: Hasher, pace: Pace): Promise<void> {
  let looked = 0;
  for await (const [name, value] of entries) {
    const key = keyBytes(name);
    if (key.length > MAX_KEY_BYTES || value.length > MAX_VALUE_BYTES) {
      throw new NodeError('TOO_LARGE', 'an entry of the state is too large for a snapshot', {
        data: { keyBytes: key.length, valueBytes: value.length },
      });
    }
    spill.add(hasher.hash(key), hasher.hash(value), key, value);
    looked += 1;
    if (looked % ENTRIES_A_LOOK !== 0) continue;
    if (spill.pendingBytes > FLUSH_BYTES) await spill.flush();
    await pace.breathe();
  }
  await spill.flush();
}

async function writeChunks(
  file: FileHandle,
  spill: Spill,
  hasher: Hasher,
  pace: Pace,
): Promise<{ readonly refs: readonly ChunkRef[]; readonly chunks: readonly StoredChunk[] }> {
  const refs: ChunkRef[] = [];
  const chunks: StoredChunk[] = [];
  let offset = 0;
  for await (const { prefix, depth, leaves } of cutSpill(spill, pace)) {
    if (refs.length >= MAX_CHUNKS) {
      throw new NodeError('TOO_LARGE', 'the state is too large for a snapshot', { data: { chunks: MAX_CHUNKS } });
    }
    refs.push({ prefix, depth, node: chunkNode(hasher, leaves, depth) });
    await pace.breathe();
    const bytes = joined(leaves);
    chunks.push({ offset, length: bytes.length, hash: hasher.hash(bytes) });
    await writeAll(file, bytes, offset);
    offset += bytes.length;
    await pace.breathe();
  }
  return { refs, chunks };
}

/** The same cuts as `cutLeaves` makes of all leaves at once; those above a bucket are found from totals. */
async function* cutSpill(
  spill: Spill,
  pace: Pace,
  [low, high] = [0, 2 ** spill.bits],
  prefix = ZERO_HASH,
  depth = 0,
): AsyncGenerator<Cut<SpilledLeaf>> {
  const { bytes, count } = spill.totals(low, high);
  const between = (): Promise<void> => pace.breathe();
  if (isChunk(bytes, count)) {
    yield { prefix, depth, leaves: await spill.take(low, high, between) };
  } else if (high - low === 1) {
    yield* cutLeaves(await spill.take(low, high, between), prefix, depth);
  } else {
    const middle = (low + high) / 2;
    yield* cutSpill(spill, pace, [low, middle], prefix, depth + 1);
    yield* cutSpill(spill, pace, [middle, high], withBit(prefix, depth), depth + 1);
  }
}

function joined(leaves: readonly SpilledLeaf[]): Uint8Array {
  const bytes = new Uint8Array(leaves.reduce((sum, leaf) => sum + leaf.bytes, 0));
  let at = 0;
  for (const { entry } of leaves) {
    bytes.set(entry, at);
    at += entry.length;
  }
  return bytes;
}

/** Gives the thread back after each slice, for a multiple of what the slice took. */
class Pace {
  readonly #modules: WriterModules;
  #sinceMs: number;

  constructor(modules: WriterModules) {
    this.#modules = modules;
    this.#sinceMs = modules.clock.monotonic();
  }

  /** @throws the reason of the signal */
  async breathe(): Promise<void> {
    const { clock, signal } = this.#modules;
    signal.throwIfAborted();
    const workedMs = clock.monotonic() - this.#sinceMs;
    if (workedMs < SLICE_MS) return;
    await new Promise<void>((resolve) => {
      clock.after(Math.min(100, workedMs * REST_FACTOR), resolve);
    });
    this.#sinceMs = clock.monotonic();
  }
}
