/** What an engine is made of. */
import type { Hash } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import type { ExecutedBlock } from '../chain/execute.ts';
import type { LinkedRange } from '../chain/linked-range.ts';
import type { Clock } from '../clock.ts';
import type { Input, Timeouts } from '../consensus/types.ts';
import type { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Mempool } from '../mempool.ts';
import type { TxAdmission } from './admission.ts';
import type { Bodies } from './bodies.ts';
import type { EvidencePool } from './evidence-pool.ts';
import type { CertificateVerifier, Ledger } from './ledger.ts';
import type { EngineMetrics } from './metrics.ts';
import type { Way } from './right-of-way.ts';
import type { SigningGate } from './signing-gate.ts';
import type { Validator } from './validator.ts';

export interface EngineOptions {
  readonly timeouts: Timeouts;
}

export interface EngineModules {
  readonly ledger: Ledger;
  readonly pool: Mempool;
  readonly admission: TxAdmission;
  readonly bodies: Bodies;
  readonly evidence: EvidencePool;
  readonly gate: SigningGate;
  /** Null on a follower. */
  readonly validator: Validator | null;
  readonly verifyCertificate: CertificateVerifier;
  readonly clock: Clock;
  readonly way: Way;
  readonly log: Logger;
  readonly metrics: EngineMetrics;
  /** New heads, after they are on disk and before the next height begins. */
  readonly onCommit: (applied: readonly ExecutedBlock[]) => void;
  /** The machine took a step; most leave height, round and step as they were. */
  readonly onStep: () => void;
  /** Asks one peer for votes and proposals of the height in work. */
  readonly pull: () => void;
  /** The messages of a height that arrived before it began. */
  readonly takeEarly: (height: number) => readonly Input[];
  /** Something after which nothing may go on, e.g. a full disk. */
  readonly onFatal: (error: NodeError) => void;
}

export interface ImportResult {
  readonly count: number;
  /** Why the block after those was refused; null when all were taken. */
  readonly fault: NodeError | null;
}

/** What the queue holds. */
export type EngineEvent =
  | { readonly type: 'input'; readonly height: number; readonly input: Input }
  | {
      readonly type: 'prepared';
      readonly height: number;
      readonly blockId: Hash;
      readonly block: Block | null;
      readonly timely: boolean;
    }
  | { readonly type: 'work' }
  | { readonly type: 'repair' }
  | { readonly type: 'restart' }
  | {
      readonly type: 'import';
      readonly range: LinkedRange;
      readonly done: (result: ImportResult) => void;
    }
  | { readonly type: 'adopt'; readonly take: () => Promise<void>; readonly done: (result: ImportResult) => void };
