/** Values that break what is not careful: of each kind some that are right, so that the deeper layers are reached. */
import type { Random } from '../../testnet/load/random.ts';

const STRINGS = [
  '',
  ' ',
  '0',
  '-1',
  '1e999',
  '0x10',
  'NaN',
  'null',
  'true',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  '%00',
  '%ff%fe',
  '\u0000',
  '\ud800',
  '𝟙𝟚𝟛',
  'ａｉｔ１',
  "' OR 1=1 --",
  '<script>alert(1)</script>',
  '${7*7}',
  'a'.repeat(300),
  '9'.repeat(400),
  '['.repeat(50),
];
const NUMBERS = [0, -0, 1, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, -(2 ** 53), 1e21, 1e308, Number.MIN_VALUE];
const MAX_DEPTH = 4;

/** What is known of the chain: addresses, hashes, transactions' bytes in hex. */
export interface Known {
  readonly texts: readonly string[];
  readonly transactions: readonly string[];
}

export class Values {
  readonly #random: Random;
  readonly #known: Known;

  constructor(random: Random, known: Known) {
    this.#random = random;
    this.#known = known;
  }

  chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  text(): string {
    const { next, pick, integer } = this.#random;
    const kind = next();
    if (kind < 0.4) return pick(this.#known.texts);
    if (kind < 0.6) return String(integer(20));
    if (kind < 0.9) return pick(STRINGS);
    return Array.from({ length: integer(40) }, () => String.fromCharCode(integer(0x3000))).join('');
  }

  number(): number {
    return this.chance(0.5) ? this.#random.integer(100) : this.#random.pick(NUMBERS);
  }

  json(depth = 0): unknown {
    const { pick, integer } = this.#random;
    const kind = integer(depth >= MAX_DEPTH ? 4 : 6);
    if (kind === 0) return this.text();
    if (kind === 1) return this.number();
    if (kind === 2) return pick([null, true, false]);
    if (kind === 3) return this.transaction();
    if (kind === 4) return Array.from({ length: integer(6) }, () => this.json(depth + 1));
    return Object.fromEntries(Array.from({ length: integer(6) }, () => [this.text(), this.json(depth + 1)]));
  }

  /** Hex of a transaction: mostly a real one with some bytes changed, cut off or added. */
  transaction(): string {
    const { next, pick, integer } = this.#random;
    const bytes = Buffer.from(pick(this.#known.transactions), 'hex');
    const kind = next();
    if (kind < 0.1) return bytes.toString('hex');
    if (kind < 0.3) return bytes.subarray(0, integer(bytes.length)).toString('hex');
    if (kind < 0.4) return bytes.toString('hex') + '00'.repeat(1 + integer(40));
    if (kind < 0.5) return bytes.toString('base64').slice(0, integer(400));
    for (let i = 0; i <= integer(4); i++) bytes[integer(bytes.length)] = integer(256);
    return bytes.toString('hex');
  }

  /** A text of JSON that may not parse, or is deep beyond sense. */
  jsonText(value: unknown): string {
    const { next, integer } = this.#random;
    const text = JSON.stringify(value);
    const kind = next();
    if (kind < 0.85) return text;
    if (kind < 0.9) return text.slice(0, integer(text.length + 1));
    if (kind < 0.93) return '['.repeat(integer(20_000));
    if (kind < 0.96) return `${'{"a":'.repeat(integer(3_000))}1`;
    const at = integer(text.length + 1);
    return text.slice(0, at) + String.fromCharCode(integer(256)) + text.slice(at + 1);
  }
}
