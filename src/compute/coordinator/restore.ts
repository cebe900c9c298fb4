/** What a coordinator finds when it starts: its keys, jobs, agreements and what it remembers of miners. */
import { bytesKey, keyBytes } from '../../bytes.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import type { Rows } from './ports.ts';
import type { WrongResult } from './replay.ts';
import type { AgreementRow, AttemptRow, JobRow, LedgerRow, ProgressRow, ResultRow } from './rows.ts';
import {
  decodeAgreementRow,
  decodeAttempt,
  decodeJobRow,
  decodeLedger,
  decodeProgress,
  decodeResult,
  decodeWrongResult,
  TABLE,
} from './rows.ts';

export interface RestoredJob {
  readonly id: Uint8Array;
  readonly row: JobRow;
  readonly content: Uint8Array | null;
  readonly progress: ProgressRow;
  readonly attempt: AttemptRow | null;
  readonly result: ResultRow | null;
  readonly output: Uint8Array | null;
}

export interface Restored {
  /** Session seed and seal secret, 32 bytes each; null in a new folder. */
  readonly keys: { readonly session: Uint8Array; readonly seal: Uint8Array } | null;
  /** The oldest first. */
  readonly jobs: readonly RestoredJob[];
  readonly agreements: readonly { readonly id: Uint8Array; readonly row: AgreementRow; readonly ledger: LedgerRow }[];
  readonly records: ReadonlyMap<string, Uint8Array>;
  readonly contradictions: number;
  /** By job. */
  readonly wrongResults: ReadonlyMap<string, WrongResult>;
  readonly places: ReadonlyMap<string, Uint8Array>;
}

/** @throws NodeError CORRUPT when rows do not decode, or belong to none */
export async function restore(rows: Rows): Promise<Restored> {
  const tables = new Map<number, Map<string, Uint8Array>>();
  for await (const { key, value } of rows.load()) {
    const table = key[0] ?? 0;
    const ofTable = tables.get(table) ?? new Map<string, Uint8Array>();
    tables.set(table, ofTable.set(bytesKey(key.subarray(1)), value));
  }
  const of = (table: number): ReadonlyMap<string, Uint8Array> => tables.get(table) ?? new Map<string, Uint8Array>();
  try {
    return {
      keys: keysFrom(of(TABLE.keys).get('')),
      jobs: jobsFrom(of),
      agreements: agreementsFrom(of(TABLE.agreement), of(TABLE.ledger)),
      records: of(TABLE.record),
      contradictions: of(TABLE.contradiction).size,
      places: of(TABLE.receiptPlace),
      wrongResults: new Map([...of(TABLE.wrongResult)].map(([key, value]) => [key, decodeWrongResult(value)])),
    };
  } catch (cause) {
    if (!isNodeError(cause) || cause.code !== 'CODEC') throw cause;
    throw new NodeError('CORRUPT', 'what the coordinator kept does not decode', {
      cause,
      hint: 'restore it from a copy; agreements return what is left of them when they expire',
    });
  }
}

function keysFrom(value: Uint8Array | undefined): Restored['keys'] {
  if (value === undefined) return null;
  if (value.length !== 64) throw new NodeError('CORRUPT', 'the keys of the coordinator are not whole');
  return { session: value.slice(0, 32), seal: value.slice(32) };
}

function jobsFrom(of: (table: number) => ReadonlyMap<string, Uint8Array>): RestoredJob[] {
  const found: RestoredJob[] = [];
  for (const [key, value] of of(TABLE.job)) {
    const progress = of(TABLE.progress).get(key);
    if (progress === undefined) throw new NodeError('CORRUPT', 'a job was kept without its progress');
    const attempt = of(TABLE.attempt).get(key);
    const result = of(TABLE.result).get(key);
    found.push({
      id: keyBytes(key),
      row: decodeJobRow(value),
      content: of(TABLE.content).get(key) ?? null,
      progress: decodeProgress(progress),
      attempt: attempt === undefined ? null : decodeAttempt(attempt),
      result: result === undefined ? null : decodeResult(result),
      output: of(TABLE.output).get(key) ?? null,
    });
  }
  return found.sort((a, b) => a.row.job.spec.createdAtMs - b.row.job.spec.createdAtMs);
}

function agreementsFrom(
  agreements: ReadonlyMap<string, Uint8Array>,
  ledgers: ReadonlyMap<string, Uint8Array>,
): Restored['agreements'] {
  return [...agreements].map(([key, value]) => {
    const ledger = ledgers.get(key);
    if (ledger === undefined) throw new NodeError('CORRUPT', 'an agreement was kept without its ledger');
    return { id: keyBytes(key), row: decodeAgreementRow(value), ledger: decodeLedger(ledger) };
  });
}
