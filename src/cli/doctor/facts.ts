/** What `aitbc doctor` looked at, before any judgement. */
import type { ErrorCode } from '../../errors.ts';
import type {
  ChainSummaryResponse,
  ConsensusResponse,
  PeersResponse,
  ReadinessResponse,
  StatusResponse,
} from '../../sdk/types.ts';

export interface Facts {
  /** Of the program that asks. */
  readonly version: string;
  readonly chainId: string;
  /** Wall clock of this machine. */
  readonly nowMs: number;
  /** Null when another node was asked about. */
  readonly home: HomeFacts | null;
  readonly node: NodeFacts;
}

/** A failure as it was thrown. */
export interface Fault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
}

export interface HomeFacts {
  readonly path: string;
  readonly keys: readonly Fault[];
  readonly exposed: readonly ExposedFile[];
  readonly disk: DiskFacts | null;
  /** In hex; null without a usable genesis file. */
  readonly genesisHash: string | null;
  readonly genesis: Fault | null;
  readonly namedPeers: readonly NamedPeer[];
  /** Null while the node answers. */
  readonly stopped: StoppedFacts | null;
}

/** A file that others than its owner may read. */
export interface ExposedFile {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** Encrypted by a password. */
  readonly isWallet: boolean;
}

export interface DiskFacts {
  readonly freeBytes: number;
  readonly minFreeBytes: number;
  /** Median over a few writes of a block's size; null when writing failed. */
  readonly syncMs: number | null;
  readonly write: Fault | null;
}

export type Reach = 'open' | 'refused' | 'silent' | 'unknown-host' | 'not-tried';

/** One of `p2p.peers`. */
export interface NamedPeer {
  readonly address: string;
  readonly peerId: string;
  /** Whether its TCP port opens from here. */
  readonly reach: Reach;
}

export interface StoppedFacts {
  /** Another process holds the data folder. */
  readonly isLocked: boolean;
  /** The home is another user's: what this one writes into the database, that one could not open. */
  readonly isForeign: boolean;
  /** Why the database cannot be used. */
  readonly data: Fault | null;
  /** Null before the first block, and where the database could not be read. */
  readonly head: { readonly height: number; readonly timeMs: number } | null;
  /** What the operator must know of a sign guard that refuses. */
  readonly guard: string | null;
  readonly takenPorts: readonly { readonly option: string; readonly port: number }[];
}

export interface NodeFacts {
  readonly url: string;
  /** Why the node could not be asked. */
  readonly fault: Fault | null;
  readonly chains: readonly ChainSummaryResponse[];
  /** Null when the chain does not run. */
  readonly chain: ChainFacts | null;
}

export interface ChainFacts {
  readonly status: StatusResponse;
  readonly consensus: ConsensusResponse;
  readonly peers: PeersResponse;
  readonly readiness: ReadinessResponse;
  /** Null before the first block. */
  readonly headTimeMs: number | null;
}
