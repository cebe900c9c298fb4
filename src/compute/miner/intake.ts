/** What clients send over work streams, checked and entered: assignments, vouchers, acknowledgements, and who comes back. */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { BatchVerifier, SignatureCheck, Signer } from '../../chain/crypto/types.ts';
import { encodeAssignment } from '../../chain/market/assignment.ts';
import { attemptId, jobId } from '../../chain/market/job.ts';
import { acknowledgementCheck, receiptId } from '../../chain/market/receipt.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Voucher } from '../../chain/modules/compute/voucher.ts';
import { voucherCheck } from '../../chain/modules/compute/voucher.ts';
import type { Clock } from '../../clock.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Sealing } from '../../../protocols/market/sealing.ts';
import type { ClientFrame } from '../../../protocols/market/work-frames.ts';
import type { AssignFacts, AssignFrame, AssignRules } from './assign.ts';
import { assignmentChecks, judgeAssignment, judgeOpening } from './assign.ts';
import type { Books } from './books.ts';
import type { HeldQuote } from './desk.ts';
import { creditOf, withChain, withVoucher } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import type { Outbox } from './outbox.ts';
import type { MinerChain } from './ports.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';
import type { AttemptRun } from './run.ts';
import type { Runs } from './runs.ts';
import type { SealKeys } from './seal-keys.ts';
import type { SessionHost } from './session.ts';
import type { Slots } from './slots.ts';

type Frame<Type extends ClientFrame['type']> = ClientFrame & { readonly type: Type };

export interface IntakeModules {
  readonly rules: AssignRules;
  readonly source: MinerChain;
  readonly books: Books;
  readonly runs: Runs;
  readonly slots: Slots;
  readonly outbox: Pick<Outbox, 'isReleasing'>;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly sealing: Sealing;
  readonly sealKeys: Pick<SealKeys, 'find'>;
  readonly signer: Pick<Signer, 'sign'>;
  /** Why no work is taken now. */
  readonly closed: () => Refusal | null;
  readonly onFatal: (error: NodeError) => void;
}

export class Intake implements SessionHost {
  readonly chain: ChainContext;
  readonly sealing: Sealing;
  readonly sealKeys: Pick<SealKeys, 'find'>;
  readonly signer: Pick<Signer, 'sign'>;
  readonly #modules: IntakeModules;

  constructor(modules: IntakeModules) {
    this.#modules = modules;
    this.chain = modules.rules.chain;
    this.sealing = modules.sealing;
    this.sealKeys = modules.sealKeys;
    this.signer = modules.signer;
  }

  attemptOf({ assignment: { assignment } }: AssignFrame): Hash {
    return attemptId(this.#modules.rules.hasher, assignment.job, assignment.attempt);
  }

  async assign(frame: AssignFrame): Promise<AttemptRun | Refusal> {
    const { rules, runs } = this.#modules;
    const known = runs.get(this.attemptOf(frame));
    if (known)
      return sameAssignment(known, frame) ? known : refusal('CONFLICT', 'this attempt was assigned in other words');
    const opening = judgeOpening(rules, frame);
    if ('code' in opening) return opening;
    // An attempt that a later one replaces still has its agreement: that alone is settled below.
    const early = this.#judge(frame, false);
    if (early) return early;
    if (!(await this.#verify(assignmentChecks(rules, frame, { signer: frame.job.spec.signer }, opening)))) {
      return refusal('BAD_SIGNATURE', 'a signature of the assignment does not verify');
    }
    await this.#fence(frame);
    return this.#begin(frame);
  }

  async resume(frame: Frame<'resume'>): Promise<AttemptRun | Refusal> {
    const run = this.#modules.runs.get(frame.attempt);
    if (!run) return refusal('NOT_FOUND', 'this miner knows no such attempt: assign the next one');
    if (frame.chunks > run.state.chunks) return refusal('CONFLICT', 'more pieces than were sent');
    await this.#takeVoucher(run, frame.voucher, true);
    return run;
  }

  async credit(run: AttemptRun, frame: Frame<'credit'>): Promise<void> {
    await this.#takeVoucher(run, frame.voucher, false);
  }

  async acknowledge(run: AttemptRun, { signature, voucher }: Frame<'acknowledge'>): Promise<void> {
    const { hasher } = this.#modules.rules;
    const { receipt, phase } = run.state;
    if (!receipt || (phase !== 'ended' && phase !== 'done')) return;
    const id = receiptId(hasher, this.chain, receipt.receipt);
    if (!(await this.#verify([acknowledgementCheck(this.chain, id, signature, receipt.receipt.signer)]))) {
      throw new NodeError('PEER_PROTOCOL', 'the acknowledgement does not verify');
    }
    await this.#takeVoucher(run, voucher, false);
    await run.apply({ type: 'acknowledged', signature });
  }

  /** @param asProof that it is the client who sends it, whatever it gives */
  async #takeVoucher(run: AttemptRun, voucher: Voucher, asProof: boolean): Promise<void> {
    const { books } = this.#modules;
    const { assignment } = run.state.terms.assignment;
    const { signer } = run.state.terms.job.spec;
    if (!equalBytes(voucher.agreement, assignment.agreement) || !equalBytes(voucher.signer, signer)) {
      throw new NodeError('PEER_PROTOCOL', 'a voucher of another agreement or key');
    }
    const isHigher = (): boolean =>
      voucher.creditUait > (books.get(assignment.agreement)?.voucher.creditUait ?? Infinity);
    if (!asProof && !isHigher()) return;
    if (!(await this.#verify([voucherCheck(this.chain, voucher)]))) {
      throw new NodeError('PEER_PROTOCOL', 'a voucher does not verify');
    }
    const ledger = books.get(assignment.agreement);
    if (!ledger || !isHigher()) return;
    const raised = withVoucher(ledger, voucher);
    books.set(raised);
    await run.apply({ type: 'credit', creditUait: creditOf(raised) - assignment.baseUait });
  }

  /** Earlier attempts of the job that still run here: the later one counts. */
  async #fence(frame: AssignFrame): Promise<void> {
    const { runs, rules } = this.#modules;
    const { job, attempt } = frame.assignment.assignment;
    const earlier = runs.workingFor(jobId(rules.hasher, rules.chain, frame.job));
    const fenced = earlier.filter(({ state }) => state.terms.assignment.assignment.attempt < attempt);
    if (fenced.length === 0) return;
    runs.fence(job, attempt);
    for (const run of fenced) run.giveUp('FENCED', `attempt ${attempt} of this job counts`);
    await runs.over(fenced);
  }

  /** No wait before the slot and the agreement are this attempt's. */
  async #begin(frame: AssignFrame): Promise<AttemptRun | Refusal> {
    const { runs, slots, books, clock, onFatal } = this.#modules;
    const again = runs.get(this.attemptOf(frame));
    if (again)
      return sameAssignment(again, frame) ? again : refusal('CONFLICT', 'this attempt was assigned in other words');
    const late = this.#judge(frame, true);
    if (late) return late;
    const { assignment } = frame.assignment;
    const effect = slots.step({ type: 'take', quoteId: assignment.quote, nowMs: clock.now() });
    if (effect?.type !== 'taken') return effect?.type === 'refuse' ? effect.refusal : refusal('BUSY', 'no slot', 1_000);
    books.set(withVoucher(this.#ledger(frame), frame.voucher));
    const { job, open } = frame;
    const terms = { id: this.attemptOf(frame), job, assignment: frame.assignment, open, quote: effect.quote.quote };
    try {
      return await runs.begin(terms);
    } catch (error) {
      onFatal(toNodeError(error));
      return refusal('STORAGE', 'this miner cannot keep what it is given');
    }
  }

  #judge(frame: AssignFrame, isLast: boolean): Refusal | null {
    const { rules, source, books, runs, outbox, clock, closed } = this.#modules;
    const { assignment } = frame.assignment;
    const ledger = books.get(assignment.agreement);
    if (!ledger && books.isFull) return refusal('BUSY', 'this miner has too many agreements', 10_000);
    const isReplacing = ledger?.active && runs.get(ledger.active.attempt)?.state.terms.assignment.assignment;
    const replaced =
      isReplacing && equalBytes(isReplacing.job, assignment.job) && isReplacing.attempt < assignment.attempt;
    const facts: AssignFacts = {
      agreement: source.agreement(assignment.agreement),
      quote: this.#quote(assignment.quote),
      ledger: ledger && replaced === true && !isLast ? { ...ledger, active: null, dueUait: 0 } : ledger,
      isReleasing: outbox.isReleasing(assignment.agreement),
      lastAttempt: runs.lastAttempt(assignment.job),
      headTimeMs: source.head().timeMs,
      nowMs: clock.now(),
    };
    return closed() ?? judgeAssignment(rules, frame, facts);
  }

  #quote(id: Hash): HeldQuote | undefined {
    for (const held of this.#modules.slots.state.quotes.values()) if (equalBytes(held.id, id)) return held;
    return undefined;
  }

  /** That of the agreement, as the chain has it now. */
  #ledger(frame: AssignFrame): Ledger {
    const { books, source, clock } = this.#modules;
    const { agreement } = frame.assignment.assignment;
    const found = source.agreement(agreement);
    const known = books.get(agreement);
    if (known) return withChain(known, found);
    const fresh: Ledger = {
      agreement,
      client: frame.job.spec.client,
      signer: frame.job.spec.signer,
      ...{ capUait: 0, paidUait: 0, expiresAtMs: 0, chainState: 'open', dueUait: found?.paidUait ?? 0 },
      active: null,
      voucher: frame.voucher,
      isSingle: false,
      receipts: [],
      awaitedUntilMs: 0,
      lastUsedMs: clock.now(),
    };
    return withChain(fresh, found);
  }

  async #verify(checks: readonly SignatureCheck[]): Promise<boolean> {
    return (await this.#modules.verifier.verifyBatch(checks)).every(Boolean);
  }
}

function sameAssignment({ state }: AttemptRun, { assignment }: AssignFrame): boolean {
  return equalBytes(encodeAssignment(state.terms.assignment), encodeAssignment(assignment));
}
