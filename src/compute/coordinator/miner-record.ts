/** What a client has seen of a miner itself, pure: it fades, so that a miner that mends is found again. */
import { Reader, Writer } from '../../chain/codec.ts';

export interface MinerRecord {
  /** Weights that halve every HALF_LIFE_MS, as of `atMs`. */
  readonly successes: number;
  readonly losses: number;
  /** Contradictions in what it signed or sent. */
  readonly faults: number;
  /** Output bytes a second, a moving average; 0: not yet. */
  readonly bytesPerSecond: number;
  readonly atMs: number;
}

export type Experience =
  | { readonly type: 'success'; readonly bytesPerSecond: number | null }
  | { readonly type: 'loss' }
  | { readonly type: 'fault' }
  /** A result of a deterministic kind that is not what the work gives. */
  | { readonly type: 'wrong' };

const HALF_LIFE_MS = 6 * 3_600_000;
const SPEED_WEIGHT = 0.2;
/** Of one thousandth: the codec has no fractions. */
const SCALE = 1_000;
/** However often it contradicted itself, a miner is used when there is no other; one that gave a wrong result is not. */
const MOST_FAULTS = 3;
const WRONG_FAULTS = 8;
const EXCLUDED_FAULTS = 4;

export const NO_RECORD: MinerRecord = { successes: 0, losses: 0, faults: 0, bytesPerSecond: 0, atMs: 0 };

export function fade(record: MinerRecord, atMs: number): MinerRecord {
  const factor = 0.5 ** (Math.max(0, atMs - record.atMs) / HALF_LIFE_MS);
  const { successes, losses, faults } = record;
  return { ...record, successes: successes * factor, losses: losses * factor, faults: faults * factor, atMs };
}

export function learn(record: MinerRecord, experience: Experience, atMs: number): MinerRecord {
  const faded = fade(record, atMs);
  switch (experience.type) {
    case 'success': {
      const { bytesPerSecond: seen } = experience;
      const { bytesPerSecond: known } = faded;
      const speed = seen === null ? known : known === 0 ? seen : known + SPEED_WEIGHT * (seen - known);
      return { ...faded, successes: faded.successes + 1, bytesPerSecond: speed };
    }
    case 'loss':
      return { ...faded, losses: faded.losses + 1 };
    case 'fault':
      return { ...faded, faults: Math.max(faded.faults, Math.min(MOST_FAULTS, faded.faults + 1)) };
    case 'wrong':
      return { ...faded, faults: WRONG_FAULTS };
  }
}

/** Share of attempts that came to something, with one success and one loss assumed beforehand. */
export function reliability({ successes, losses, faults }: MinerRecord): number {
  return (successes + 1) / (successes + losses + faults + 2);
}

/** Ranked behind all others. */
export function isDistrusted({ faults }: MinerRecord): boolean {
  return faults >= 0.25;
}

/** Not used at all: for one half-life after a wrong result. */
export function isExcluded({ faults }: MinerRecord): boolean {
  return faults > EXCLUDED_FAULTS;
}

export function encodeRecord(record: MinerRecord): Uint8Array {
  const writer = new Writer(40);
  for (const weight of [record.successes, record.losses, record.faults]) writer.u64(Math.round(weight * SCALE));
  return writer
    .u64(Math.round(record.bytesPerSecond))
    .u64(Math.max(0, Math.floor(record.atMs)))
    .finish();
}

/** @throws NodeError CODEC */
export function decodeRecord(bytes: Uint8Array): MinerRecord {
  const reader = new Reader(bytes, 'record of a miner');
  const weight = (): number => reader.u64() / SCALE;
  const record = {
    successes: weight(),
    losses: weight(),
    faults: weight(),
    bytesPerSecond: reader.u64(),
    atMs: reader.u64(),
  };
  reader.end();
  return record;
}
