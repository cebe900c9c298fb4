/**
 * One attempt under way: its machine, its stream, its vouchers. Whatever gives money away is kept before it is sent; a
 * stream that breaks is made anew until the miner has been silent for a lease.
 */
import type { Address } from '../../bytes.ts';
import type { BatchVerifier, Crypto, SignatureCheck, Signer } from '../../chain/crypto/types.ts';
import { attemptId } from '../../chain/market/job.ts';
import { quoteId } from '../../chain/market/quote.ts';
import type { SignedReceipt } from '../../chain/market/receipt.ts';
import { acknowledge, receiptCheck, receiptId } from '../../chain/market/receipt.ts';
import type { SignedTick } from '../../chain/market/tick.ts';
import { tickCheck } from '../../chain/market/tick.ts';
import type { Voucher } from '../../chain/modules/compute/voucher.ts';
import { signVoucher } from '../../chain/modules/compute/voucher.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { ErrorCode } from '../../errors.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import { LEASE_MS, MAX_PIECE_BYTES } from '../../../protocols/market/work-frames.ts';
import type { MinerFrame } from '../../../protocols/market/work-frames.ts';
import type { Agreements, HeldAgreement } from './agreements.ts';
import type { AttemptEffect, AttemptInput, AttemptOutcome, AttemptState, AttemptTerms } from './attempt-machine.ts';
import { beginAttempt, resumeAttempt, stepAttempt } from './attempt-machine.ts';
import type { Committer } from './committer.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Job } from './job.ts';
import { exposureUait } from './ledger.ts';
import type { KnownMiner } from './miner-index.ts';
import type { Row } from './ports.ts';
import { plainText } from './reasons.ts';
import type { AttemptRow, ResultRow } from './rows.ts';
import { drop, TABLE } from './rows.ts';
import type { LineEnd, LineUser, WorkLine, WorkLines } from './work-lines.ts';

const RECONNECT_MS = 250;
const MAX_RECONNECT_MS = 2_000;
/** Ticks and ends that say nothing new, each of which costs a check of its signature. */
const MAX_REPEATS = 32;
const MAX_AGAIN_MS = 5_000;
/** Streams over which something came that the miner did not seal: who carries them may be better the next time. */
const MAX_FORGED = 3;
const FORGED: ReadonlySet<string> = new Set(['BAD_PROOF', 'PEER_PROTOCOL', 'TOO_LARGE']);

export interface WorkModules {
  readonly chain: ChainContext;
  readonly crypto: Crypto;
  /** Off this thread, where there is one. */
  readonly verifier: BatchVerifier | null;
  readonly session: Signer;
  readonly client: Address;
  readonly agreements: Agreements;
  readonly lines: WorkLines;
  readonly committer: Committer;
  readonly deadlines: Deadlines;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  /** Current, by account key. */
  readonly miner: (key: string) => KnownMiner | undefined;
  readonly onStart: (job: Job) => void;
  /** @returns rows of the job, to be kept with those of the attempt */
  readonly onDelivered: (work: Work, result: ResultRow, dueUait: number) => Row[];
  /** @returns rows of the job; `lossUait` null when it has its receipt */
  readonly onOver: (work: Work, outcome: AttemptOutcome, lossUait: number | null) => Row[];
}

export interface WorkPlan {
  readonly job: Job;
  readonly minerKey: string;
  /** A slot of it is held; null after a restart. */
  readonly held: KnownMiner | null;
  readonly agreement: HeldAgreement;
  readonly row: AttemptRow;
}

export interface WorkBegin {
  /** Of the voucher to send first. */
  readonly voucherUait: number;
  /** What the agreement had given before the attempt. */
  readonly givenBeforeUait: number;
  /** null: a new attempt; else it goes on, with what was delivered before the restart. */
  readonly resumed: { readonly result: ResultRow | null } | null;
}

export class Work implements LineUser {
  readonly job: Job;
  readonly minerKey: string;
  readonly held: KnownMiner | null;
  readonly agreement: HeldAgreement;
  readonly startedMs: number;
  readonly #row: AttemptRow;
  readonly #modules: WorkModules;
  /** What the agreement had given before. */
  readonly #givenBeforeUait: number;
  #state: AttemptState;
  #voucher: Voucher;
  #acknowledgement: Uint8Array | null = null;
  #line: WorkLine | null = null;
  /** It was given to a stream. */
  #isSent = false;
  /** Of an earlier stream the miner took frames. */
  #hasLeft: boolean;
  #repeats = 0;
  #forged = 0;
  #lastHeardMs: number;
  #reconnectMs = RECONNECT_MS;
  readonly #timers = new Set<Deadline>();

  constructor(modules: WorkModules, plan: WorkPlan, begin: WorkBegin) {
    this.#modules = modules;
    this.job = plan.job;
    this.minerKey = plan.minerKey;
    this.held = plan.held;
    this.agreement = plan.agreement;
    this.#row = plan.row;
    this.startedMs = this.#lastHeardMs = modules.nowMs();
    this.#givenBeforeUait = begin.givenBeforeUait;
    const terms = this.#terms();
    const creditUait = exposureUait(plan.agreement.ledger);
    const result = begin.resumed?.result ?? null;
    this.#state =
      begin.resumed === null
        ? beginAttempt(terms, creditUait)
        : resumeAttempt(terms, creditUait, result?.receipt.receipt ?? null);
    this.#acknowledgement = result?.acknowledgement ?? null;
    this.#hasLeft = begin.resumed !== null;
    this.#voucher = this.#sign(begin.voucherUait);
    this.job.attempt = this;
    this.job.exposureUait = () => exposureUait(this.agreement.ledger);
  }

  get quote(): AttemptRow['quote']['quote'] {
    return this.#row.quote.quote;
  }

  get outputBytes(): number {
    return this.#state.outputBytes;
  }

  get #isOver(): boolean {
    return this.#state.phase === 'over';
  }

  /** Once its rows are kept. */
  start(): void {
    if (this.#isOver) return;
    if (this.#state.isStopping && this.#state.isFresh) {
      this.#step({ type: 'refuse', code: 'CANCELED', message: 'canceled before it was sent', afterMs: 0 });
      return;
    }
    this.#after(this.#row.assignment.assignment.executionMs, () => {
      this.#step({ type: 'lose', code: 'TIMEOUT', message: 'the miner took longer than an attempt may' }, true);
    });
    this.#after(LEASE_MS, () => {
      this.#checkLease();
    });
    void this.#connect(true);
  }

  stop(): void {
    this.#step({ type: 'stop' });
    this.#after(LEASE_MS, () => {
      this.#step({ type: 'lose', code: 'CANCELED', message: 'the miner did not say that it stopped' });
    });
  }

  abandon(): void {
    this.#step({ type: 'lose', code: 'CANCELED', message: 'the client waits no longer' }, true);
  }

  onHeard(): void {
    this.#lastHeardMs = this.#modules.nowMs();
  }

  onClosed({ code, message }: NodeError, how: LineEnd): void {
    if (this.#line?.isOpened === true) this.#hasLeft = true;
    this.#line = null;
    if (this.#isOver || this.#modules.signal.aborted) return;
    if (how === 'breach') this.#step({ type: 'lose', code: 'PEER_PROTOCOL', message });
    else if (how === 'refused') this.#onStreamRefused(code, message);
    else if (FORGED.has(code) && ++this.#forged >= MAX_FORGED) {
      this.#step({
        type: 'lose',
        code: 'BAD_PROOF',
        message: `what comes over the work stream is not from the miner: ${message}`,
      });
    } else this.#connectLater();
  }

  /** At once: no other stream to that key would be taken. */
  #onStreamRefused(code: ErrorCode, message: string): void {
    if (this.#hasLeft || !this.#state.isFresh) this.#step({ type: 'lose', code: 'LEASE_LOST', message });
    else {
      this.#isSent = false;
      this.#step({ type: 'refuse', code, message, afterMs: 0 });
    }
  }

  async onFrame(frame: MinerFrame): Promise<void> {
    if (frame.type === 'output') this.#repeats = 0;
    else if (++this.#repeats > MAX_REPEATS) {
      this.#step({ type: 'lose', code: 'PEER_PROTOCOL', message: 'the miner repeats itself' });
      return;
    }
    switch (frame.type) {
      case 'refuse':
        this.#step({ type: 'refuse', code: frame.code, message: plainText(frame.text), afterMs: frame.afterMs });
        return;
      case 'accept':
        return;
      case 'start':
      case 'done':
        this.#step({ type: frame.type });
        return;
      case 'output':
        this.#step({ type: 'output', chunk: frame.chunk, piece: frame.piece });
        return;
      case 'tick': {
        const isSigned = await this.#isSigned(this.#tickCheck(frame.tick));
        this.#step({ type: 'tick', signed: frame.tick, isSigned });
        return;
      }
      case 'fail': {
        const isSigned = await this.#isSigned(this.#tickCheck(frame.tick));
        this.#step({ type: 'fail', signed: frame.tick, isSigned, code: frame.code, message: plainText(frame.text) });
        return;
      }
      case 'end':
        await this.#onEnd(frame.receipt);
        return;
    }
  }

  async #onEnd(signed: SignedReceipt): Promise<void> {
    // Whoever signs as another one than the quote's miner is told from it by the check of the receipt itself.
    const isSigned = await this.#isSigned(receiptCheck(this.#modules.chain, signed));
    const outputHash =
      this.job.result?.receipt.receipt.outputHash ?? this.#modules.crypto.hash(this.job.output.whole());
    this.#step({ type: 'end', signed, isSigned, outputHash });
  }

  #step(input: AttemptInput, tellsMiner = false): void {
    if (this.#isOver) return;
    const wasAcknowledging = this.#state.phase === 'acknowledging';
    const { state, effects } = stepAttempt(this.#state, input, this.#modules.crypto);
    this.#state = state;
    if (tellsMiner) this.#line?.send({ type: 'stop', attempt: state.terms.id });
    for (const effect of effects) this.#run(effect, wasAcknowledging);
  }

  #run(effect: AttemptEffect, wasAcknowledging: boolean): void {
    switch (effect.type) {
      case 'deliver':
        this.job.output.push(effect.piece);
        this.job.changed.fire();
        return;
      case 'credit':
        this.#credit(effect.toUait);
        return;
      case 'acknowledge':
        this.#acknowledge(effect.signed, effect.again);
        return;
      case 'send':
        this.#send(effect.frame);
        return;
      case 'again':
        this.#dropLine();
        this.#after(Math.min(MAX_AGAIN_MS, effect.afterMs), () => void this.#connect(true));
        return;
      case 'started':
        this.#modules.onStart(this.job);
        return;
      case 'over':
        this.#finish(effect.outcome, wasAcknowledging);
        return;
    }
  }

  #credit(toUait: number): void {
    const { agreements, committer } = this.#modules;
    const sumUait = agreements.step(this.agreement, { type: 'raise', toUait });
    if (sumUait === null) return;
    this.#state = stepAttempt(
      this.#state,
      { type: 'credited', creditUait: exposureUait(this.agreement.ledger) },
      this.#modules.crypto,
    ).state;
    const voucher = this.#sign(sumUait);
    this.#voucher = voucher;
    this.#sendKept(committer.keep([agreements.rowOf(this.agreement)]), (line) => {
      line.send({ type: 'credit', attempt: this.#state.terms.id, voucher });
    });
  }

  #acknowledge(receipt: SignedReceipt, again: boolean): void {
    const { agreements, committer, chain, crypto, session } = this.#modules;
    const attempt = this.#state.terms.id;
    const known = this.#acknowledgement;
    if (again && known !== null) {
      this.#line?.send({ type: 'acknowledge', attempt, signature: known, voucher: this.#voucher });
      return;
    }
    const { dueUait } = this.#state;
    const sumUait = agreements.step(this.agreement, { type: 'acknowledge', dueUait }) ?? this.#voucher.creditUait;
    // One that gives no more than the last is the last.
    const voucher = sumUait === this.#voucher.creditUait ? this.#voucher : this.#sign(sumUait);
    const signature = acknowledge(chain, session, receiptId(crypto, chain, receipt.receipt));
    this.#voucher = voucher;
    this.#acknowledgement = signature;
    const rows = this.#modules.onDelivered(this, { receipt, acknowledgement: signature }, dueUait);
    this.#sendKept(committer.keep([...rows, agreements.rowOf(this.agreement)]), (line) => {
      line.send({ type: 'acknowledge', attempt, signature, voucher });
    });
  }

  /** On the stream there is by then; a new one begins with all that was missed. */
  #sendKept(kept: Promise<void>, send: (line: WorkLine) => void): void {
    const line = this.#line;
    kept.then(
      () => {
        if (line !== null && this.#line === line) send(line);
      },
      () => undefined,
    );
  }

  #send(frame: 'assign' | 'resume' | 'stop'): void {
    const line = this.#line;
    if (line === null) return;
    const attempt = this.#state.terms.id;
    const voucher = this.#voucher;
    if (frame === 'stop') line.send({ type: 'stop', attempt });
    else if (frame === 'resume') line.send({ type: 'resume', attempt, chunks: this.#state.chunks, voucher });
    else this.#sendAssignment(line).catch(() => undefined);
  }

  async #sendAssignment(line: WorkLine): Promise<void> {
    const { content } = this.job;
    const attempt = this.#state.terms.id;
    const { assignment } = this.#row;
    line.send({ type: 'assign', job: this.job.row.job, assignment, voucher: this.#voucher, open: this.agreement.open });
    this.#isSent = true;
    if (content === null) return;
    for (let at = 0; at < content.length && this.#line === line; at += MAX_PIECE_BYTES) {
      await line.sendInput(attempt, content.subarray(at, at + MAX_PIECE_BYTES));
    }
  }

  async #connect(isFirst: boolean): Promise<void> {
    if (this.#isOver || this.#line !== null) return;
    const { lines, signal } = this.#modules;
    const miner = this.#modules.miner(this.minerKey);
    if (!miner) {
      this.#connectLater();
      return;
    }
    try {
      const line = await lines.take(miner.offer, this.quote.sealKey, signal);
      if (this.#isOver) {
        lines.giveBack(line);
        return;
      }
      this.#line = line;
      line.use(this, this.#state.terms.id);
      this.#reconnectMs = RECONNECT_MS;
      if (isFirst && this.#state.phase === 'assigned') this.#send('assign');
      else this.#step({ type: 'reconnect' });
    } catch (error) {
      if (signal.aborted) return;
      const { code, message } = toNodeError(error);
      // Nothing has left: no reason to wait for this one.
      if (!this.#isSent && this.#state.isFresh) this.#step({ type: 'refuse', code, message, afterMs: 0 });
      else this.#connectLater();
    }
  }

  #connectLater(): void {
    this.#reconnectMs = Math.min(MAX_RECONNECT_MS, this.#reconnectMs * 2);
    this.#after(this.#reconnectMs, () => void this.#connect(false));
  }

  #checkLease(): void {
    const silentMs = this.#modules.nowMs() - this.#lastHeardMs;
    if (silentMs >= LEASE_MS) {
      this.#step({ type: 'lose', code: 'LEASE_LOST', message: 'the miner fell silent' });
      return;
    }
    this.#after(LEASE_MS - silentMs, () => {
      this.#checkLease();
    });
  }

  #finish(outcome: AttemptOutcome, hasReceipt: boolean): void {
    const { agreements, committer, lines } = this.#modules;
    for (const timer of this.#timers) this.#modules.deadlines.drop(timer);
    this.#timers.clear();
    const { givenUait, baseUait } = this.agreement.ledger;
    const fromUait = outcome.how === 'refused' ? Math.max(baseUait, this.#givenBeforeUait) : baseUait;
    const nothingLeft = outcome.how === 'refused' && !this.#isSent;
    const lossUait = hasReceipt ? null : nothingLeft ? 0 : givenUait - fromUait;
    if (outcome.how === 'done') agreements.step(this.agreement, { type: 'done', dueUait: this.#state.dueUait });
    else agreements.step(this.agreement, { type: outcome.how === 'refused' ? 'refused' : 'ended' });
    this.agreement.running = null;
    this.job.attempt = null;
    // It stands for long; what it was done with need not.
    this.job.exposureUait = () => 0;
    const line = this.#line;
    if (outcome.how === 'done' && line !== null) lines.giveBack(line);
    else this.#dropLine();
    this.#line = null;
    const rows = this.#modules.onOver(this, outcome, lossUait);
    void committer
      .keep([...rows, agreements.rowOf(this.agreement), drop(TABLE.attempt, this.job.id)])
      .catch(() => undefined);
  }

  #dropLine(): void {
    const line = this.#line;
    this.#line = null;
    if (line?.isOpened === true) this.#hasLeft = true;
    line?.leave();
    line?.close(new NodeError('CANCELED', 'the attempt is over'));
  }

  #after(ms: number, run: () => void): void {
    const timer = this.#modules.deadlines.after(ms, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }

  #sign(creditUait: number): Voucher {
    const { chain, session } = this.#modules;
    return signVoucher(chain, session, { agreement: this.agreement.id, creditUait, seen: this.#state.link });
  }

  #tickCheck(signed: SignedTick): SignatureCheck {
    return tickCheck(this.#modules.chain, signed, this.quote.miner);
  }

  async #isSigned(check: SignatureCheck): Promise<boolean> {
    const { verifier, crypto } = this.#modules;
    if (!verifier) return crypto.verify(check.message, check.signature, check.publicKey);
    try {
      return (await verifier.verifyBatch([check]))[0] === true;
    } catch {
      return crypto.verify(check.message, check.signature, check.publicKey);
    }
  }

  #terms(): AttemptTerms {
    const { chain, crypto, client, session } = this.#modules;
    const { assignment } = this.#row.assignment;
    const { quote } = this.#row.quote;
    const { spec } = this.job;
    return {
      id: attemptId(crypto, this.job.id, assignment.attempt),
      job: this.job.id,
      attempt: assignment.attempt,
      agreement: this.agreement.id,
      quote: quoteId(crypto, chain, quote),
      client,
      signer: session.publicKey,
      miner: quote.miner,
      kind: quote.kind,
      model: quote.model,
      modelDigest: quote.modelDigest,
      inputHash: spec.inputHash,
      inputBytes: spec.inputBytes,
      price: quote.price,
      open: this.agreement.open,
      tickUait: quote.tickUait,
      maxOutputBytes: spec.maxOutputBytes,
      maxUait: assignment.maxUait,
    };
  }
}
