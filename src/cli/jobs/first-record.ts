/** The first record of a job. */
import { decodeJobRow, TABLE } from '../../compute/coordinator/rows.ts';
import { Job } from '../../compute/coordinator/job.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import type { Rows } from '../../compute/coordinator/ports.ts';

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
