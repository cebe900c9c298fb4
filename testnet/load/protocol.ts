/** Messages between a program that measures and its load process; IPC carries them as JSON. */

export interface LoadSetup {
  readonly type: 'setup';
  readonly chainId: string;
  /** Hex. */
  readonly genesisHash: string;
  readonly baseFeeUait: number;
  readonly feePerByteUait: number;
  readonly loadSeedPath: string;
  readonly senders: number;
  /** RPC URLs the load is spread over. */
  readonly targets: readonly string[];
  /** RPC URL at which blocks are watched. */
  readonly observer: string;
}

export interface LoadRun {
  readonly type: 'run';
  /** Transfers a second, offered whether or not earlier ones are final (open loop). */
  readonly rate: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Longest wait for the last transfers to be final. */
  readonly drainMs: number;
}

export interface LoadResult {
  readonly type: 'result';
  readonly rate: number;
  /** Transfers scheduled in the measured span. */
  readonly offered: number;
  /** Of those, the ones final before the drain ended. */
  readonly committed: number;
  /** By the blocks seen in the measured span. */
  readonly committed_per_s: number;
  /** From the scheduled time of a transfer to the sight of its block; transfers never final count as endless. */
  readonly submit_to_final_ms: {
    readonly p50: number | null;
    readonly p99: number | null;
    readonly max: number | null;
  };
  readonly blocks: number;
  readonly rounds_above_0: number;
  /** Answers other than acceptance, by code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly failed_requests: number;
  /** Latest send after its scheduled time: what the load process itself was late by. */
  readonly worst_lag_ms: number;
}

export interface OverloadRun {
  readonly type: 'overload';
  /** Transfers a second, those offered again after a refusal included. */
  readonly rate: number;
  readonly seconds: number;
  /** Signed beforehand, over all senders. */
  readonly signed: number;
}

export interface OverloadResult {
  readonly type: 'overloaded';
  readonly offered: number;
  readonly committed: number;
  readonly committed_per_s: number;
  readonly blocks: number;
  readonly rounds_above_0: number;
  /** Answers other than acceptance, by code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly failed_requests: number;
  readonly worst_lag_ms: number;
  /** Senders that had nothing signed left before the end: the load was thinner then. */
  readonly exhausted_senders: number;
}

export type LoadRequest = LoadSetup | LoadRun | OverloadRun;
export type LoadReply =
  | { readonly type: 'ready' }
  | { readonly type: 'measuring' }
  | LoadResult
  | OverloadResult
  | { readonly type: 'error'; readonly message: string };
