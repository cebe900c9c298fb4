/** The first record of a job, and what it says when nothing else was kept. */
import { decodeJobRow, TABLE } from '../../compute/coordinator/rows.ts';
import { Job } from '../../compute/coordinator/job.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import type { Rows } from '../../compute/coordinator/ports.ts';
import type { JobRecord } from './job-record.ts';

/**
 * Rows that have a job recorded before they keep it, and so before anything of it leaves: however early its run is killed,
 * what may cost money is found again. A record without rows is of a job that never left.
 */
export function recordingRows(rows: Rows, record: (job: JobView) => Promise<void>): Rows {
  const known = new Set<string>();
  return {
    load: () => rows.load(),
    persist: async (given) => {
      for (const { key, value } of given) {
        const id = key.slice(1);
        if (key[0] !== TABLE.job || value === null || known.has(id.toString())) continue;
        known.add(id.toString());
        await record(new Job(id, decodeJobRow(value), null, 1).view());
      }
      await rows.persist(given);
    },
  };
}

/** Of a job that its rows do not know: when this is its first record, its run was killed before the rows had it. */
export function endedUnsent(record: JobRecord, nowMs: number): JobRecord {
  if (record.job.stage !== 'submitted' || record.events.length > 0) return record;
  const ended = { state: 'CANCELED', stage: 'canceled', ended_at: new Date(nowMs).toISOString() } as const;
  const error = 'its run was killed before anything of it left: nothing was done, and nothing is paid; submit it again';
  return { ...record, job: { ...record.job, ...ended, error, error_code: 'CANCELED' } };
}
