/** Whether a miner takes an assignment, before its slot: every check that needs no waiting. Pure. */
import type { Address, Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { Hasher, SignatureCheck } from '../../chain/crypto/types.ts';
import { assignmentCheck } from '../../chain/market/assignment.ts';
import { jobCheck, jobId } from '../../chain/market/job.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import { agreementId } from '../../chain/modules/compute/agreement.ts';
import { openAgreement } from '../../chain/modules/compute/agreement-client.ts';
import { voucherCheck } from '../../chain/modules/compute/voucher.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Transaction } from '../../chain/tx.ts';
import { decodeTransaction } from '../../chain/tx.ts';
import { txChecks } from '../../chain/tx-checks.ts';
import { isNodeError } from '../../errors.ts';
import type { ClientFrame } from '../../../protocols/market/work-frames.ts';
import type { HeldQuote } from './desk.ts';
import type { Ledger } from './ledger.ts';
import { MAX_RECEIPTS, owedUait } from './ledger.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';

export type AssignFrame = ClientFrame & { readonly type: 'assign' };

export interface AssignRules {
  readonly hasher: Hasher;
  readonly chain: ChainContext;
  /** The miner's. */
  readonly address: Address;
}

/** What the miner knows at this moment. */
export interface AssignFacts {
  readonly agreement: Agreement | null;
  readonly quote: HeldQuote | undefined;
  readonly ledger: Ledger | undefined;
  /** Its release is on its way to the chain. */
  readonly isReleasing: boolean;
  /** Highest attempt of the job seen; 0: none. */
  readonly lastAttempt: number;
  /** Chain time. */
  readonly headTimeMs: number;
  readonly nowMs: number;
}

/** @throws NodeError CODEC @returns null when these bytes open no agreement */
function readOpening(rules: Pick<AssignRules, 'hasher' | 'chain'>, bytes: Uint8Array): Opening | null {
  const tx = decodeTransaction(rules.hasher, bytes);
  if (tx.type !== openAgreement.type) return null;
  const id = agreementId(rules.hasher, rules.chain, tx.senderAddress, tx.nonce);
  return { tx, agreement: id, ...openAgreement.decode(tx.payload) };
}

export interface Opening {
  readonly tx: Transaction;
  readonly agreement: Hash;
  readonly miner: Address;
  readonly signer: Uint8Array;
  readonly capUait: number;
}

/** Every signature of it, under the session key of the agreement. */
export function assignmentChecks(
  rules: AssignRules,
  { job, assignment, voucher }: AssignFrame,
  { signer }: Pick<Agreement, 'signer'>,
  opening: Opening,
): SignatureCheck[] {
  return [
    jobCheck(rules.chain, job),
    assignmentCheck(rules.chain, assignment, signer),
    voucherCheck(rules.chain, voucher),
    ...txChecks(rules.chain, opening.tx),
  ];
}

/** @returns null: it may have a slot, once its signatures are found good */
export function judgeAssignment(rules: AssignRules, frame: AssignFrame, facts: AssignFacts): Refusal | null {
  return judgeForm(rules, frame) ?? judgeAgreement(rules, frame, facts) ?? judgeMoney(frame, facts);
}

/** Parts that contradict each other. */
function judgeForm(rules: AssignRules, { job, assignment: { assignment }, voucher }: AssignFrame): Refusal | null {
  const { spec } = job;
  if (!equalBytes(assignment.miner, rules.address)) return badJob('the assignment is for another miner');
  if (!equalBytes(assignment.job, jobId(rules.hasher, rules.chain, job)))
    return badJob('the assignment is of another job');
  if (!equalBytes(voucher.agreement, assignment.agreement)) return badJob('the voucher is of another agreement');
  if (!equalBytes(voucher.signer, spec.signer)) return badJob('job and voucher are signed by different keys');
  if (assignment.executionMs === 0 || assignment.executionMs > spec.executionMs) {
    return badJob('the time of the assignment exceeds that of the job');
  }
  if (assignment.maxUait > spec.maxPriceUait) return badJob('the assignment may cost more than the job');
  return null;
}

function judgeAgreement(rules: AssignRules, frame: AssignFrame, facts: AssignFacts): Refusal | null {
  const { job, assignment } = frame;
  const { agreement, isReleasing, quote, lastAttempt, headTimeMs, nowMs } = facts;
  const { executionMs, attempt } = assignment.assignment;
  if (!agreement) return refusal('NOT_FUNDED', 'no such agreement in a final block here yet', 500);
  const isOurs = equalBytes(agreement.miner, rules.address);
  const isTheirs = equalBytes(agreement.client, job.spec.client) && equalBytes(agreement.signer, job.spec.signer);
  if (!isOurs || !isTheirs) return badJob('the agreement is between others, or names another session key');
  if (agreement.state.name !== 'open' || isReleasing) {
    return refusal('NOT_FUNDED', 'the agreement is closing or closed, or its release is on its way: open another one');
  }
  if (agreement.expiresAtMs < headTimeMs + 2 * executionMs) {
    return refusal('NOT_FUNDED', 'the agreement expires within twice the time of the work: extend it');
  }
  if (attempt < lastAttempt) return refusal('FENCED', `attempt ${lastAttempt} of this job counts`);
  if (!quote || quote.quote.validUntilMs < nowMs) {
    return refusal('EXPIRED', 'not a quote of this miner, or no longer valid: ask for a new one', 1);
  }
  return judgeQuote(frame, quote);
}

function judgeQuote({ job: { spec } }: AssignFrame, { request, quote }: HeldQuote): Refusal | null {
  if (!equalBytes(request.client, spec.client)) return badJob('the quote is for another client');
  const isKind = spec.kind === quote.kind && (spec.model === '' || spec.model === quote.model);
  if (!isKind) return badJob('the quote is for another kind or model');
  if (spec.inputBytes > request.inputBytes || spec.maxOutputBytes > request.maxOutputBytes) {
    return refusal('TOO_LARGE', 'the job is larger than the quote: ask for one of its size');
  }
  return null;
}

function judgeMoney({ job: { spec }, assignment, voucher }: AssignFrame, facts: AssignFacts): Refusal | null {
  const { agreement, quote, ledger } = facts;
  const { baseUait, maxUait } = assignment.assignment;
  if (!agreement || !quote) return refusal('INTERNAL', 'agreement and quote are checked before money');
  if (ledger?.active) return refusal('BUSY', 'the agreement has an attempt at work', 1_000);
  if (ledger && ledger.receipts.length >= MAX_RECEIPTS) {
    return refusal('NOT_FUNDED', `an agreement takes ${MAX_RECEIPTS} jobs: open another one`);
  }
  // Without a ledger what the chain has paid is what was due.
  if ((ledger ? owedUait(ledger) : agreement.paidUait) > baseUait) {
    return refusal('CONFLICT', 'more is due under this agreement than the assignment counts');
  }
  const { price, tickUait } = quote.quote;
  const leastUait = dueUait(price, spec.inputBytes, 0);
  if (maxUait < leastUait) return refusal('PRICE', 'fixed price and input cost more than the assignment allows');
  const creditUait = Math.min(voucher.creditUait, agreement.capUait) - baseUait;
  if (creditUait < Math.min(leastUait + tickUait, maxUait)) {
    return refusal('NOT_FUNDED', 'the first voucher must cover fixed price, input and one tick, within the cap');
  }
  return null;
}

/** Whether the opening that comes along is the one of the agreement. */
export function judgeOpening(rules: AssignRules, frame: AssignFrame): Opening | Refusal {
  const wrong = badJob('the opening that comes along is not that of the agreement');
  try {
    const opening = readOpening(rules, frame.open);
    if (!opening) return wrong;
    const { assignment } = frame.assignment;
    const isIt =
      equalBytes(opening.agreement, assignment.agreement) &&
      equalBytes(opening.miner, rules.address) &&
      equalBytes(opening.signer, frame.job.spec.signer);
    return isIt ? opening : wrong;
  } catch (error) {
    if (isNodeError(error)) return wrong;
    throw error;
  }
}

function badJob(text: string): Refusal {
  return refusal('BAD_JOB', text);
}
