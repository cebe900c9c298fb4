/**
 * What blocks do to the state: pure functions that build, verify and apply them. The header commits to the state after
 * its block, so validators execute before they vote, and the same execution is what is committed.
 */
import type { Address, Hash, PublicKey } from '../bytes.ts';
import { equalBytes, toHex } from '../bytes.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Account } from './accounts.ts';
import { accountAt, encodeAccount } from './accounts.ts';
import type { Block, Header } from './block.ts';
import { blockId, lastCommitHash, PROTOCOL_VERSION } from './block.ts';
import type { Crypto, Hasher } from './crypto/types.ts';
import type { Evidence } from './evidence.ts';
import { checkEvidence, evidenceRoot, MAX_EVIDENCE } from './evidence.ts';
import { listRootOfKeys } from './list-root.ts';
import { MODULES, txTypeByNumber, txTypeEntry } from './modules/table.ts';
import type { BlockContext, HeadState, TxContext } from './modules/types.ts';
import { getSets } from './modules/validators-state.ts';
import type { ChainParams } from './params.ts';
import { leastFeeUait } from './params.ts';
import type { ChainEvent, Receipt } from './receipt.ts';
import { MAX_EVENT_BYTES, MAX_EVENTS, RECEIPT_CODES, receiptsRoot, TxFailure } from './receipt.ts';
import type { ChainContext } from './signing.ts';
import type { StateAccess, StateChanges, StateKey, StateReader } from './state.ts';
import { StateOverlay, statePath } from './state.ts';
import type { StateTree, TreeVersion } from './tree.ts';
import type { TreeChange } from './tree-update.ts';
import type { Transaction } from './tx.ts';
import { decodedPayload } from './tx.ts';
import { findValidator, validatorSetHash } from './validator-set.ts';
import type { Certificate } from './votes.ts';
import { checkCertificatePower } from './votes.ts';

/** What all blocks of a chain share. */
export interface ChainRules {
  readonly chain: ChainContext;
  readonly params: ChainParams;
  readonly crypto: Crypto;
}

/** Where a block stands in the chain: what its parent is, and the state after that. */
export interface Parent {
  readonly height: number;
  readonly blockId: Hash;
  readonly timeMs: number;
  readonly state: StateReader;
}

/** The chain up to the parent of the block in question. */
export interface Tip extends Parent {
  readonly tree: StateTree;
  readonly version: TreeVersion;
}

/** Transactions all of whose signatures were found good (txChecks), by identity of the decoded object. */
export interface VerifiedTransactions {
  has(tx: Transaction): boolean;
}

/** A block and what it does. */
export interface ExecutedBlock {
  readonly block: Block;
  readonly blockId: Hash;
  readonly changes: StateChanges;
  readonly receipts: readonly Receipt[];
}

export interface AppliedBlock extends ExecutedBlock {
  /** To commit or release on the tip's tree. */
  readonly version: TreeVersion;
}

function badBlock(reason: string, height: number, data: Record<string, string | number> = {}): NodeError {
  return new NodeError('BAD_BLOCK', `block ${height}: ${reason}`, { data: { height, reason, ...data } });
}

/** Is a block without transactions and evidence valid after this tip, and if not yet, from which time on? */
export function pendingWork(head: HeadState): { readonly now: boolean; readonly atMs: number | null } {
  let now = false;
  let atMs: number | null = null;
  for (const module of MODULES) {
    const work = module.pendingWork?.(head);
    if (!work) continue;
    now ||= work.now;
    if (work.atMs !== null) atMs = Math.min(atMs ?? Infinity, work.atMs);
  }
  return { now, atMs };
}

/** Earliest time the block after the tip may carry. */
export function earliestTimeMs(rules: ChainRules, tip: Parent): number {
  return tip.timeMs + (tip.height === 0 ? 0 : rules.params.minBlockIntervalMs);
}

export interface BlockProposal {
  readonly timeMs: number;
  readonly proposer: PublicKey;
  readonly lastCommit: Certificate | null;
  readonly evidence: readonly Evidence[];
  /** Verified candidates in the order wanted; those that do not fit the state are left out. */
  readonly txs: readonly Transaction[];
}

/** Work in steps of some milliseconds each: between two of them others may have a turn, as long as nothing moves the tip. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Transactions executed in one step. */
const STEP_TXS = 128;

/** All at once. */
function allSteps<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value;
}

/** Makes the block after the tip. Evidence and transactions that would make it invalid are left out. */
export function buildBlock(rules: ChainRules, tip: Tip, proposal: BlockProposal): AppliedBlock {
  return allSteps(buildSteps(rules, tip, proposal));
}

export function* buildSteps(rules: ChainRules, tip: Tip, proposal: BlockProposal): Steps<AppliedBlock> {
  const height = tip.height + 1;
  const run = startRun(rules, tip, proposal);
  const evidence = proposal.evidence.filter((item) => convictIfApplicable(run, item));
  const txs: Transaction[] = [];
  let bytes = 0;
  for (const tx of proposal.txs) {
    if (txs.length >= rules.params.maxBlockTxs) break;
    if (bytes + tx.bytes.length > rules.params.maxBlockBytes) continue;
    const account = accountAt(run.state, tx.senderKey);
    if (admissionFault(run, tx, account) !== null) continue;
    runTransaction(run, tx, account);
    bytes += tx.bytes.length;
    if (txs.push(tx) % STEP_TXS === 0) yield;
  }
  yield;
  const { changes, receipts } = finishRun(run);
  yield;
  const version = forkTree(rules.crypto, tip.tree, tip.version, changes);
  const sets = getSets(tip.state);
  const header: Header = {
    version: PROTOCOL_VERSION,
    chainId: rules.chain.chainId,
    height,
    timeMs: proposal.timeMs,
    parent: tip.blockId,
    proposer: proposal.proposer,
    txRoot: txRootOf(rules.crypto, txs),
    receiptsRoot: receiptsRoot(rules.crypto, receipts),
    stateRoot: version.root,
    validatorsHash: validatorSetHash(rules.crypto, sets.current),
    nextValidatorsHash: validatorSetHash(rules.crypto, sets.next),
    lastCommitHash: lastCommitHash(rules.crypto, proposal.lastCommit),
    evidenceRoot: evidenceRoot(rules.crypto, evidence),
  };
  const block: Block = { header, lastCommit: proposal.lastCommit, evidence, txs };
  return { block, blockId: blockId(rules.crypto, header), changes, receipts, version };
}

/**
 * Everything about a block that needs no execution and no signature. The signatures of its last commit, its evidence and
 * its transactions are checked by the caller (certificateChecks, evidenceChecks, txChecks).
 *
 * @throws NodeError BAD_BLOCK | UPGRADE_NEEDED
 */
export function verifyBlock(rules: ChainRules, tip: Tip, block: Block): void {
  verifyPlace(rules, tip, block);
  const fault = bodyFault(rules.crypto, block);
  if (fault !== null) throw badBlock(fault, block.header.height);
}

/** Why a body is not the one its header names, whatever chain they belong to; null when it is. */
export function bodyFault(hasher: Hasher, { header, lastCommit, evidence, txs }: Block): string | null {
  if (!equalBytes(header.lastCommitHash, lastCommitHash(hasher, lastCommit))) return 'wrong last commit hash';
  if (!equalBytes(header.evidenceRoot, evidenceRoot(hasher, evidence))) return 'wrong evidence root';
  return equalBytes(header.txRoot, txRootOf(hasher, txs)) ? null : 'wrong transactions root';
}

function txRootOf(hasher: Hasher, txs: readonly Transaction[]): Hash {
  return listRootOfKeys(
    hasher,
    txs.map(({ key }) => key),
  );
}

/**
 * What a block must be after this tip, its body being the one its header names.
 *
 * @throws NodeError BAD_BLOCK | UPGRADE_NEEDED
 */
export function verifyPlace(rules: ChainRules, tip: Parent, block: Block): void {
  const { header, evidence, txs } = block;
  const { crypto, params } = rules;
  const height = tip.height + 1;
  const require = (ok: boolean, reason: string): void => {
    if (!ok) throw badBlock(reason, header.height);
  };
  if (header.version > PROTOCOL_VERSION) {
    throw new NodeError('UPGRADE_NEEDED', 'the network makes blocks of a newer protocol version', {
      data: { version: header.version, known: PROTOCOL_VERSION },
      hint: 'install a newer aitbc',
    });
  }
  require(header.version === PROTOCOL_VERSION, 'unknown protocol version');
  require(header.chainId === rules.chain.chainId, 'made for another chain');
  require(header.height === height, `expected height ${height}`);
  require(equalBytes(header.parent, tip.blockId), 'does not follow the head');
  require(header.timeMs >= earliestTimeMs(rules, tip), 'time is before the least interval since its parent');
  const sets = getSets(tip.state);
  require(findValidator(sets.current, header.proposer) !== undefined, 'proposer is not a validator of this height');
  require(equalBytes(header.validatorsHash, validatorSetHash(crypto, sets.current)), 'wrong validator set hash');
  require(equalBytes(header.nextValidatorsHash, validatorSetHash(crypto, sets.next)), 'wrong next validator set hash');
  checkLastCommit(tip, block, require);
  require(evidence.length <= MAX_EVIDENCE, 'too much evidence');
  require(txs.length <= params.maxBlockTxs, 'too many transactions');
  require(txs.reduce((sum, tx) => sum + tx.bytes.length, 0) <= params.maxBlockBytes, 'too many bytes');
  if (txs.length === 0 && evidence.length === 0) {
    const work = pendingWork(tip);
    require(work.now || (work.atMs !== null && header.timeMs >= work.atMs), 'empty without a reason');
  }
}

function checkLastCommit(tip: Parent, { lastCommit }: Block, require: (ok: boolean, reason: string) => void): void {
  const { last } = getSets(tip.state);
  require((lastCommit === null) === (last === null), 'last commit is missing or out of place');
  if (lastCommit === null || last === null) return;
  require(lastCommit.type === 'precommit' && lastCommit.height === tip.height, 'last commit is not of the parent');
  require(equalBytes(lastCommit.blockId, tip.blockId), 'last commit is not for the parent');
  checkCertificatePower(last, lastCommit);
}

/**
 * Executes a block that `verifyBlock` passed and compares the roots.
 *
 * @throws NodeError BAD_BLOCK; then nothing was changed
 */
export function applyBlock(rules: ChainRules, tip: Tip, block: Block, verified: VerifiedTransactions): AppliedBlock {
  return allSteps(applySteps(rules, tip, block, verified));
}

export function* applySteps(
  rules: ChainRules,
  tip: Tip,
  block: Block,
  verified: VerifiedTransactions,
): Steps<AppliedBlock> {
  const { header } = block;
  const executed = yield* executeSteps(rules, tip, block, blockId(rules.crypto, header), verified);
  yield;
  const version = forkTree(rules.crypto, tip.tree, tip.version, executed.changes);
  if (equalBytes(header.stateRoot, version.root)) return { ...executed, version };
  tip.tree.release(version);
  throw wrongRoot('state_root', header.height, header.stateRoot, version.root);
}

/**
 * Executes a block that `verifyBlock` passed and compares the root of its receipts. That of the state is left to the
 * caller, who may do several blocks before.
 *
 * @param id of the block
 * @throws NodeError BAD_BLOCK
 */
export function* executeSteps(
  rules: ChainRules,
  parent: Parent,
  block: Block,
  id: Hash,
  verified: VerifiedTransactions,
): Steps<ExecutedBlock> {
  const { header } = block;
  const run = startRun(rules, parent, { ...header, lastCommit: block.lastCommit });
  for (const item of block.evidence) convict(run, item);
  let done = 0;
  for (const tx of block.txs) {
    if (!verified.has(tx)) throw badBlock('a signature was not found good', header.height);
    const account = accountAt(run.state, tx.senderKey);
    const fault = admissionFault(run, tx, account);
    if (fault !== null) throw badBlock(`a transaction is not admissible: ${fault}`, header.height);
    runTransaction(run, tx, account);
    if (++done % STEP_TXS === 0) yield;
  }
  yield;
  const { changes, receipts } = finishRun(run);
  const found = receiptsRoot(rules.crypto, receipts);
  if (!equalBytes(header.receiptsRoot, found)) {
    throw wrongRoot('receipts_root', header.height, header.receiptsRoot, found);
  }
  return { block, blockId: id, changes, receipts };
}

function wrongRoot(field: string, height: number, expected: Hash, found: Hash): NodeError {
  return badBlock('execution leads to other roots', height, {
    field,
    expected: toHex(expected),
    found: toHex(found),
  });
}

// One block's run

interface Run {
  readonly context: BlockContext;
  readonly state: StateOverlay;
  readonly receipts: Receipt[];
  feesUait: number;
}

type RunInputs = Pick<BlockProposal, 'timeMs' | 'proposer' | 'lastCommit'>;

function startRun(rules: ChainRules, tip: Parent, { timeMs, proposer, lastCommit }: RunInputs): Run {
  const state = new StateOverlay(tip.state);
  const context: BlockContext = { ...rules, height: tip.height + 1, timeMs, proposer, lastCommit, state };
  for (const module of MODULES) module.beginBlock?.(context);
  return { context, state, receipts: [], feesUait: 0 };
}

function convict(run: Run, evidence: Evidence): void {
  checkEvidence(evidence);
  for (const module of MODULES) module.convict?.(run.context, evidence);
}

/** False, with nothing changed, when the evidence no longer applies (convicted already, too old). */
function convictIfApplicable(run: Run, evidence: Evidence): boolean {
  run.state.checkpoint();
  try {
    convict(run, evidence);
    return true;
  } catch (error) {
    if (!isNodeError(error)) throw error;
    run.state.rollback();
    return false;
  }
}

export type AdmissionFault = 'wrong nonce' | 'fee too low' | 'fee exceeds balance' | 'expired' | 'bad payload';

/** Rules a transaction must meet for any block that holds it to be valid. */
function admissionFault({ context }: Run, tx: Transaction, account: Account): AdmissionFault | null {
  if (tx.validUntilHeight < context.height) return 'expired';
  if (tx.feeUait < leastFeeUait(context.params, tx.bytes.length)) return 'fee too low';
  if (account.nonce !== tx.nonce) return 'wrong nonce';
  if (account.balanceUait < tx.feeUait) return 'fee exceeds balance';
  return payloadOf(tx) === INVALID_PAYLOAD ? 'bad payload' : null;
}

/** Stands for bytes that are no payload of their type, or of no known type. */
export const INVALID_PAYLOAD = Symbol('invalid payload');

/** The decoded payload; decoded once a transaction object. */
export function payloadOf(tx: Transaction): unknown {
  return decodedPayload(tx, decodePayload);
}

function decodePayload({ type, payload }: Transaction): unknown {
  try {
    return txTypeByNumber(type).decode(payload);
  } catch {
    return INVALID_PAYLOAD;
  }
}

/** Fields written out: spreading the block's context costs three times as much, for every transaction. */
class TransactionRun implements TxContext {
  readonly chain: ChainContext;
  readonly params: ChainParams;
  readonly crypto: Crypto;
  readonly height: number;
  readonly timeMs: number;
  readonly proposer: PublicKey | null;
  readonly lastCommit: Certificate | null;
  readonly state: StateAccess;
  readonly senderKey: StateKey;
  readonly nonce: number;
  readonly feeUait: number;
  readonly events: ChainEvent[] = [];
  readonly #tx: Transaction;
  readonly #module: number;

  constructor(block: BlockContext, tx: Transaction, module: number) {
    this.chain = block.chain;
    this.params = block.params;
    this.crypto = block.crypto;
    this.height = block.height;
    this.timeMs = block.timeMs;
    this.proposer = block.proposer;
    this.lastCommit = block.lastCommit;
    this.state = block.state;
    this.#tx = tx;
    this.senderKey = tx.senderKey;
    this.nonce = tx.nonce;
    this.feeUait = tx.feeUait;
    this.#module = module;
  }

  get sender(): PublicKey {
    return this.#tx.sender;
  }

  get senderAddress(): Address {
    return this.#tx.senderAddress;
  }

  emit(kind: number, data: Uint8Array): void {
    if (this.events.length >= MAX_EVENTS || data.length > MAX_EVENT_BYTES) {
      throw new TxFailure('LIMIT', 'too many events, or one too large');
    }
    this.events.push({ module: this.#module, kind, data });
  }
}

/** @param account of the sender, before it */
function runTransaction(run: Run, tx: Transaction, account: Account): void {
  const { context, state } = run;
  state.set(tx.senderKey, encodeAccount({ balanceUait: account.balanceUait - tx.feeUait, nonce: account.nonce + 1 }));
  run.feesUait += tx.feeUait;
  state.checkpoint();
  const { txType, module } = txTypeEntry(tx.type);
  const txRun = new TransactionRun(context, tx, module.id);
  let code: number = RECEIPT_CODES.OK;
  try {
    txType.apply(txRun, payloadOf(tx));
  } catch (error) {
    if (!(error instanceof TxFailure)) throw error;
    state.rollback();
    code = error.code;
  }
  const events = code === RECEIPT_CODES.OK ? txRun.events : [];
  run.receipts.push({ txId: tx.id, code, feeUait: tx.feeUait, events });
}

function finishRun(run: Run): { changes: StateChanges; receipts: readonly Receipt[] } {
  for (const module of MODULES) module.endBlock?.(run.context, { feesUait: run.feesUait });
  return { changes: run.state.changes, receipts: run.receipts };
}

/** Next version of the state tree after some changes. */
export function forkTree(crypto: Crypto, tree: StateTree, base: TreeVersion, changes: StateChanges): TreeVersion {
  const updates: TreeChange[] = [];
  changes.forEach((value, key) => {
    updates.push({ path: statePath(crypto, key), valueHash: value === undefined ? null : crypto.hash(value) });
  });
  return tree.fork(base, updates);
}
