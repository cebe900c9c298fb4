/** Seeded randomness, so that a run can be repeated. */
import { createHash } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1). */
  readonly next: () => number;
  /** Uniform integer in [0, below). */
  readonly integer: (below: number) => number;
  /** Exponential with this mean: gaps of a Poisson process. */
  readonly exponential: (mean: number) => number;
  readonly pick: <T>(items: readonly T[]) => T;
  readonly shuffle: <T>(items: readonly T[]) => T[];
}

/** SHA-256 in counter mode over a text seed. */
export function createRandom(seed: string): Random {
  let block = new DataView(new ArrayBuffer(0));
  let at = 0;
  let counter = 0;
  const next = (): number => {
    if (at >= block.byteLength) {
      const bytes = new Uint8Array(createHash('sha256').update(`${seed}/${counter++}`).digest());
      block = new DataView(bytes.buffer);
      at = 0;
    }
    const value = block.getUint32(at) / 2 ** 32;
    at += 4;
    return value;
  };
  const integer = (below: number): number => Math.floor(next() * below);
  return {
    next,
    integer,
    exponential: (mean) => -Math.log(1 - next()) * mean,
    pick: (items) => items[integer(items.length)] as (typeof items)[number],
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        [out[i], out[j]] = [out[j] as (typeof out)[number], out[i] as (typeof out)[number]];
      }
      return out;
    },
  };
}
