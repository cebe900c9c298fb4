/**
 * From a job that waits to one whose money is set aside: a few of the best-ranked miners are asked at once, the best quote
 * is taken, and an agreement with its miner used or opened. Why nobody took it is counted.
 */
import type { Hasher, Signer, Verifier } from '../../chain/crypto/types.ts';
import type { OfferedModel } from '../../chain/market/offer.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { QuoteRequest, SignedQuote } from '../../chain/market/quote.ts';
import { decodeQuote, quoteCheck } from '../../chain/market/quote.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Clock } from '../../clock.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Agreements, HeldAgreement, OpenPlan } from './agreements.ts';
import type { ChainView, Terms } from './chain-view.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Job, ShownCandidate } from './job.ts';
import type { CoordinatorLimits } from './limits.ts';
import { exposureUait } from './ledger.ts';
import type { KnownMiner, MinerIndex } from './miner-index.ts';
import { classOf, modelFor } from './miner-index.ts';
import type { MinerRecord } from './miner-record.ts';
import { isExcluded } from './miner-record.ts';
import type { Miners, Money } from './ports.ts';
import { checkQuote, maxAttemptUait, signedRequest } from './quotes.ts';
import { rank, seededRandom } from './ranking.ts';
import { renewalFor } from './renewal.ts';
import { encodeProgress, put, TABLE } from './rows.ts';

/** Ranked for one job; more are not better, and cost more. */
const SAMPLE = 32;
const FANOUT = 4;
const WAVES = 2;
/** Turns for which the miner that an agreement was opened with is waited for. */
const OWN_ROUNDS = 6;
const SHOWN_CANDIDATES = 8;
const BLOCK_MS = 500;
const MAX_BLOCK_MS = 10_000;
const STAKE_BLOCK_MS = 60_000;
const MARGIN_MS = 10 * 60_000;
const MAX_HEIGHTS_AHEAD = 1_000;
/** For one job, over all its attempts: each costs a fee. */
export const MAX_OPENINGS = 4;

export interface PlacingModules {
  readonly chain: ChainContext;
  readonly crypto: Hasher & Verifier;
  readonly clock: Clock;
  readonly miners: Miners;
  readonly money: Money;
  readonly session: Signer;
  readonly view: ChainView;
  readonly index: MinerIndex;
  readonly agreements: Agreements;
  readonly record: (minerKey: string) => MinerRecord;
  /** The agreement that was for the job alone is not used. */
  readonly onLeft: (job: Job, agreement: HeldAgreement) => void;
  /** A miner was chosen, and money is about to be set aside. */
  readonly onMatched: (job: Job) => void;
  /** A miner that declined may be asked again: jobs that wait for it go on, whatever else happens or does not. */
  readonly onUnblocked: () => void;
  readonly deadlines: Deadlines;
  readonly limits: CoordinatorLimits;
}

/** A miner that a match has a slot of; to be released once. */
export interface Held {
  readonly miner: KnownMiner;
  readonly model: OfferedModel;
  /** By its offer; 0 for the one that an agreement was opened with. */
  readonly score: number;
}

export interface Quoted {
  readonly held: Held;
  readonly quote: SignedQuote;
  readonly agreement: HeldAgreement | null;
}

export interface Placed {
  readonly miner: KnownMiner;
  readonly quote: SignedQuote;
  readonly agreement: HeldAgreement;
  readonly maxUait: number;
}

interface ChainNow {
  readonly head: { readonly height: number; readonly timeMs: number };
  readonly terms: Terms;
}

export class Placing {
  readonly #modules: PlacingModules;
  readonly #asking = new Set<AbortController>();

  constructor(modules: PlacingModules) {
    this.#modules = modules;
  }

  close(): void {
    for (const asking of this.#asking) asking.abort(new NodeError('UNREACHABLE', 'the coordinator stops'));
  }

  /** The best of those that could take it now, with a slot of each held; at once, so that no other job counts on them. */
  select(job: Job, asked: ReadonlySet<string>, headMs: number): Held[] {
    const { index, agreements, record } = this.#modules;
    const { kind, model: name, inputBytes, maxOutputBytes, executionMs } = job.spec;
    const { leftUait } = job;
    const next = seededRandom(job.id.subarray((job.round % 8) * 4));
    const known: { readonly miner: KnownMiner; readonly model: OfferedModel }[] = [];
    const candidates: ShownCandidate[] = [];
    for (const miner of index.sample(classOf(kind, name), SAMPLE, next)) {
      const { key, offer } = miner;
      const model = modelFor(offer, kind, name);
      const seen = record(key);
      if (!model || asked.has(key) || job.distrusted.has(key) || isExcluded(seen)) continue;
      const costUait = dueUait(model.price, inputBytes, maxOutputBytes);
      const maxUait = Math.min(costUait, leftUait);
      known.push({ miner, model });
      candidates.push({
        miner: miner.address,
        costUait,
        bytesPerSecond: model.bytesPerSecond,
        isWarm: model.warm,
        isFree: offer.free > 0,
        record: seen,
        stakedUait: miner.stakedUait,
        hasAgreement: !job.row.isSingle && agreements.hasIdle(key, { executionMs, headMs, maxUait }),
        isAvoided: job.avoided.has(key),
      });
    }
    const ranked = rank(candidates, leftUait, next);
    job.ranking = { best: ranked.slice(0, SHOWN_CANDIDATES), maxUait: leftUait };
    const wave = ranked.slice(0, ranked[0]?.candidate.hasAgreement === true ? 1 : FANOUT);
    return wave.flatMap(({ index: at, score }) => {
      const found = known[at];
      return found ? [this.#hold(found.miner, found.model, score)] : [];
    });
  }

  /** @returns null when nobody took it, with the reasons counted */
  async place(job: Job, first: readonly Held[]): Promise<Placed | null> {
    const now = await this.#now().catch((error: unknown) => {
      for (const { miner } of first) this.release(miner);
      throw error;
    });
    const own = this.#modules.agreements.ofJob(job.key);
    const quoted = own ? await this.#askOwn(job, own, now) : await this.#askAll(job, first, now);
    if (quoted === null || job.isEnded) {
      if (quoted) this.#letGo(quoted);
      return null;
    }
    this.#modules.onMatched(job);
    const { miner } = quoted.held;
    const priceUait = maxAttemptUait(quoted.quote.quote.price, { ...job.spec, leftUait: job.leftUait });
    // Credit of the agreement that nothing came for yet is the miner's to use up.
    const maxUait = Math.max(priceUait, quoted.agreement ? exposureUait(quoted.agreement.ledger) : 0);
    if (maxUait > job.leftUait) {
      this.#letGo(quoted);
      throw new NodeError('PRICE', 'more credit stands with this miner than is left for the job');
    }
    return {
      miner,
      quote: quoted.quote,
      agreement: quoted.agreement ?? (await this.#opened(job, quoted, maxUait, now)),
      maxUait,
    };
  }

  release(miner: KnownMiner): void {
    miner.inFlight--;
    this.#modules.index.refresh(miner);
  }

  #hold(miner: KnownMiner, model: OfferedModel, score: number): Held {
    miner.inFlight++;
    this.#modules.index.refresh(miner);
    return { miner, model, score };
  }

  async #now(): Promise<ChainNow> {
    const [head, terms] = await Promise.all([this.#modules.view.head(), this.#modules.view.terms()]);
    return { head, terms };
  }

  /** One that was opened for this job before the coordinator stopped. */
  async #askOwn(job: Job, agreement: HeldAgreement, now: ChainNow): Promise<Quoted | null> {
    const miner = this.#modules.index.miner(agreement.minerKey);
    const model = miner && modelFor(miner.offer, job.spec.kind, job.spec.model);
    if (!miner || !model) return null;
    const held = this.#hold(miner, model, 0);
    try {
      await agreement.opened;
      return await this.#ask(job, held, agreement, now);
    } catch (error) {
      const failure = toNodeError(error);
      this.#declined(job, held, failure);
      if (failure.kind.retryable && job.round < OWN_ROUNDS) return null;
      this.#modules.onLeft(job, agreement);
      return null;
    }
  }

  async #askAll(job: Job, first: readonly Held[], now: ChainNow): Promise<Quoted | null> {
    const asked = new Set<string>();
    let wave = first;
    for (let left = WAVES; wave.length > 0; left--) {
      for (const { miner } of wave) asked.add(miner.key);
      const quoted = await this.#askWave(job, wave, now);
      if (quoted !== null || left === 0 || job.isEnded) return quoted;
      wave = this.select(job, asked, now.head.timeMs);
    }
    return null;
  }

  /** The best of the quotes that come while the first one is fresh; whoever is not taken is let go. */
  async #askWave(job: Job, wave: readonly Held[], now: ChainNow): Promise<Quoted | null> {
    const { deadlines, limits } = this.#modules;
    const quotes: Quoted[] = [];
    const decided = Promise.withResolvers<void>();
    const grace: Deadline[] = [];
    let isDecided = false;
    let pending = wave.length;
    const asks = wave.map(async (held) => {
      try {
        const quoted = await this.#ask(job, held, null, now);
        if (isDecided) this.#letGo(quoted);
        else quotes.push(quoted);
        if (quotes.length === 1 && pending > 1) grace.push(deadlines.after(limits.quoteGraceMs, decided.resolve));
      } catch (error) {
        this.#declined(job, held, toNodeError(error));
      }
      pending--;
      if (pending === 0) decided.resolve();
    });
    void Promise.all(asks);
    await decided.promise;
    isDecided = true;
    for (const deadline of grace) deadlines.drop(deadline);
    quotes.sort((a, b) => this.#worth(job, b) - this.#worth(job, a));
    for (const other of quotes.slice(1)) this.#letGo(other);
    return quotes[0] ?? null;
  }

  /** Its rank, corrected by what the quote asks for. */
  #worth(job: Job, { held, quote }: Quoted): number {
    const { inputBytes, maxOutputBytes } = job.spec;
    const offeredUait = dueUait(held.model.price, inputBytes, maxOutputBytes);
    const quotedUait = dueUait(quote.quote.price, inputBytes, maxOutputBytes);
    return held.score + (offeredUait === 0 ? 0 : (3 * (offeredUait - quotedUait)) / offeredUait);
  }

  /** @throws NodeError why there is no quote, or none to work under */
  async #ask(job: Job, held: Held, own: HeldAgreement | null, now: ChainNow): Promise<Quoted> {
    const { chain, crypto, clock, view, agreements } = this.#modules;
    const { miner, model } = held;
    const { spec } = job;
    const agreement = own ?? (job.row.isSingle ? null : await this.#idleAgreement(job, held, now));
    try {
      miner.askedAtMs = Math.max(miner.askedAtMs + 1, Math.floor(clock.now()));
      const request: QuoteRequest = {
        client: spec.client,
        agreement: agreement?.id ?? null,
        kind: spec.kind,
        model: spec.model,
        inputBytes: spec.inputBytes,
        maxOutputBytes: spec.maxOutputBytes,
        maxPriceUait: job.leftUait,
        atMs: miner.askedAtMs,
      };
      const { encoded, hash } = signedRequest(
        { chain, hasher: crypto, money: this.#modules.money },
        request,
        this.#modules.session,
      );
      const [bytes, stakedUait] = await Promise.all([this.#answer(miner, encoded), view.stakedUait(miner)]);
      if (stakedUait < now.terms.minStakeUait) throw new NodeError('STAKE_LOW', 'the miner has too little at stake');
      const quote = decodeQuote(bytes);
      checkQuote(quote, {
        ...{ request: hash, miner: miner.offer.miner, kind: spec.kind, model: spec.model, offered: model },
        ...{ inputBytes: spec.inputBytes, maxOutputBytes: spec.maxOutputBytes, leftUait: job.leftUait },
        ...{ isRetry: job.progress.losses > 0, headHeight: now.head.height },
      });
      const check = quoteCheck(chain, quote);
      if (!crypto.verify(check.message, check.signature, check.publicKey)) {
        throw new NodeError('PEER_PROTOCOL', 'the quote is not signed by the miner');
      }
      return { held, quote, agreement };
    } catch (error) {
      if (agreement && toNodeError(error).code === 'NOT_FUNDED') agreements.doubt(agreement);
      if (agreement) agreements.release(agreement);
      throw error;
    }
  }

  /** @throws NodeError TIMEOUT | UNREACHABLE | the miner's own */
  async #answer(miner: KnownMiner, request: Uint8Array): Promise<Uint8Array> {
    const { miners, deadlines, limits } = this.#modules;
    const asking = new AbortController();
    const late = Promise.withResolvers<never>();
    asking.signal.addEventListener('abort', () => late.reject(toNodeError(asking.signal.reason)), { once: true });
    const timeout = deadlines.after(limits.quoteTimeoutMs, () => {
      asking.abort(new NodeError('TIMEOUT', 'no quote in time'));
    });
    this.#asking.add(asking);
    try {
      return await Promise.race([miners.quote(miner.offer, request, asking.signal), late.promise]);
    } finally {
      this.#asking.delete(asking);
      deadlines.drop(timeout);
    }
  }

  async #idleAgreement(job: Job, { miner, model }: Held, now: ChainNow): Promise<HeldAgreement | null> {
    const { agreements } = this.#modules;
    const { head } = now;
    const { executionMs } = job.spec;
    const maxUait = maxAttemptUait(model.price, { ...job.spec, leftUait: job.leftUait });
    const agreement = agreements.take(miner.key, { maxUait, executionMs, headMs: head.timeMs });
    if (agreement === null) return null;
    if (!(await agreements.isStillOpen(agreement))) return null;
    await this.#renew(agreement, maxUait, job, now);
    return agreement;
  }

  /** Ahead of its end: the job at hand fits in, and waits for nothing. The fee is its own, kept when it is assigned. */
  async #renew(agreement: HeldAgreement, maxUait: number, job: Job, { head, terms }: ChainNow): Promise<void> {
    const { agreements, view } = this.#modules;
    const { capUait, baseUait } = agreement.ledger;
    const renewal = renewalFor({
      ...{ capUait, baseUait, expiresAtMs: agreement.expiresAtMs, maxUait, headMs: head.timeMs },
      windowUait: await this.#sessionCapUait(Math.max(terms.minCapUait, maxUait)),
      windowMs: this.#termMs(false, job.spec.executionMs, terms),
      balanceUait: await view.balanceUait(),
    });
    const { openFeeUait, renewFeeUait } = terms;
    if (!renewal || job.feesUait + renewFeeUait > MAX_OPENINGS * openFeeUait) return;
    const renewed = agreements.renew(agreement, renewal);
    if (renewed === null) return;
    job.feesUait += renewFeeUait;
    void renewed.then((isRenewed) => {
      if (!isRenewed && !job.isEnded) job.feesUait -= renewFeeUait;
    });
    view.forgetBalance();
  }

  #declined(job: Job, { miner }: Held, error: NodeError): void {
    job.reasons.add(error.code, error.message);
    const { data, code } = error;
    const afterMs = typeof data['afterMs'] === 'number' ? data['afterMs'] : BLOCK_MS;
    if (error.kind.retryable) this.#block(miner, Math.min(MAX_BLOCK_MS, Math.max(BLOCK_MS / 10, afterMs)));
    if (code === 'STAKE_LOW') this.#block(miner, STAKE_BLOCK_MS);
    this.release(miner);
  }

  #block(miner: KnownMiner, ms: number): void {
    const { clock, deadlines, index, onUnblocked } = this.#modules;
    miner.blockedUntilMs = clock.monotonic() + ms;
    deadlines.after(ms, () => {
      index.refresh(miner);
      onUnblocked();
    });
  }

  #letGo({ held, agreement }: Quoted): void {
    if (agreement) this.#modules.agreements.release(agreement);
    this.release(held.miner);
  }

  /** @throws NodeError INSUFFICIENT_FUNDS | … */
  async #opened(job: Job, { held, quote }: Quoted, maxUait: number, { head, terms }: ChainNow): Promise<HeldAgreement> {
    const { agreements, session, view, limits } = this.#modules;
    const { spec, row } = job;
    try {
      if (!row.isSingle && agreements.countOf(held.miner.key) >= limits.maxAgreementsPerMiner) {
        throw new NodeError('BUSY', 'enough agreements with this miner are open');
      }
      if (job.feesUait + terms.openFeeUait > MAX_OPENINGS * terms.openFeeUait) {
        throw new NodeError('BUSY', 'as many agreements as may be were opened for this job');
      }
      const leastUait = Math.max(terms.minCapUait, maxUait);
      const plan: Omit<OpenPlan, 'rows'> = {
        miner: held.miner.offer.miner,
        minerAddress: held.miner.address,
        signer: session.publicKey,
        capUait: row.isSingle ? leastUait : await this.#sessionCapUait(leastUait),
        expiresAtMs: head.timeMs + this.#termMs(row.isSingle, spec.executionMs, terms),
        validUntilHeight: Math.min(quote.quote.validUntilHeight, head.height + MAX_HEIGHTS_AHEAD),
        job: row.isSingle ? job.id : null,
      };
      const agreement = await this.#open(job, plan, terms.openFeeUait);
      view.forgetBalance();
      try {
        await agreement.opened;
      } catch (error) {
        agreements.release(agreement);
        throw error;
      }
      return agreement;
    } catch (error) {
      this.release(held.miner);
      throw error;
    }
  }

  /** The fee is the job's, and kept with the opening. */
  async #open(job: Job, plan: Omit<OpenPlan, 'rows'>, feeUait: number): Promise<HeldAgreement> {
    job.feesUait += feeUait;
    try {
      const rows = [put(TABLE.progress, job.id, encodeProgress(job.progressRow()))];
      return await this.#modules.agreements.open({ ...plan, rows });
    } catch (error) {
      job.feesUait -= feeUait;
      throw error;
    }
  }

  /** As many jobs like this one as a session is for, as far as a quarter of the balance goes. */
  async #sessionCapUait(leastUait: number): Promise<number> {
    const affordableUait = Math.floor((await this.#modules.view.balanceUait()) / 4);
    return Math.max(leastUait, Math.min(leastUait * this.#modules.limits.sessionJobs, affordableUait));
  }

  #termMs(isSingle: boolean, executionMs: number, { maxTermMs }: Terms): number {
    const leastMs = 2 * executionMs + MARGIN_MS;
    return Math.min(maxTermMs, isSingle ? leastMs : Math.max(leastMs, this.#modules.limits.sessionMs));
  }
}
