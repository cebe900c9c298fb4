/** What a coordinator holds and how long it waits, at most. Each has a test. */
export interface CoordinatorLimits {
  readonly maxOpenJobs: number;
  readonly maxOpenJobsPerOwner: number;
  /** Jobs that have ended and stay readable, for how long, and bytes of their output. */
  readonly maxEndedJobs: number;
  readonly endedKeptMs: number;
  readonly maxEndedOutputBytes: number;
  /** Bytes of output that running jobs may come to, by what they ask for at most: others wait. */
  readonly maxRunningOutputBytes: number;
  /** Bytes of content of open jobs. */
  readonly maxContentBytes: number;
  readonly maxReasonsPerJob: number;
  readonly maxEventsPerJob: number;
  /** Readers of one job's output or events. */
  readonly maxReadersPerJob: number;
  /** Attempts of a job that began and came to nothing. */
  readonly maxAttempts: number;
  /** Jobs that are being matched or funded at once. */
  readonly maxMatching: number;
  readonly quoteTimeoutMs: number;
  /** How long better quotes are waited for once there is one. */
  readonly quoteGraceMs: number;
  readonly maxAgreementsPerMiner: number;
  /** Jobs like the first one that a session's agreement pays, and how long it stands. */
  readonly sessionJobs: number;
  readonly sessionMs: number;
  readonly maxIdleStreamsPerMiner: number;
  readonly maxIdleStreams: number;
  readonly idleStreamMs: number;
  readonly maxMinersKnown: number;
  readonly maxContradictions: number;
  /** Jobs waiting to be done again, and bytes of their content. */
  readonly maxReplays: number;
  readonly maxReplayBytes: number;
  /** Wrong results kept, with their input. */
  readonly maxWrongResults: number;
  /** Receipts whose place under their agreement is known. */
  readonly maxPlaces: number;
}

const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

export const DEFAULT_COORDINATOR_LIMITS: CoordinatorLimits = {
  maxOpenJobs: 20_000,
  maxOpenJobsPerOwner: 5_000,
  maxEndedJobs: 5_000,
  endedKeptMs: 24 * HOUR_MS,
  maxEndedOutputBytes: 64 * MIB,
  maxRunningOutputBytes: 256 * MIB,
  maxContentBytes: 256 * MIB,
  maxReasonsPerJob: 16,
  maxEventsPerJob: 128,
  maxReadersPerJob: 16,
  maxAttempts: 4,
  maxMatching: 256,
  quoteTimeoutMs: 3_000,
  quoteGraceMs: 150,
  maxAgreementsPerMiner: 16,
  sessionJobs: 64,
  sessionMs: 6 * HOUR_MS,
  maxIdleStreamsPerMiner: 4,
  maxIdleStreams: 2_048,
  idleStreamMs: 60_000,
  maxMinersKnown: 4_096,
  maxContradictions: 256,
  maxReplays: 32,
  maxReplayBytes: 8 * MIB,
  maxWrongResults: 32,
  maxPlaces: 65_536,
};
