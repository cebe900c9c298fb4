/** Old runs are let go, so that a home does not grow for ever; never one whose money may still come back. */
import { rm, stat } from 'node:fs/promises';
import { fromHex } from '../../bytes.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { isNodeError } from '../../errors.ts';
import { nopLogger } from '../../log.ts';
import type { MarketReads } from '../../sdk/market-reads.ts';
import { lockFolder } from '../../store/folder-lock.ts';
import type { JobRecord } from './job-record.ts';
import { readRecord, runFolders } from './runs.ts';

/** Of one chain: what is older, or beyond so many, is let go. */
const KEEP_RUNS = 1_000;
export const KEEP_MS = 90 * 24 * 60 * 60 * 1000;
/** Let go, or asked of the chain, in one go, the oldest first; what a run adds is one. */
const MAX_PRUNED = 16;
/** A run without a record is one that was killed before it had a job. */
const EMPTY_MS = 24 * 60 * 60 * 1000;

export interface PruneOptions {
  readonly nowMs: number;
  readonly reads: Pick<MarketReads, 'agreement'>;
  readonly keepRuns?: number;
}

/** Of this chain. Never fails: what cannot be let go now is looked at again. @returns how many were let go */
export async function pruneRuns(home: string, chain: ChainContext, options: PruneOptions): Promise<number> {
  const { nowMs, keepRuns = KEEP_RUNS } = options;
  let pruned = 0;
  try {
    const folders = await runFolders(home, chain);
    let looked = 0;
    for (const [i, folder] of folders.entries()) {
      if (looked >= MAX_PRUNED) break;
      const ageMs = nowMs - (await stat(folder)).mtimeMs;
      const record = await readRecord(folder);
      const isOld = record ? ageMs > KEEP_MS || i < folders.length - keepRuns : ageMs > EMPTY_MS;
      // Names begin with when the run began: those that follow are younger.
      if (!isOld && i >= folders.length - keepRuns) break;
      if (!isOld || record?.job.ended_at === null) continue;
      looked++;
      if ((!record || (await isOver(record, options))) && (await remove(folder))) pruned++;
    }
  } catch (error) {
    if (!isNodeError(error) && !(error instanceof Error && 'code' in error)) throw error;
  }
  return pruned;
}

/** Of a job that has ended: its agreement is closed, by the chain's word if not by its own. */
async function isOver({ job, settlement }: JobRecord, { reads }: PruneOptions): Promise<boolean> {
  if (job.payment_id === null || settlement?.state === 'closed') return true;
  const agreement = await reads.agreement(fromHex(job.payment_id));
  return agreement === null || agreement.state.name === 'closed';
}

/** @returns false while a process follows it */
async function remove(folder: string): Promise<boolean> {
  try {
    const lock = await lockFolder(folder, nopLogger);
    await rm(folder, { recursive: true, force: true });
    await lock.release().catch(() => undefined);
    return true;
  } catch (error) {
    if (isNodeError(error) && error.code === 'DATA_LOCKED') return false;
    throw error;
  }
}
