/** The client's side of the market: jobs in, output and receipts out. */
import type { Hash } from '../../bytes.ts';
import { bytesKey, concatBytes, equalBytes, keyBytes } from '../../bytes.ts';
import type { BatchVerifier, Crypto, Signer } from '../../chain/crypto/types.ts';
import { blobBytesOf, contentHash } from '../../chain/market/content.ts';
import { jobId, signJob } from '../../chain/market/job.ts';
import { addressOf } from '../../chain/address.ts';
import type { WorkReceipt } from '../../chain/market/receipt.ts';
import { receiptId } from '../../chain/market/receipt.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { MetricsRegister } from '../../metrics.ts';
import type { Coordinator, JobEvent, JobReasons, JobReceipt, JobRequest, JobView } from './coordinator.ts';
import { Core } from './core.ts';
import { readEvents, readOutput } from './feeds.ts';
import { Job } from './job.ts';
import { isWithMiner } from './job-machine.ts';
import type { CoordinatorLimits } from './limits.ts';
import { DEFAULT_COORDINATOR_LIMITS } from './limits.ts';
import { createCoordinatorMetrics } from './metrics.ts';
import { classOf } from './miner-index.ts';
import { Inputs } from './inputs.ts';
import type { Blobs, Miners, Money, Rows } from './ports.ts';
import { checkRequest, contentOf, nonceOf, requestHash } from './request.ts';
import type { ReplayOptions } from './replays.ts';
import type { Restored, RestoredJob } from './restore.ts';
import { restore } from './restore.ts';
import { encodeJobRow, encodeProgress, put, TABLE } from './rows.ts';
import { hpke } from '../../../protocols/market/sealing.ts';
import type { Sealing } from '../../../protocols/market/sealing.ts';

export interface CoordinatorOptions {
  readonly chain: ChainContext;
  readonly crypto: Crypto;
  /** @param seed 32 bytes */
  readonly createSigner: (seed: Uint8Array) => Signer;
  /** Checks signatures elsewhere; without it they are checked on this thread. */
  readonly verifier?: BatchVerifier;
  /** HPKE unless given. */
  readonly sealing?: Sealing;
  readonly miners: Miners;
  readonly money: Money;
  readonly rows: Rows;
  /** Without it, jobs that name blobs are not taken. */
  readonly blobs?: Blobs;
  readonly clock: Clock;
  /** Bytes that nobody can guess. */
  readonly random: (bytes: number) => Uint8Array;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  readonly limits?: Partial<CoordinatorLimits>;
  /** Does a part of the work again where it can; nothing unless given. */
  readonly replay?: ReplayOptions;
}

/** An agreement outlasts twice the longest attempt, and this. */
const TERM_MARGIN_MS = 10 * 60_000;

/** Takes up what was kept: jobs go on. @throws NodeError CORRUPT | STORAGE | what the chain says */
export async function createCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { crypto, rows, random, createSigner, sealing = hpke } = options;
  const restored = await restore(rows);
  const keys = restored.keys ?? { session: random(32), seal: random(32) };
  if (restored.keys === null) {
    await rows.persist([put(TABLE.keys, new Uint8Array(), concatBytes([keys.session, keys.seal]))]);
  }
  const limits = { ...DEFAULT_COORDINATOR_LIMITS, ...options.limits };
  const session = createSigner(keys.session);
  const inputs = new Inputs(options.blobs ?? null);
  const core = new Core({
    ...options,
    ...{ session, limits, crypto, sealing, inputs, replay: options.replay ?? null },
    verifier: options.verifier ?? null,
    sealKeys: await sealing.deriveSealKeys(keys.seal),
    metrics: createCoordinatorMetrics(options.metrics),
  });
  const coordinator = new JobDoor({ ...options, core, session, limits, inputs });
  await core.start();
  coordinator.restore(restored);
  return coordinator;
}

interface DoorOptions extends CoordinatorOptions {
  readonly core: Core;
  readonly session: Signer;
  readonly limits: CoordinatorLimits;
  readonly inputs: Inputs;
}

class JobDoor implements Coordinator {
  readonly #options: DoorOptions;
  readonly #core: Core;
  readonly #metrics: ReturnType<typeof createCoordinatorMetrics>;
  readonly #jobs = new Map<string, Job>();
  /** By the id of their receipt, those that have ended with one. */
  readonly #byReceipt = new Map<string, Job>();
  /** By nonce, those with an idempotency key. */
  readonly #byNonce = new Map<string, Job>();
  readonly #openByOwner = new Map<string, { readonly jobs: number; readonly contentBytes: number }>();
  /** Until it is on disk. */
  readonly #keeping = new Map<string, Promise<void>>();
  readonly #listeners = new Set<(job: JobView) => void>();
  #open = 0;
  #contentBytes = 0;
  #isClosed = false;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#core = options.core;
    this.#metrics = createCoordinatorMetrics(options.metrics);
    this.#core.onEnded = (job) => {
      this.#count(job, -1);
      this.#indexReceipt(job);
    };
    this.#core.onGone = (gone) => {
      for (const job of gone) this.#forget(job);
    };
  }

  async submit(request: JobRequest): Promise<JobView> {
    checkRequest(request);
    const hash = request.idempotencyKey === null ? null : requestHash(this.#options.crypto, request);
    await this.#checkMoney(request);
    const nonce = this.#nonceOf(request);
    const known = this.#byNonce.get(bytesKey(nonce));
    if (known) {
      if (!known.row.requestHash || !hash || !equalBytes(known.row.requestHash, hash)) throw otherRequest(known);
      await this.#keeping.get(known.key);
      return known.view();
    }
    this.#checkRoom(request);
    this.#options.inputs.check(request.parts);
    const content = contentOf(request, this.#options.random(32));
    this.#checkContent(request.owner, content.length);
    const job = this.#make(request, { nonce, hash, content });
    const kept = this.#core.committer.keep([
      put(TABLE.job, job.id, encodeJobRow(job.row)),
      put(TABLE.content, job.id, content),
      put(TABLE.progress, job.id, encodeProgress(job.progressRow())),
    ]);
    this.#keeping.set(job.key, kept);
    try {
      await kept;
    } finally {
      this.#keeping.delete(job.key);
    }
    this.#metrics.submitted();
    this.#core.beginTurn(job);
    this.#core.apply(job, { type: 'queue' });
    return job.view();
  }

  job(id: Hash): JobView | undefined {
    return this.#jobs.get(bytesKey(id))?.view();
  }

  find(owner: string, idempotencyKey: string): JobView | undefined {
    const nonce = nonceOf(this.#options.crypto, this.#core.client, owner, idempotencyKey);
    return this.#byNonce.get(bytesKey(nonce))?.view();
  }

  jobs({ limit, before, owner }: Parameters<Coordinator['jobs']>[0]): readonly JobView[] {
    const views: JobView[] = [];
    let isPast = before === null;
    const beforeKey = before === null ? '' : bytesKey(before);
    for (const job of [...this.#jobs.values()].reverse()) {
      if (views.length >= limit) break;
      if (isPast && (owner === null || job.row.owner === owner)) views.push(job.view());
      if (job.key === beforeKey) isPast = true;
    }
    return views;
  }

  async cancel(id: Hash): Promise<JobView> {
    const job = this.#find(id);
    await this.#core.applyKept(job, { type: 'cancel' });
    while (!job.isEnded) {
      if (job.isClosed) throw new NodeError('UNREACHABLE', 'the coordinator stopped before the miner answered');
      await job.changed.next();
    }
    await this.#core.committer.idle();
    return job.view();
  }

  why(id: Hash): JobReasons | undefined {
    const job = this.#jobs.get(bytesKey(id));
    return job?.why(this.#core.index.offering(classOf(job.spec.kind, job.spec.model)));
  }

  async *output(id: Hash, from: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const job = this.#find(id);
    this.#checkReaders(job);
    job.readers++;
    try {
      yield* readOutput(job, from, signal);
    } finally {
      job.readers--;
    }
  }

  async *events(id: Hash, from: number, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const job = this.#find(id);
    this.#checkReaders(job);
    job.readers++;
    try {
      yield* readEvents(job, from, signal);
    } finally {
      job.readers--;
    }
  }

  onChange(listener: (job: JobView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  receipt(id: Hash): JobReceipt | undefined {
    const key = bytesKey(id);
    const job = this.#jobs.get(key) ?? this.#byReceipt.get(key);
    if (!job?.result || !job.receiptId) return undefined;
    const { receipt, acknowledgement } = job.result;
    return { receipt, id: job.receiptId, acknowledgement };
  }

  work(id: Hash): ReturnType<Coordinator['work']> {
    const job = this.#jobs.get(bytesKey(id));
    return job && { job: job.row.job, content: job.content };
  }

  placeOf({ id, receipt: { receipt } }: JobReceipt, root: Hash): ReturnType<Coordinator['placeOf']> {
    return this.#core.anchors.placeOf(receipt.agreement, id, root);
  }

  wrongResult(id: Hash): ReturnType<Coordinator['wrongResult']> {
    return this.#core.outcomes.wrongResults.get(bytesKey(id));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#core.close();
    for (const job of this.#jobs.values()) {
      job.isClosed = true;
      job.changed.fire();
    }
  }

  /** Jobs without an assignment queue again, those with one go on with the same attempt. */
  restore({ jobs, agreements, records, contradictions, wrongResults, places }: Restored): void {
    const core = this.#core;
    core.outcomes.contradictions = contradictions;
    for (const [key, wrong] of wrongResults) core.outcomes.wrongResults.set(key, wrong);
    for (const [key, value] of records)
      core.memory.restore(
        Uint8Array.from(key, (c) => c.charCodeAt(0)),
        value,
      );
    for (const [key, receipt] of places) core.anchors.restore(keyBytes(key), receipt);
    for (const { id, row, ledger } of agreements) core.agreements.restore(id, row, ledger);
    for (const each of jobs) this.#restoreJob(each);
    const running = new Set(jobs.filter(({ attempt }) => attempt !== null).map(({ id }) => bytesKey(id)));
    for (const agreement of core.agreements.all()) {
      if (agreement.running === null || running.has(bytesKey(agreement.running))) continue;
      core.agreements.step(agreement, { type: 'ended' });
      agreement.running = null;
      core.agreements.retire(agreement);
    }
    core.pump();
  }

  #restoreJob({ id, row, content, progress, attempt, result, output }: RestoredJob): void {
    const core = this.#core;
    const job = new Job(id, row, content, this.#options.limits.maxReasonsPerJob);
    const { sequence, endedAtMs, feesUait, ...rest } = progress;
    Object.assign(job, { sequence, endedAtMs, feesUait, progress: rest, result });
    if (result) this.#showReceipt(job, result.receipt.receipt);
    if (output) job.output.push(output);
    job.isOutputDropped = output === null && (result?.receipt.receipt.outputBytes ?? 0) > 0;
    this.#add(job);
    const agreement = attempt && core.agreements.get(attempt.assignment.assignment.agreement);
    const plan = attempt && agreement ? this.#planOf(job, attempt, agreement) : null;
    if (job.isEnded) {
      this.#count(job, -1);
      this.#indexReceipt(job);
      core.archive.add(job);
    } else {
      job.totalUntilMs = core.deadlines.nowMs + (job.spec.createdAtMs + job.spec.totalMs - this.#options.clock.now());
      core.beginTurn(job);
      if (!isWithMiner(rest.state) || plan === null) {
        job.progress = { ...rest, state: 'submitted' };
        if (rest.state === 'canceling') core.applyKept(job, { type: 'cancel' }).catch(() => undefined);
        else core.apply(job, { type: 'queue' });
      }
    }
    if (plan) core.resume(plan, result);
  }

  /** Who did it and what paid for it: of a job that has ended, no attempt is kept. */
  #showReceipt(job: Job, receipt: WorkReceipt): void {
    const { crypto, chain } = this.#options;
    job.receiptId = receiptId(crypto, chain, receipt);
    job.minerKey = bytesKey(receipt.miner);
    job.miner = addressOf(crypto, receipt.miner);
    job.agreement = receipt.agreement;
    job.answeredBy = receipt.model;
  }

  #planOf(
    job: Job,
    row: NonNullable<RestoredJob['attempt']>,
    agreement: NonNullable<ReturnType<Core['agreements']['get']>>,
  ): Parameters<Core['resume']>[0] {
    const { miner } = row.quote.quote;
    const plan = { job, minerKey: bytesKey(miner), held: null, agreement, row };
    this.#core.showMiner(job, plan, addressOf(this.#options.crypto, miner));
    return plan;
  }

  #make(
    request: JobRequest,
    made: { readonly nonce: Uint8Array; readonly hash: Hash | null; readonly content: Uint8Array },
  ): Job {
    const { chain, crypto, clock, session, limits } = this.#options;
    const { nonce, hash, content } = made;
    const signed = signJob(chain, session, {
      client: this.#core.client,
      nonce,
      kind: request.kind,
      model: request.model,
      inputHash: contentHash(crypto, content),
      inputBytes: content.length + blobBytesOf(request.parts),
      maxOutputBytes: request.maxOutputBytes,
      maxPriceUait: request.maxPriceUait,
      createdAtMs: Math.floor(clock.now()),
      queueMs: request.queueMs,
      executionMs: request.executionMs,
      totalMs: request.totalMs,
    });
    const row = { job: signed, owner: request.owner, isSingle: request.agreement === 'single', requestHash: hash };
    const job = new Job(jobId(crypto, chain, signed), row, content, limits.maxReasonsPerJob);
    job.totalUntilMs = this.#core.deadlines.nowMs + request.totalMs;
    this.#add(job);
    return job;
  }

  #add(job: Job): void {
    this.#jobs.set(job.key, job);
    job.letGo = this.#options.inputs.hold(job.blobs);
    job.onState = () => {
      if (this.#listeners.size === 0) return;
      const view = job.view();
      for (const listener of this.#listeners) listener(view);
    };
    if (job.row.requestHash) this.#byNonce.set(bytesKey(job.spec.nonce), job);
    this.#count(job, 1);
  }

  #indexReceipt(job: Job): void {
    if (job.receiptId) this.#byReceipt.set(bytesKey(job.receiptId), job);
  }

  #forget(job: Job): void {
    this.#jobs.delete(job.key);
    if (job.receiptId) this.#byReceipt.delete(bytesKey(job.receiptId));
    const nonceKey = bytesKey(job.spec.nonce);
    if (this.#byNonce.get(nonceKey) === job) this.#byNonce.delete(nonceKey);
  }

  #count({ row: { owner }, contentBytes }: Job, by: 1 | -1): void {
    const before = this.#openByOwner.get(owner) ?? { jobs: 0, contentBytes: 0 };
    const ofOwner = { jobs: before.jobs + by, contentBytes: before.contentBytes + by * contentBytes };
    this.#contentBytes += by * contentBytes;
    if (ofOwner.jobs === 0) this.#openByOwner.delete(owner);
    else this.#openByOwner.set(owner, ofOwner);
    this.#open += by;
    this.#metrics.open(this.#open);
  }

  #nonceOf({ owner, idempotencyKey }: JobRequest): Uint8Array {
    const { crypto, random } = this.#options;
    return idempotencyKey === null ? random(32) : nonceOf(crypto, this.#core.client, owner, idempotencyKey);
  }

  /** @throws NodeError BUSY | STORAGE | UNREACHABLE */
  #checkRoom({ owner }: JobRequest): void {
    const { maxOpenJobs, maxOpenJobsPerOwner } = this.#options.limits;
    if (this.#isClosed) throw new NodeError('UNREACHABLE', 'the coordinator has stopped');
    if (this.#core.committer.failure) throw this.#core.committer.failure;
    const ofOwner = this.#openByOwner.get(owner)?.jobs ?? 0;
    if (this.#open < maxOpenJobs && ofOwner < maxOpenJobsPerOwner) return;
    throw new NodeError('BUSY', 'too many jobs are open', {
      data: { open: this.#open, ofOwner, maxOpenJobs, maxOpenJobsPerOwner },
      hint: 'wait for some of them to end',
    });
  }

  /** Of one owner as much as is left over: nobody fills all of it alone. @throws NodeError BUSY */
  #checkContent(owner: string, bytes: number): void {
    const leftBytes = this.#options.limits.maxContentBytes - this.#contentBytes;
    const ofOwner = this.#openByOwner.get(owner)?.contentBytes ?? 0;
    if (bytes <= leftBytes && (ofOwner === 0 || ofOwner + bytes <= leftBytes)) return;
    throw new NodeError('BUSY', 'too much content of open jobs is held', {
      data: { ofOwner, leftBytes, bytes },
      hint: 'wait for some of them to end',
    });
  }

  /** @throws NodeError BAD_JOB | INSUFFICIENT_FUNDS */
  async #checkMoney({ executionMs }: JobRequest): Promise<void> {
    const { view, agreements } = this.#core;
    const terms = await view.terms();
    if (2 * executionMs + TERM_MARGIN_MS > terms.maxTermMs) {
      throw new NodeError('BAD_JOB', 'executionMs is longer than agreements of this chain allow', {
        data: { executionMs, maxTermMs: terms.maxTermMs },
      });
    }
    if (agreements.size > 0) return;
    const needUait = terms.minCapUait + terms.openFeeUait;
    const balanceUait = await view.balanceUait();
    if (balanceUait >= needUait) return;
    throw new NodeError('INSUFFICIENT_FUNDS', `the account has ${balanceUait} uait, an agreement takes ${needUait}`, {
      data: { balanceUait, needUait },
      hint: 'fund the account',
    });
  }

  #checkReaders(job: Job): void {
    if (job.readers < this.#options.limits.maxReadersPerJob) return;
    throw new NodeError('BUSY', 'too many readers of this job', { hint: 'close one of them' });
  }

  /** @throws NodeError NOT_FOUND */
  #find(id: Hash): Job {
    const job = this.#jobs.get(bytesKey(id));
    if (!job) throw new NodeError('NOT_FOUND', 'no such job, or it is kept no longer');
    return job;
  }
}

function otherRequest(known: Job): NodeError {
  return new NodeError('CONFLICT', 'this idempotency key was used for another request', {
    data: { createdAtMs: known.spec.createdAtMs },
    hint: 'use a new key for a new request',
  });
}
