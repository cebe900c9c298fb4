/**
 * What a feature of the chain is: one module, listed in table.ts. Codec, RPC schemas, labels and commands derive from it,
 * so that a new feature touches the table and its own file, nothing else.
 */
import type { Address, PublicKey } from '../../bytes.ts';
import type { Crypto, SignatureCheck } from '../crypto/types.ts';
import type { Evidence } from '../evidence.ts';
import type { ChainParams } from '../params.ts';
import type { ChainContext } from '../signing.ts';
import type { StateAccess, StateKey, StateReader } from '../state.ts';
import type { Certificate } from '../votes.ts';

/** JSON as the faces show it: amounts are strings of base units, bytes are lower-case hex, addresses bech32m. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

/** What every step of a block may use. */
export interface BlockContext {
  readonly chain: ChainContext;
  readonly params: ChainParams;
  readonly crypto: Crypto;
  readonly height: number;
  readonly timeMs: number;
  /** Who made the block; null at genesis. */
  readonly proposer: PublicKey | null;
  /** Its parent's certificate, as the block carries it; null at genesis and at height 1. */
  readonly lastCommit: Certificate | null;
  readonly state: StateAccess;
}

export interface TxContext extends BlockContext {
  readonly sender: PublicKey;
  readonly senderAddress: Address;
  /** Of the sender's account. */
  readonly senderKey: StateKey;
  readonly nonce: number;
  readonly feeUait: number;
  /** Recorded in the receipt; `data` at most MAX_EVENT_BYTES. */
  emit(kind: number, data: Uint8Array): void;
}

/** One transaction type. Numbers are never reused. */
export interface TxType<Payload> {
  readonly type: number;
  /** Dotted lower-case name, e.g. "validator.propose". */
  readonly name: string;
  encode(payload: Payload): Uint8Array;
  /** Strict. @throws NodeError CODEC */
  decode(bytes: Uint8Array): Payload;
  toJson(payload: Payload): JsonObject;
  /** @throws NodeError INVALID_PARAMS | BAD_ADDRESS | PARSE_ERROR */
  fromJson(json: JsonObject): Payload;
  /** What the sender must own besides the fee for the transaction to succeed now; the pool sums it up. */
  spends?(payload: Payload): number;
  /** Signatures in the payload: a transaction with a bad one is as invalid as one whose own is bad. */
  checks?(chain: ChainContext, payload: Payload): SignatureCheck[];
  /** Changes the state or throws TxFailure. Nonce and fee are dealt with before. */
  apply(context: TxContext, payload: Payload): void;
}

/** Types of different payloads in one list; the payload flows only from `decode` to the other functions of one type. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- existential type: TypeScript has no other spelling
export type AnyTxType = TxType<any>;

/** The chain after its last block. */
export interface HeadState {
  readonly height: number;
  readonly timeMs: number;
  readonly state: StateReader;
}

/** Reason for a block without transactions. */
export interface PendingWork {
  /** The next block is due whatever its time. */
  readonly now: boolean;
  /** Header time from which a block is due; null without a deadline. */
  readonly atMs: number | null;
}

/** A whole state, for checks. */
export type StateEntries = ReadonlyMap<StateKey, Uint8Array>;

export interface Module {
  readonly id: number;
  readonly name: string;
  readonly txTypes: readonly AnyTxType[];
  /** The module's part of genesis: canonical bytes of its JSON section, and the state it starts with. */
  encodeGenesis(section: JsonObject): Uint8Array;
  initGenesis(context: BlockContext, section: JsonObject): void;
  beginBlock?(context: BlockContext): void;
  endBlock?(context: BlockContext, totals: BlockTotals): void;
  pendingWork?(head: HeadState): PendingWork;
  /** Convicts of equivocation; the evidence's contradiction and signatures were checked. @throws NodeError BAD_BLOCK */
  convict?(context: BlockContext, evidence: Evidence): void;
  /** Base units this module holds in the state (balances, stakes, escrows): they sum up to the supply. */
  heldUait?(entries: StateEntries): number;
  /** Sentences about what does not hold; empty when all is well. */
  invariants?(entries: StateEntries): string[];
}

export interface BlockTotals {
  /** Fees charged by this block, to burn. */
  readonly feesUait: number;
}
