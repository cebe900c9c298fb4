/** Pages of jobs, newest first; a cursor is the id of the last one shown. */
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import type { OwnJobs } from './desk.ts';

/** Jobs looked at for one page of those in one state, or with an offset. */
const MAX_LOOKED_AT = 1000;

export const listFields = {
  limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$', description: '1 to 100; 30 when absent' })),
  cursor: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'next_cursor of the page before' })),
};

interface Wanted {
  readonly count: number;
  readonly wants: (job: JobView) => boolean;
}

/** @returns those found, and where to go on */
export function listJobs(
  jobs: OwnJobs,
  cursor: string | null,
  { count, wants }: Wanted,
): { found: JobView[]; next: string | null } {
  const looked = jobs.list(MAX_LOOKED_AT, cursor === null ? null : fromHex(cursor));
  const found: JobView[] = [];
  for (const [at, job] of looked.entries()) {
    if (!wants(job)) continue;
    found.push(job);
    if (found.length === count) return { found, next: at + 1 < looked.length ? toHex(job.id) : null };
  }
  const last = looked.length === MAX_LOOKED_AT ? looked.at(-1) : undefined;
  return { found, next: last ? toHex(last.id) : null };
}
