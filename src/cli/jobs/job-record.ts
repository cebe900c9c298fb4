/** How a job stands, as it is kept beside it for people and programs: see runs.ts. */
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import type { JobEvent, JobReasons, JobView } from '../../compute/coordinator/coordinator.ts';
import { plainState } from '../../compute/coordinator/coordinator.ts';
import { reasonsView } from '../../rpc/jobs/views.ts';
import type { JobReasonsResponse, JobResponse } from '../../sdk/job-types.ts';

export interface EventJson {
  readonly at: string;
  readonly state: string;
  readonly stage: string;
  readonly attempt: number;
  readonly error: string | null;
  readonly error_code: string | null;
}

/** What became of the money. */
export interface SettlementJson {
  readonly state: 'open' | 'closing' | 'closed';
  readonly paid_uait: string;
  readonly refunded_uait: string;
  readonly settled_height: number | null;
}

export interface JobRecord {
  readonly format: 'aitbc-job/1';
  readonly chain_id: string;
  readonly genesis_hash: string;
  /** Address that pays. */
  readonly client: string;
  /** The node that it went through. */
  readonly rpc: string;
  /** As a node tells its own. */
  readonly job: JobResponse;
  readonly events: readonly EventJson[];
  readonly reasons: JobReasonsResponse | null;
  /** Of the job's last agreement; null before there is one. */
  readonly settlement: SettlementJson | null;
}

export function eventJson({ atMs, state, attempt, reason }: JobEvent): EventJson {
  return {
    at: new Date(atMs).toISOString(),
    state: plainState(state),
    stage: state,
    attempt,
    error: reason?.message ?? null,
    error_code: reason?.code ?? null,
  };
}

export function reasonsJson(job: JobView, reasons: JobReasons | undefined): JobReasonsResponse | null {
  return reasons ? reasonsView(job, reasons) : null;
}

export function settlementJson({ state, paidUait }: Agreement): SettlementJson {
  const closed = state.name === 'closed' ? state : null;
  return {
    state: state.name,
    paid_uait: String(paidUait),
    refunded_uait: String(closed?.refundedUait ?? 0),
    settled_height: closed?.atHeight ?? null,
  };
}
