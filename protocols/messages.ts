/** Every message that travels between nodes, decoded. Codecs are in protocols/codec.ts; README.md is normative. */
import type { Hash, PublicKey, Signature } from '../src/bytes.ts';
import type { Block, Header } from '../src/chain/block.ts';
import type { Evidence } from '../src/chain/evidence.ts';
import type { SignedOffer } from '../src/chain/market/offer.ts';
import type { SignedQuote, SignedQuoteRequest } from '../src/chain/market/quote.ts';
import type { StateManifest } from '../src/chain/state-chunks.ts';
import type { Transaction } from '../src/chain/tx.ts';
import type { ValidatorSet } from '../src/chain/validator-set.ts';
import type { Certificate, Proposal, Vote } from '../src/chain/votes.ts';

/**
 * A compact proposal: the signed core, the header, the body without transactions, and the ids of those; receivers take
 * the bodies from their pools and ask for missing ones. `polka` justifies `polRound` >= 0.
 */
export interface ProposalMessage {
  /** u16. Counts rebroadcasts, so that gossip does not take a repetition for the message it repeats. */
  readonly attempt: number;
  readonly proposal: Proposal;
  readonly header: Header;
  readonly lastCommit: Certificate | null;
  readonly evidence: readonly Evidence[];
  readonly txIds: readonly Hash[];
  readonly polka: Certificate | null;
}

/** Transactions of clients; `attempt` as in a proposal. */
export interface TxBatch {
  readonly attempt: number;
  /** Peer id of the node that clients gave them to, as whoever made the batch says. */
  readonly origin: string;
  readonly txs: readonly Transaction[];
}

/** Votes of one or several validators; `attempt` as in a proposal. */
export interface VoteBatch {
  readonly attempt: number;
  readonly votes: readonly Vote[];
}

/** A validator's sign of life, every 5 s and at every new head. Binds its consensus key to its peer id. */
export interface SignedStatus {
  readonly height: number;
  readonly blockId: Hash;
  readonly timeMs: number;
  /** libp2p peer id, text form, at most 64 bytes of ASCII. */
  readonly peerId: string;
  readonly validator: PublicKey;
  readonly signature: Signature;
}

/** Head of a chain as one peer tells another; `certificate` is of the head and null at height 0. Believed only verified. */
export interface PeerStatus {
  readonly genesisHash: Hash;
  readonly baseHeight: number;
  readonly height: number;
  readonly blockId: Hash;
  readonly certificate: Certificate | null;
}

export interface BlocksRequest {
  readonly from: number;
  readonly count: number;
}

/** A final block with its own certificate. */
export interface CertifiedBlock {
  readonly block: Block;
  readonly certificate: Certificate;
}

/** The same as the side that answers holds it: in the encodings of block and certificate, which are those of the wire. */
export interface EncodedBlock {
  readonly block: Uint8Array;
  readonly certificate: Uint8Array;
}

export interface TxsRequest {
  readonly ids: readonly Hash[];
}

/** Votes (and proposals) of a height that the asker may lack: those of rounds >= `round`, and all precommits for a block. */
export interface VotesRequest {
  readonly height: number;
  readonly round: number;
}

export interface VotesResponse {
  readonly votes: readonly Vote[];
  readonly proposals: readonly ProposalMessage[];
}

export interface LightRequest {
  readonly height: number;
}

/** What a light client needs of a height; the sets are believed by their hashes in the header alone. */
export interface LightAnswer {
  readonly header: Header;
  readonly certificate: Certificate;
  readonly validators: ValidatorSet;
  readonly nextValidators: ValidatorSet;
}

/** Asks for the manifest of the highest snapshot below a height. */
export interface SnapshotRequest {
  readonly below: number;
}

/** One chunk of a snapshot. `manifest`: SHA-256 of the encoded manifest that the asker goes by. */
export interface ChunkRequest {
  readonly manifest: Hash;
  readonly index: number;
}

/** Of a blob: part 0 is the list of its leaves, part n its leaf n − 1. */
export interface BlobRequest {
  readonly root: Hash;
  readonly part: number;
}

/** Request and response of each method of a chain; `answer` where the side that answers has it in another form. */
export interface Methods {
  status: { request: PeerStatus; response: PeerStatus };
  blocks: { request: BlocksRequest; response: readonly CertifiedBlock[]; answer: readonly EncodedBlock[] };
  txs: { request: TxsRequest; response: readonly Transaction[] };
  votes: { request: VotesRequest; response: VotesResponse };
  light: { request: LightRequest; response: LightAnswer };
  snapshot: { request: SnapshotRequest; response: StateManifest | null };
  chunk: { request: ChunkRequest; response: Uint8Array };
  quote: { request: SignedQuoteRequest; response: SignedQuote };
  blob: { request: BlobRequest; response: Uint8Array };
  /** The text of the join document, in UTF-8; null asks for nothing in particular. */
  join: { request: null; response: Uint8Array };
}

export type Method = keyof Methods;

/** What a handler gives for the response. */
export type Answer<M extends Method> = Methods[M] extends { answer: infer A } ? A : Methods[M]['response'];

/** What each gossip topic of a chain carries. */
export interface Topics {
  tx: TxBatch;
  proposal: ProposalMessage;
  vote: VoteBatch;
  evidence: Evidence;
  status: SignedStatus;
  offer: SignedOffer;
}

export type Topic = keyof Topics;
