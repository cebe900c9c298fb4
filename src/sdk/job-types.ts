/** What a node answers about jobs that it pays for: see src/rpc/README.md. */
import type { ReceiptJson } from '../chain/market/receipt-json.ts';
import type { JobState, PlainJobState } from '../compute/coordinator/coordinator.ts';

export interface JobResponse {
  readonly job_id: string;
  /** As in the replaced system. */
  readonly state: PlainJobState;
  /** The finer one. */
  readonly stage: JobState;
  readonly kind: string;
  readonly model: string | null;
  readonly answered_by: string | null;
  readonly assigned_miner_id: string | null;
  readonly attempt: number;
  readonly requested_at: string;
  readonly expires_at: string;
  readonly ended_at: string | null;
  readonly error: string | null;
  readonly error_code: string | null;
  /** The agreement. */
  readonly payment_id: string | null;
  readonly payment_status: string;
  readonly max_price_uait: string;
  readonly spent_uait: string;
  /** Of transactions that set money aside for it, beside that. */
  readonly fees_uait: string;
  readonly output_bytes: number;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly finish: 'stop' | 'length' | 'canceled' | null;
  readonly receipt_id: string | null;
}

export interface JobPageResponse {
  readonly items: readonly JobResponse[];
  readonly next_cursor: string | null;
}

export interface JobResultResponse {
  readonly result: {
    readonly status: string;
    /** null when it is no text. */
    readonly output: string | null;
    readonly output_base64: string | null;
    readonly model: string | null;
    readonly tokens_processed: number | null;
    readonly finish: string | null;
  };
  readonly receipt: ReceiptJson | null;
}

export interface JobReasonsResponse {
  readonly job_id: string;
  readonly state: PlainJobState;
  readonly stage: JobState;
  readonly summary: string;
  readonly reasons: readonly {
    readonly code: string;
    readonly count: number;
    readonly message: string;
    readonly hint: string;
  }[];
  readonly candidates: readonly { readonly miner: string; readonly score: number; readonly why: readonly string[] }[];
}

export interface JobEventResponse {
  readonly sequence: number;
  readonly at: string;
  readonly state: PlainJobState;
  readonly stage: JobState;
  readonly attempt: number;
  readonly error: string | null;
  readonly error_code: string | null;
}

export interface ReceiptPageResponse {
  readonly items: readonly ReceiptJson[];
  readonly next_cursor: string | null;
}
