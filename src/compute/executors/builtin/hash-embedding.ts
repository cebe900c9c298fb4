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

/** A word shared counts as much as two of its runs. */
const WORD_WEIGHT = 2;
const FNV_START = 0x811c9dc5;
const WORD_BEGIN = 0x3c;
const WORD_END = 0x3e;
/** Some milliseconds of a core. */
const STEP_CHARACTERS = 16 * 1024;

/** float32, little-endian, one vector after the other. */
export function embed(texts: readonly string[]): Uint8Array {
  const steps = embedSteps(texts);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

/** The same in small steps, between which others have their turn. */
export function* embedSteps(texts: readonly string[]): Generator<undefined, Uint8Array> {
  const view = new DataView(new ArrayBuffer(texts.length * HASH_EMBEDDING_SIZE * 4));
  for (const [row, text] of texts.entries()) {
    const vector = yield* vectorSteps(text);
    vector.forEach((value, column) => {
      view.setFloat32((row * HASH_EMBEDDING_SIZE + column) * 4, value, true);
    });
  }
  return new Uint8Array(view.buffer);
}

/** All zeros for a text without letters and digits. */
export function hashVector(text: string): Float64Array {
  const steps = vectorSteps(text);
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

function* vectorSteps(text: string): Generator<undefined, Float64Array> {
  const counts = new Float64Array(HASH_EMBEDDING_SIZE);
  let characters = 0;
  for (const [word] of text
    .normalize('NFKC')
    .toLowerCase()
    .matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const hashes = new WordHashes(counts);
    hashes.take(WORD_BEGIN);
    // A word may be as long as a text.
    for (const character of word) {
      hashes.take(character.codePointAt(0) ?? 0);
      if (++characters % STEP_CHARACTERS === 0) yield;
    }
    hashes.take(WORD_END);
    add(counts, hashes.whole, WORD_WEIGHT);
  }
  const damped = counts.map((count) => Math.sign(count) * Math.sqrt(Math.abs(count)));
  const length = Math.sqrt(damped.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? damped : damped.map((value) => value / length);
}

/** Of a word and of the runs that end at each of its characters. */
class WordHashes {
  whole = FNV_START;
  readonly #counts: Float64Array;
  #characters = 0;
  /** Of the last characters, by how many they are. */
  #one = 0;
  #two = 0;
  #three = 0;
  #four = 0;

  constructor(counts: Float64Array) {
    this.#counts = counts;
  }

  take(codePoint: number): void {
    const characters = ++this.#characters;
    const five = fnvStep(this.#four, codePoint);
    this.#four = fnvStep(this.#three, codePoint);
    this.#three = fnvStep(this.#two, codePoint);
    this.#two = fnvStep(this.#one, codePoint);
    this.#one = fnvStep(FNV_START, codePoint);
    this.whole = fnvStep(this.whole, codePoint);
    if (characters >= 3) add(this.#counts, this.#three, 1);
    if (characters >= 4) add(this.#counts, this.#four, 1);
    if (characters >= 5) add(this.#counts, five, 1);
  }
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
