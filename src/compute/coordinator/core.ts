/**
 * What moves jobs: each input goes through the job's machine, and what follows from it is done here. All of it runs on one
 * thread, and all that is kept goes through one writer.
 */
import type { Address } from '../../bytes.ts';
import type { BatchVerifier, Crypto, Signer } from '../../chain/crypto/types.ts';
import { signAssignment } from '../../chain/market/assignment.ts';
import { quoteId } from '../../chain/market/quote.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Clock } from '../../clock.ts';
import type { NodeError } from '../../errors.ts';
import { toNodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Sealing, SealKeyPair } from '../../../protocols/market/sealing.ts';
import { Agreements } from './agreements.ts';
import { Anchors } from './anchors.ts';
import { Archive } from './archive.ts';
import { firstCreditUait } from './attempt-machine.ts';
import { ChainView } from './chain-view.ts';
import { Committer } from './committer.ts';
import type { JobFault } from './coordinator.ts';
import type { Deadline } from './deadlines.ts';
import { Deadlines } from './deadlines.ts';
import type { Job } from './job.ts';
import type { JobInput } from './job-machine.ts';
import { isWithMiner, stepJob } from './job-machine.ts';
import { exposureUait } from './ledger.ts';
import type { CoordinatorLimits } from './limits.ts';
import { classOf, MinerIndex } from './miner-index.ts';
import type { Inputs } from './inputs.ts';
import { Memory } from './memory.ts';
import type { CoordinatorMetrics } from './metrics.ts';
import { Outcomes } from './outcomes.ts';
import { OutputLog } from './output-log.ts';
import type { Miners, Money, Row, Rows } from './ports.ts';
import type { Held, Placed } from './placing.ts';
import { Placing } from './placing.ts';
import type { ReplayOptions } from './replays.ts';
import { Replays } from './replays.ts';
import { HOPELESS, LOST_INPUT, TELLING } from './reasons.ts';
import type { AttemptRow, ResultRow } from './rows.ts';
import { drop, encodeAttempt, encodeProgress, put, TABLE } from './rows.ts';
import { Scheduler } from './scheduler.ts';
import type { WorkPlan } from './work.ts';
import { Work } from './work.ts';
import { WorkLines } from './work-lines.ts';

const BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 5_000;
export interface CoreModules {
  readonly chain: ChainContext;
  readonly crypto: Crypto;
  readonly verifier: BatchVerifier | null;
  readonly sealing: Sealing;
  readonly sealKeys: SealKeyPair;
  readonly session: Signer;
  readonly miners: Miners;
  readonly money: Money;
  readonly rows: Rows;
  readonly inputs: Inputs;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: CoordinatorMetrics;
  readonly limits: CoordinatorLimits;
  readonly replay: ReplayOptions | null;
  readonly random: (bytes: number) => Uint8Array;
}

export class Core {
  readonly view: ChainView;
  readonly committer: Committer;
  readonly agreements: Agreements;
  readonly index: MinerIndex;
  readonly archive: Archive;
  readonly memory: Memory;
  readonly anchors: Anchors;
  readonly deadlines: Deadlines;
  readonly lines: WorkLines;
  readonly outcomes: Outcomes;
  readonly replays: Replays | null;
  readonly client: Address;
  onEnded: (job: Job) => void = () => undefined;
  /** Told when jobs are kept no longer. */
  onGone: (jobs: readonly Job[]) => void = () => undefined;
  readonly #modules: CoreModules;
  readonly #placing: Placing;
  readonly #scheduler: Scheduler;
  readonly #stop = new AbortController();
  #matching = 0;
  #runningOutputBytes = 0;
  readonly #reserved = new Set<string>();
  #headMs = 0;
  #pruning: Deadline | null = null;
  #endOffers: () => void = () => undefined;

  constructor(modules: CoreModules) {
    this.#modules = modules;
    const { chain, crypto, clock, money, miners, limits, log, session, sealing, sealKeys: keys } = modules;
    const nowMs = (): number => clock.monotonic();
    this.client = money.client;
    this.deadlines = new Deadlines(clock);
    this.view = new ChainView(money, clock);
    this.committer = new Committer(modules.rows, (error) => {
      this.#onStorageFailure(error);
    });
    const { deadlines, committer, view } = this;
    const { publicKey } = session;
    const { signal } = this.#stop;
    this.agreements = new Agreements({ money, session: publicKey, committer, deadlines, nowMs, log, signal });
    this.memory = new Memory(limits.maxMinersKnown);
    this.archive = new Archive(limits);
    this.anchors = new Anchors(crypto, limits.maxPlaces);
    this.#scheduler = new Scheduler({
      available: (classKey) => this.index.available(classKey),
      hasRoom: () => this.#matching < limits.maxMatching && this.#runningOutputBytes < limits.maxRunningOutputBytes,
      launch: (job) => {
        this.#launch(job);
      },
    });
    this.index = new MinerIndex({
      ...{ hasher: crypto, maxMiners: limits.maxMinersKnown, nowMs },
      onAvailable: (classKey) => {
        this.#scheduler.wake(classKey);
      },
    });
    this.lines = new WorkLines({
      ...{ chain, miners, sealing, verifier: crypto, keys, deadlines, maxIdle: limits.maxIdleStreams },
      ...{ maxIdlePerMiner: limits.maxIdleStreamsPerMiner, idleMs: limits.idleStreamMs },
    });
    this.#placing = new Placing({
      ...{ chain, crypto, clock, miners, money, session, view, deadlines, limits },
      ...{ index: this.index, agreements: this.agreements, record: (key: string) => this.memory.of(key, clock.now()) },
      onLeft: (job, agreement) => {
        this.agreements.retire(agreement);
        this.#keep(this.apply(job, { type: 'spend', exposureUait: exposureUait(agreement.ledger) }));
      },
      onMatched: (job) => void this.apply(job, { type: 'match' }),
      onUnblocked: () => {
        this.pump();
      },
    });
    const { agreements, memory, index, anchors } = this;
    this.outcomes = new Outcomes({
      ...{
        chain,
        hasher: crypto,
        agreements,
        memory,
        anchors,
        log,
        nowMs,
        maxContradictions: limits.maxContradictions,
      },
      ...{ metrics: modules.metrics, wallMs: () => Math.floor(clock.now()) },
      offering: (classKey) => index.offering(classKey),
      release: (miner) => {
        this.#placing.release(miner);
      },
      apply: (job, input) => this.apply(job, input),
      pump: () => {
        this.pump();
      },
      maxWrongResults: limits.maxWrongResults,
      onReceipt: (job, receipt) => this.replays?.consider(job, receipt),
    });
    const { replay, random } = modules;
    this.replays =
      replay &&
      new Replays({
        ...{
          ...replay,
          chain,
          hasher: crypto,
          inputs: modules.inputs,
          random,
          log,
          metrics: modules.metrics,
          signal,
          deadlines,
        },
        ...{ maxWaiting: limits.maxReplays, maxWaitingBytes: limits.maxReplayBytes },
        onWrong: (job, wrong) => {
          this.#keep(this.outcomes.onWrongResult(job, wrong));
        },
      });
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get matching(): number {
    return this.#matching;
  }

  get runningOutputBytes(): number {
    return this.#runningOutputBytes;
  }

  /** @throws NodeError when the chain does not answer */
  async start(): Promise<void> {
    const { miners } = this.#modules;
    this.#headMs = (await this.view.head()).timeMs;
    await this.view.terms();
    this.#endOffers = miners.onOffers(() => {
      this.#takeOffers();
    });
    this.#takeOffers();
  }

  async close(): Promise<void> {
    this.#endOffers();
    this.#stop.abort();
    this.#placing.close();
    this.lines.close();
    this.deadlines.close();
    await this.replays?.idle();
    await this.committer.idle();
  }

  /** @returns rows to keep with whatever caused it */
  apply(job: Job, input: JobInput): Row[] {
    const wasEnded = job.isEnded;
    const step = stepJob(job.progress, input, { maxAttempts: this.#modules.limits.maxAttempts });
    job.take(step, Math.floor(this.#modules.clock.now()), this.#modules.limits.maxEventsPerJob);
    const rows: Row[] = [];
    for (const effect of step.effects) {
      switch (effect.type) {
        case 'enqueue':
          this.#enqueue(job);
          break;
        case 'stop':
          job.attempt?.stop();
          break;
        case 'abandon':
          job.attempt?.abandon();
          break;
      }
    }
    if (!wasEnded && job.isEnded) rows.push(...this.#ended(job));
    rows.push(put(TABLE.progress, job.id, encodeProgress(job.progressRow())));
    return rows;
  }

  /** Applies and keeps. @throws NodeError STORAGE */
  applyKept(job: Job, input: JobInput): Promise<void> {
    return this.committer.keep(this.apply(job, input));
  }

  /** Its time in the queue begins anew. */
  beginTurn(job: Job): void {
    job.queueUntilMs = this.deadlines.nowMs + job.spec.queueMs;
    this.setDeadline(job);
  }

  setDeadline(job: Job): void {
    this.deadlines.drop(job.deadline);
    job.deadline = null;
    if (job.isEnded) return;
    const untilMs = isWithMiner(job.progress.state) ? job.totalUntilMs : Math.min(job.queueUntilMs, job.totalUntilMs);
    job.deadline = this.deadlines.after(untilMs - this.deadlines.nowMs, () => {
      this.#onDeadline(job);
    });
  }

  pump(): void {
    if (!this.#stop.signal.aborted && this.committer.failure === null) this.#scheduler.pump();
  }

  /** An attempt that was under way when the coordinator stopped; one of a job that is over waits to be acknowledged. */
  resume(plan: WorkPlan, result: ResultRow | null): void {
    const { ledger } = plan.agreement;
    const begin = { voucherUait: ledger.givenUait, givenBeforeUait: ledger.baseUait, resumed: { result } };
    const work = new Work(this.#workModules(), plan, begin);
    if (plan.job.progress.state === 'canceling') work.stop();
    work.start();
  }

  #takeOffers(): void {
    this.index.update(this.#modules.miners.offers());
    this.pump();
  }

  /** For terms of agreements, which are minutes: what was true a moment ago does. */
  #refreshHead(): void {
    this.view.head().then(
      ({ timeMs }) => {
        this.#headMs = timeMs;
      },
      () => undefined,
    );
  }

  /** Also when no further job ends. */
  #pruneLater(): void {
    this.#pruning ??= this.deadlines.after(this.#modules.limits.endedKeptMs, () => {
      this.#pruning = null;
      const { gone, rows } = this.archive.prune(Math.floor(this.#modules.clock.now()));
      this.onGone(gone);
      this.#keep(rows);
      if (this.archive.size > 0) this.#pruneLater();
    });
  }

  #enqueue(job: Job): void {
    this.#unreserve(job);
    const delayMs = job.round === 0 ? 0 : Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** Math.min(job.round - 1, 8));
    job.round++;
    job.queuedMs = this.deadlines.nowMs;
    this.setDeadline(job);
    const push = (): void => {
      if (job.progress.state !== 'queued') return;
      this.#countAbsence(job);
      this.#scheduler.push(job);
      this.pump();
    };
    const ready = job.blobs.length === 0 ? push : () => void this.#offerBlobs(job, push);
    if (delayMs > 0) this.deadlines.after(delayMs, ready);
    // Not within the step that queues it.
    else queueMicrotask(ready);
  }

  /** No miner's slot waits for an upload. */
  async #offerBlobs(job: Job, then: () => void): Promise<void> {
    try {
      await this.#modules.inputs.offer(job.blobs, this.#stop.signal);
      then();
    } catch (error) {
      if (!job.isEnded) this.#onPlacingFailed(job, toNodeError(error), LOST_INPUT);
    }
  }

  #countAbsence(job: Job): void {
    const { kind, model } = job.spec;
    if (this.index.offering(classOf(kind, model)) > 0) return;
    const hasKind = this.index.offering(classOf(kind, '')) > 0;
    if (hasKind) job.reasons.add('NO_MODEL', `no miner offers the model ${model} now`);
    else job.reasons.add('NO_MINER', `no miner offers ${kind} now`);
  }

  #launch(job: Job): void {
    this.#refreshHead();
    this.#reserved.add(job.key);
    this.#runningOutputBytes += job.spec.maxOutputBytes;
    const own = this.agreements.ofJob(job.key);
    const held = own ? [] : this.#placing.select(job, new Set(), this.#headMs);
    if (held.length === 0 && !own) {
      this.#back(job, { code: 'NO_MINER', message: 'none of the miners that are free now is one to use for this job' });
      return;
    }
    this.#matching++;
    void this.#place(job, held);
  }

  async #place(job: Job, held: readonly Held[]): Promise<void> {
    try {
      const placed = await this.#placing.place(job, held);
      if (placed) {
        this.#modules.metrics.matched((this.deadlines.nowMs - job.queuedMs) / 1_000);
        this.#assign(job, placed);
      } else this.#back(job, this.#mostSaid(job) ?? { code: 'NO_MINER', message: 'no miner took it' });
    } catch (error) {
      this.#onPlacingFailed(job, toNodeError(error));
    }
    this.#matching--;
    this.pump();
  }

  #onPlacingFailed(job: Job, { code, message }: NodeError, hopeless = HOPELESS): void {
    if (this.#stop.signal.aborted) return;
    if (!hopeless.has(code)) this.#back(job, { code, message });
    else this.#keep(this.apply(job, { type: 'fail', fault: { code, message } }));
  }

  #back(job: Job, reason: JobFault): void {
    this.#unreserve(job);
    this.apply(job, { type: 'requeue', reason });
  }

  #assign(job: Job, { miner, quote, agreement, maxUait }: Placed): void {
    const { chain, crypto, session, sealKeys } = this.#modules;
    if (job.isEnded || this.#stop.signal.aborted) {
      this.#placing.release(miner);
      this.agreements.release(agreement);
      if (agreement.job !== null) this.agreements.retire(agreement);
      return;
    }
    this.apply(job, { type: 'match' });
    this.apply(job, { type: 'fund' });
    const progress = this.apply(job, { type: 'assign' });
    this.setDeadline(job);
    const { attempt } = job.progress;
    const { baseUait, givenUait } = agreement.ledger;
    const fields = {
      price: quote.quote.price,
      tickUait: quote.quote.tickUait,
      inputBytes: job.spec.inputBytes,
      maxUait,
    };
    const voucherUait = this.agreements.step(agreement, { type: 'begin', maxUait, firstUait: firstCreditUait(fields) });
    agreement.isHeld = false;
    agreement.running = job.id;
    const assignment = signAssignment(chain, session, {
      ...{ job: job.id, attempt, agreement: agreement.id, quote: quoteId(crypto, chain, quote.quote) },
      ...{ miner: miner.address, baseUait, maxUait, executionMs: job.spec.executionMs },
      ...{ sealTo: sealKeys.publicKey, single: agreement.job !== null },
    });
    const row: AttemptRow = { quote, assignment };
    job.output = new OutputLog();
    const plan = { job, minerKey: miner.key, held: miner, agreement, row };
    const begin = { voucherUait: voucherUait ?? givenUait, givenBeforeUait: givenUait, resumed: null };
    const work = new Work(this.#workModules(), plan, begin);
    this.showMiner(job, plan, miner.address);
    this.committer
      .keep([...progress, put(TABLE.attempt, job.id, encodeAttempt(row)), this.agreements.rowOf(agreement)])
      .then(
        () => {
          work.start();
        },
        () => undefined,
      );
  }

  showMiner(job: Job, { minerKey, agreement, row }: Omit<WorkPlan, 'held' | 'job'>, address: Uint8Array): void {
    job.minerKey = minerKey;
    job.miner = address;
    job.agreement = agreement.id;
    job.answeredBy = row.quote.quote.model;
  }

  #workModules(): ConstructorParameters<typeof Work>[0] {
    const { chain, crypto, verifier, session } = this.#modules;
    const { client, agreements, lines, committer, deadlines } = this;
    this.#shared ??= {
      ...{ chain, crypto, verifier, session, client, agreements, lines, committer, deadlines },
      nowMs: () => deadlines.nowMs,
      signal: this.#stop.signal,
      miner: (key) => this.index.miner(key),
      onStart: (job) => void this.apply(job, { type: 'start' }),
      onDelivered: (work, result, dueUait) => this.outcomes.onDelivered(work, result, dueUait),
      onOver: (work, outcome, lossUait) => this.outcomes.onOver(work, outcome, lossUait),
    };
    return this.#shared;
  }

  #shared: ConstructorParameters<typeof Work>[0] | null = null;

  #onDeadline(job: Job): void {
    job.deadline = null;
    if (this.deadlines.nowMs >= job.totalUntilMs) {
      this.#keep(this.apply(job, { type: 'timeout', of: 'total', exposureUait: job.exposureUait() }));
    } else if (!isWithMiner(job.progress.state) && this.deadlines.nowMs >= job.queueUntilMs) {
      this.#keep(this.apply(job, { type: 'timeout', of: 'queue', reason: this.#mostSaid(job) }));
    } else this.setDeadline(job);
  }

  #mostSaid(job: Job): JobFault | null {
    const telling = job.reasons.list().find(({ code }) => TELLING.has(code));
    return telling ? { code: telling.code, message: telling.message } : null;
  }

  #unreserve(job: Job): void {
    if (this.#reserved.delete(job.key)) this.#runningOutputBytes -= job.spec.maxOutputBytes;
  }

  #ended(job: Job): Row[] {
    this.#unreserve(job);
    this.setDeadline(job);
    this.#scheduler.onEnded();
    job.content = null;
    job.letGo();
    const own = this.agreements.ofJob(job.key);
    if (own && own.running === null) {
      this.agreements.retire(own);
      job.progress = { ...job.progress, spentUait: job.progress.spentUait + exposureUait(own.ledger) };
    }
    this.#modules.metrics.ended(job.progress.state);
    this.archive.add(job);
    const { gone, rows } = this.archive.prune(Math.floor(this.#modules.clock.now()));
    this.#pruneLater();
    this.onEnded(job);
    this.onGone(gone);
    queueMicrotask(() => {
      this.pump();
    });
    return [...rows, drop(TABLE.content, job.id)];
  }

  #keep(rows: readonly Row[]): void {
    this.committer.keep(rows).catch(() => undefined);
  }

  #onStorageFailure(error: NodeError): void {
    this.#modules.log.error('nothing can be kept any more: no job is taken or paid until a restart', { error });
    this.lines.close();
  }
}
