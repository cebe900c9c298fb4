/**
 * Between the doors and the coordinator: in whose name a job is done, the money set aside before any work and settled
 * with what was spent, and that nobody sees the jobs of others.
 */
import { randomUUID } from 'node:crypto';
import type { Hash } from '../../bytes.ts';
import { fromHex, toHex } from '../../bytes.ts';
import type { Coordinator, JobRequest, JobView } from '../../compute/coordinator/coordinator.ts';
import { isEnded } from '../../compute/coordinator/coordinator.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { ChainApi, JobsApi, MarketApi } from '../api.ts';
import type { Access } from '../access/access.ts';
import type { JobPrincipal } from '../access/principal.ts';
import type { Reservation } from '../../store/budget-ledger.ts';
import type { Asker } from './access.ts';
import { ownerOf } from './access.ts';
import type { JobDraft } from './check-job.ts';
import { checkJob } from './check-job.ts';

/** One desk for each chain of a server. */
export class JobDesks {
  readonly #access: Access;
  readonly #log: Logger;
  readonly #desks = new WeakMap<ChainApi, JobDesk>();

  constructor(access: Access, log: Logger) {
    this.#access = access;
    this.#log = log;
  }

  /** @throws NodeError METHOD_DISABLED when the node has no wallet for this chain */
  of(api: ChainApi): JobDesk {
    const known = this.#desks.get(api);
    if (known && known.jobs === api.jobs) return known;
    const { chainId } = api.genesis.chain;
    if (!api.jobs) {
      throw new NodeError('METHOD_DISABLED', 'this node has no work done for others: it has no wallet for that', {
        data: { chain_id: chainId },
        hint: 'its operator sets market.wallet or market.key_file in config.toml; with a key of your own: aitbc submit',
      });
    }
    const desk = new JobDesk(chainId, {
      ...{ jobs: api.jobs, market: api.market, closed: api.closed },
      ...{ access: this.#access, log: this.#log },
    });
    this.#desks.set(api, desk);
    return desk;
  }
}

interface DeskModules {
  readonly jobs: JobsApi;
  readonly market: MarketApi;
  readonly access: Access;
  readonly closed: AbortSignal;
  readonly log: Logger;
}

export class JobDesk {
  readonly chainId: string;
  readonly #modules: DeskModules;
  /** By idempotency key: the second of two equal requests waits for the first. */
  readonly #submitting = new Map<string, Promise<unknown>>();

  constructor(chainId: string, modules: DeskModules) {
    this.chainId = chainId;
    this.#modules = modules;
    this.#takeUp();
  }

  get jobs(): JobsApi {
    return this.#modules.jobs;
  }

  /** @throws NodeError UNAUTHENTICATED | FORBIDDEN */
  open({ principal }: Asker): OwnJobs {
    const payer = this.#modules.access.authorise(principal, 'jobs', this.chainId);
    return new OwnJobs(this, payer, this.#modules.jobs.coordinator);
  }

  /** @param key of the client; the same one is the same job @throws NodeError */
  async submit(payer: JobPrincipal, draft: JobDraft, key: string | null): Promise<JobView> {
    const idempotencyKey = key ?? `~${randomUUID()}`;
    // No two owners share a key.
    const own = `${ownerOf(payer)}/${idempotencyKey}`;
    while (this.#submitting.has(own)) await this.#submitting.get(own);
    const submitted = this.#submit(payer, draft, idempotencyKey);
    const settled = submitted.then(ignore, ignore);
    this.#submitting.set(own, settled);
    try {
      return await submitted;
    } finally {
      this.#submitting.delete(own);
    }
  }

  async #submit(payer: JobPrincipal, draft: JobDraft, idempotencyKey: string): Promise<JobView> {
    const { access, jobs, market } = this.#modules;
    const { coordinator, options } = jobs;
    const owner = ownerOf(payer);
    const known = coordinator.find(owner, idempotencyKey);
    const maxPriceUait = known ? (draft.maxPriceUait ?? options.maxPriceUait) : checkJob({ market, options }, draft);
    const { kind, model, params, parts, maxOutputBytes, queueMs, totalMs } = draft;
    const request: JobRequest = {
      ...{ kind, model, params, parts, maxOutputBytes, maxPriceUait, totalMs, idempotencyKey },
      queueMs: Math.min(queueMs ?? totalMs, totalMs),
      executionMs: Math.min(options.executionMs, totalMs),
      owner,
      agreement: 'session',
    };
    if (known) return resubmitted(coordinator, request);
    const reference = `${this.chainId}/${owner}/${idempotencyKey}`;
    const purpose = { model: model === '' ? null : model, reference };
    const reservation = await access.budgets.reserve(payer, maxPriceUait + options.maxFeesUait, purpose);
    try {
      const job = await coordinator.submit(request);
      this.#settleAtEnd(job.id, reservation);
      return job;
    } catch (error) {
      this.#resolve(reservation, coordinator.find(owner, idempotencyKey));
      throw error;
    }
  }

  /** Reservations of before a restart. */
  #takeUp(): void {
    const { access, jobs } = this.#modules;
    for (const reservation of access.budgets.open()) {
      // As they are made below.
      const [chainId, owner = '', ...key] = reservation.reference.split('/');
      if (chainId === this.chainId) this.#resolve(reservation, jobs.coordinator.find(owner, key.join('/')));
    }
  }

  /** @param job undefined: there never was one */
  #resolve(reservation: Reservation, job: JobView | undefined): void {
    if (!job) this.#modules.access.budgets.release(reservation);
    else this.#settleAtEnd(job.id, reservation);
  }

  #settleAtEnd(id: Hash, reservation: Reservation): void {
    const { log } = this.#modules;
    this.#settle(id, reservation).catch((error: unknown) => {
      log.warn('what a job cost could not be settled with its budget; it counts in full until the next start', {
        job: toHex(id),
        error,
      });
    });
  }

  async #settle(id: Hash, reservation: Reservation): Promise<void> {
    const { access, jobs, closed } = this.#modules;
    const { coordinator } = jobs;
    for await (const { state } of coordinator.events(id, 1, closed)) if (isEnded(state)) break;
    const job = coordinator.job(id);
    // The chain stops: the next start takes it up.
    if (!job || !isEnded(job.state)) return;
    access.budgets.settle(reservation, Math.min(job.spentUait + job.feesUait, reservation.amountUait));
  }
}

function ignore(): void {
  // What came of it is the first request's own matter.
}

/** @throws NodeError IDEMPOTENCY_MISMATCH */
async function resubmitted(coordinator: Coordinator, request: JobRequest): Promise<JobView> {
  try {
    return await coordinator.submit(request);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'CONFLICT') throw error;
    throw new NodeError('IDEMPOTENCY_MISMATCH', 'this idempotency key was used for another request', {
      hint: 'use a new key for each job; repeat a request unchanged to get the job it made',
      cause: error,
    });
  }
}

/** The jobs of one owner: those of others do not exist. */
export class OwnJobs {
  readonly payer: JobPrincipal;
  readonly coordinator: Coordinator;
  readonly #desk: JobDesk;

  constructor(desk: JobDesk, payer: JobPrincipal, coordinator: Coordinator) {
    this.#desk = desk;
    this.payer = payer;
    this.coordinator = coordinator;
  }

  submit(draft: JobDraft, key: string | null): Promise<JobView> {
    return this.#desk.submit(this.payer, draft, key);
  }

  /** By which they are known. */
  get owner(): string {
    return ownerOf(this.payer);
  }

  /** @param id hex @throws NodeError NOT_FOUND */
  job(id: string): JobView {
    const job = this.coordinator.job(fromHex(id, 32));
    if (job?.owner === this.owner) return job;
    throw new NodeError('NOT_FOUND', 'there is no such job', {
      data: { job_id: id },
      hint: 'a job is seen with the API key that submitted it; GET /v1/jobs lists them',
    });
  }

  /** Newest first. */
  list(limit: number, before: Hash | null): readonly JobView[] {
    return this.coordinator.jobs({ limit, before, owner: this.owner });
  }
}
