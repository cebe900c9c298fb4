/** What does the work. One file a back end beside this one; all are held to one conformance suite. */
import type { ContentParam, ContentPart } from '../../chain/market/content.ts';

/** What a back end can do now. */
export interface Capability {
  /** `llm.chat`, `text.embed`, `wasm.run`, … */
  readonly kind: string;
  /** Name that jobs ask for; of kinds without models, the kind's runtime, e.g. `wasi-preview1`. */
  readonly model: string;
  /** SHA-256 of what answers under the name; null where the back end does not tell. */
  readonly digest: Uint8Array | null;
  readonly contextTokens: number | null;
  /** Whether output comes in pieces while it is made. What does not is paid in one piece. */
  readonly streams: boolean;
  /** The same input gives the same output bytes, everywhere. */
  readonly deterministic: boolean;
  /** Loaded: the first piece comes without preparation. */
  readonly warm: boolean;
  /** For people: `demo`, `gpu`, … */
  readonly tags: readonly string[];
}

export interface ExecutorJob {
  readonly kind: string;
  readonly model: string;
  readonly params: readonly ContentParam[];
  readonly parts: readonly ContentPart[];
  /** The back end ends the output here, at a whole character for text, and says `length`. */
  readonly maxOutputBytes: number;
}

export interface ExecutorIo {
  /** Aborted: stop the work, not only the answer. `run` rejects with CANCELED once it has stopped. */
  readonly signal: AbortSignal;
  /**
   * Hands over the next piece of output (1 byte to 64 KiB; text in whole characters). Resolves when more may come:
   * a back end that can pause does so until then, others are read no faster.
   */
  emit(bytes: Uint8Array): Promise<void>;
}

export interface ExecutorOutcome {
  readonly finish: 'stop' | 'length';
  /** As the back end counts them; reported, never billed. Null where it does not. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
}

export interface Executor {
  /** `builtin`, `ollama`, `openai`, … */
  readonly id: string;
  /** @throws NodeError UNREACHABLE when the back end is not there */
  probe(signal: AbortSignal): Promise<readonly Capability[]>;
  /** Loads what the model needs. @throws NodeError NO_MODEL | EXECUTOR */
  prepare(kind: string, model: string, signal: AbortSignal): Promise<void>;
  /**
   * @throws NodeError NO_MODEL unknown; BAD_JOB parts or parameters that the kind does not take (the client's fault, not
   *   retryable); BUSY the back end is full (retryable); CANCELED; EXECUTOR it failed (retryable)
   */
  run(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome>;
  /** Ends children within two seconds. Safe to call again. */
  close(): Promise<void>;
}
