/** States for tests of snapshots: entries of a size that makes chunks, and their manifest by the rule alone. */
import { compareBytes, ZERO_HASH } from '../../src/bytes.ts';
import type { ChunkRef, StateManifest } from '../../src/chain/state-chunks.ts';
import { chunkNode, cutLeaves, encodeChunk, entryBytes } from '../../src/chain/state-chunks.ts';
import type { StateKey } from '../../src/chain/state.ts';
import { statePath } from '../../src/chain/state.ts';
import { nativeHasher } from '../../src/native/hasher.ts';

export function makeEntries(count: number, valueBytes: number, name = 'k'): Map<StateKey, Uint8Array> {
  const entries = new Map<StateKey, Uint8Array>();
  for (let i = 0; i < count; i++) entries.set(`\u0001${name}${i}`, new Uint8Array(valueBytes).fill(i & 0xff));
  return entries;
}

/** What a maker must come to. */
export function snapshotOf(
  height: number,
  entries: ReadonlyMap<StateKey, Uint8Array>,
): { readonly manifest: StateManifest; readonly chunks: readonly Uint8Array[] } {
  const leaves = [...entries]
    .map(([key, value]) => ({
      entry: [key, value] as const,
      path: statePath(nativeHasher, key),
      valueHash: nativeHasher.hash(value),
      bytes: entryBytes(key.length, value.length),
    }))
    .sort((a, b) => compareBytes(a.path, b.path));
  const cuts = [...cutLeaves(leaves, ZERO_HASH, 0)];
  return {
    manifest: {
      height,
      chunks: cuts.map(
        ({ prefix, depth, leaves: own }): ChunkRef => ({ prefix, depth, node: chunkNode(nativeHasher, own, depth) }),
      ),
    },
    chunks: cuts.map(({ leaves: own }) => encodeChunk(own.map(({ entry }) => entry))),
  };
}
