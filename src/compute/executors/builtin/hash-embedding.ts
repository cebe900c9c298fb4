/**
 * `aitbc-hash-256`: vectors of texts by their spelling. Words and runs of 3 to 5 characters are counted into 256 signed
 * buckets (feature hashing, Weinberger et al., arXiv 0902.2206), damped by the square root, scaled to length 1. The cosine
 * of two vectors says how much spelling two texts share: enough to find duplicates and to rank by common words, across
 * typing errors and inflections. It knows nothing of meaning: "car" and "automobile" are strangers.
 *
 * Only integers, +, *, / and square roots, which IEEE 754 fixes to the bit: the same text gives the same bytes on every
 * machine of one Unicode version.
 */

export const HASH_EMBEDDING_SIZE = 256;
export const HASH_EMBEDDING_RULES = `aitbc-hash-256/1 unicode ${process.versions['unicode'] ?? ''}`;

const SHORTEST_RUN = 3;
const LONGEST_RUN = 5;
/** A word shared counts as much as two of its runs. */
const WORD_WEIGHT = 2;
const FNV_START = 0x811c9dc5;

/** float32, little-endian, one vector after the other. */
export function embed(texts: readonly string[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(texts.length * HASH_EMBEDDING_SIZE * 4));
  texts.forEach((text, row) => {
    hashVector(text).forEach((value, column) => {
      view.setFloat32((row * HASH_EMBEDDING_SIZE + column) * 4, value, true);
    });
  });
  return new Uint8Array(view.buffer);
}

/** All zeros for a text without letters and digits. */
export function hashVector(text: string): Float64Array {
  const counts = new Float64Array(HASH_EMBEDDING_SIZE);
  for (const [word] of text
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const characters = Array.from(`<${word}>`, (character) => character.codePointAt(0) ?? 0);
    add(counts, characters.reduce(fnvStep, FNV_START), WORD_WEIGHT);
    for (let start = 0; start + SHORTEST_RUN <= characters.length; start++) {
      let hash = FNV_START;
      const end = Math.min(start + LONGEST_RUN, characters.length);
      for (let at = start; at < end; at++) {
        hash = fnvStep(hash, characters[at] ?? 0);
        if (at - start + 1 >= SHORTEST_RUN) add(counts, hash, 1);
      }
    }
  }
  const damped = counts.map((count) => Math.sign(count) * Math.sqrt(Math.abs(count)));
  const length = Math.sqrt(damped.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? damped : damped.map((value) => value / length);
}

function add(counts: Float64Array, feature: number, weight: number): void {
  const hash = mix(feature);
  const bucket = hash % HASH_EMBEDDING_SIZE;
  counts[bucket] = (counts[bucket] ?? 0) + (hash >>> 31 === 0 ? weight : -weight);
}

/** FNV-1a, over code points. */
function fnvStep(hash: number, codePoint: number): number {
  return Math.imul(hash ^ codePoint, 0x01000193);
}

/** The last mixing of MurmurHash3: FNV's own low bits are weak. */
function mix(feature: number): number {
  let hash = Math.imul(feature ^ (feature >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
