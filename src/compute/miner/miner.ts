/**
 * A miner: quotes, assignments, work, vouchers and settlements, over the pure parts beside it. What it decides, it decides
 * between two waits, so that no two clients are told the same slot.
 */
import type { Address } from '../../bytes.ts';
import { addressOf } from '../../chain/address.ts';
import type { BatchVerifier, Hasher, Signer } from '../../chain/crypto/types.ts';
import type { SignedQuote, SignedQuoteRequest } from '../../chain/market/quote.ts';
import type { Clock } from '../../clock.ts';
import { every } from '../../clock.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { MetricsRegister } from '../../metrics.ts';
import type { Sealing } from '../../../protocols/market/sealing.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import type { Rows } from '../coordinator/ports.ts';
import type { MinerDoor } from '../link.ts';
import { Books } from './books.ts';
import { Catalog } from './catalog.ts';
import { Intake } from './intake.ts';
import type { MinerMetrics } from './metrics.ts';
import { createMinerMetrics } from './metrics.ts';
import { Monitor } from './monitor.ts';
import type { OffersOptions } from './offers.ts';
import { Offers } from './offers.ts';
import { Outbox } from './outbox.ts';
import type { MinerBlobs, MinerChain, MinerExecutors, MinerNet } from './ports.ts';
import type { Prices } from './prices.ts';
import { Quoting } from './quoting.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';
import type { Restored } from './restore.ts';
import { restore } from './restore.ts';
import { Runs } from './runs.ts';
import { SealKeys } from './seal-keys.ts';
import { Session } from './session.ts';
import { Slots } from './slots.ts';
import type { MinerStatus } from './status.ts';

/** Work streams at once. One peer may hold as many as are left over, so that there is always room for another one. */
export const MAX_STREAMS = 2_048;
const TICK_MS = 5_000;
const PROBE_MS = 30_000;
/** A drain that waits for work gives clients so long to acknowledge. */
const CLOSE_MS = 2_000;

export interface MinerOptions extends OffersOptions {
  readonly prices: Prices;
}

export interface MinerModules {
  readonly chain: MinerChain;
  readonly net: MinerNet;
  readonly rows: Rows;
  readonly executors: MinerExecutors;
  readonly blobs: MinerBlobs;
  /** The account that has the stake. */
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly verifier: BatchVerifier;
  readonly sealing: Sealing;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  /** Nothing can be kept any more: the miner has stopped taking and sending. */
  readonly onFatal: (error: NodeError) => void;
}

export interface Miner extends MinerDoor {
  readonly address: Address;
  status(): MinerStatus;
  /** Takes no more work, from now until the end; resolves when what is at work has ended. Safe to call again. */
  drain(): Promise<void>;
  /** Ends work as failed, for what was sent. Rows stay open. Safe to call again. */
  close(): Promise<void>;
}

/** Comes back to what rows tell. @throws NodeError CORRUPT | STORAGE */
export async function createMiner(options: MinerOptions, modules: MinerModules): Promise<Miner> {
  const { rows, hasher, chain, clock, log } = modules;
  const found = await restore(rows, { hasher, chain: chain.context }, clock.now());
  if (found.changes.length > 0) await rows.persist(found.changes);
  if (found.cutOff > 0) log.warn('work was cut off by the last stop', { attempts: found.cutOff });
  const sealKeys = await SealKeys.open({ rows, sealing: modules.sealing }, found.sealSecrets, clock.now());
  const miner = new RunningMiner(options, modules, sealKeys, found);
  await miner.probe();
  return miner;
}

class RunningMiner implements Miner {
  readonly address: Address;
  readonly #options: MinerOptions;
  readonly #modules: MinerModules;
  readonly #metrics: MinerMetrics;
  readonly #monitor: Monitor;
  readonly #books = new Books();
  readonly #slots: Slots;
  readonly #catalog: Catalog;
  readonly #runs: Runs;
  readonly #outbox: Outbox;
  readonly #offers: Offers;
  readonly #quoting: Quoting;
  readonly #intake: Intake;
  readonly #sealKeys: SealKeys;
  readonly #streams = new Set<WorkStream>();
  readonly #streamsOf = new Map<string, number>();
  readonly #ends: (() => void)[] = [];
  readonly #closing = new AbortController();
  #fault: NodeError | null = null;
  #isDraining = false;
  #isProbing = false;
  #closed: Promise<void> | null = null;

  constructor(options: MinerOptions, modules: MinerModules, sealKeys: SealKeys, found: Restored) {
    const { chain, hasher, signer, clock, executors, blobs, verifier, rows, log, net, random } = modules;
    this.#options = options;
    this.#modules = modules;
    this.#sealKeys = sealKeys;
    this.address = addressOf(hasher, signer.publicKey);
    this.#metrics = createMinerMetrics(modules.metrics);
    this.#metrics.slots.set(options.slots);
    this.#monitor = new Monitor(clock);
    this.#slots = new Slots(options.slots, () => {
      this.#onChange();
    });
    this.#catalog = new Catalog(executors, options.prices, this.#monitor);
    const metrics = this.#metrics;
    const common = { clock, metrics, books: this.#books, rows, slots: this.#slots, monitor: this.#monitor };
    const account = { chain, signer, hasher, address: this.address };
    const onFatal = (error: NodeError): void => {
      this.#onFatal(error);
    };
    const closedFor = (): Refusal | null => this.#closedFor();
    this.#runs = new Runs({
      ...common,
      ...{ executors, blobs, onFatal },
      rules: { hasher, chain: chain.context, signer },
      onOver: () => {
        this.#settle();
      },
    });
    this.#outbox = new Outbox({ ...common, ...account, log });
    this.#offers = new Offers(options, {
      ...{ chain, net, signer, clock, random, catalog: this.#catalog },
      free: () => (this.#closedFor() ? 0 : this.#slots.free(clock.now())),
      mayOffer: () => this.#isStaked() && chain.unhealthy() === null && this.#catalog.wares.length > 0,
    });
    this.#quoting = new Quoting({
      ...common,
      ...account,
      sealKeys,
      verifier,
      catalog: this.#catalog,
      closed: closedFor,
    });
    this.#intake = new Intake({
      rules: { hasher, chain: chain.context, address: this.address },
      ...common,
      ...{
        source: chain,
        runs: this.#runs,
        outbox: this.#outbox,
        verifier,
        sealKeys,
        signer: modules.signer,
        sealing: modules.sealing,
        closed: closedFor,
        onFatal,
      },
    });
    this.#books.restore(found.ledgers, found.sums);
    this.#outbox.restore(found.transactions);
    this.#runs.restore(found.ended);
    for (const [job, attempt] of found.fences) this.#runs.fence(job, attempt);
    this.#start();
  }

  /** Looks what the back ends can do now. */
  async probe(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    try {
      await this.#catalog.probe(this.#closing.signal);
      this.#offers.poke();
    } catch (error) {
      this.#modules.log.warn('back ends could not be asked what they offer', { error: toNodeError(error) });
    } finally {
      this.#isProbing = false;
    }
  }

  quote(request: SignedQuoteRequest): Promise<SignedQuote> {
    return this.#quoting.quote(request);
  }

  async work(stream: WorkStream, from: string): Promise<void> {
    const ofPeer = this.#streamsOf.get(from) ?? 0;
    if (ofPeer >= MAX_STREAMS - this.#streams.size || this.#closed) {
      stream.close();
      throw new NodeError(
        'BUSY',
        `this miner serves ${MAX_STREAMS} work streams at once, and each peer a share of them`,
      );
    }
    this.#streams.add(stream);
    this.#streamsOf.set(from, ofPeer + 1);
    try {
      await new Session(this.#intake, stream, from).serve();
    } catch (error) {
      const { code } = toNodeError(error);
      if (code === 'INTERNAL') this.#modules.log.error('a work stream failed', { from, error });
      else this.#modules.log.debug('a work stream ended', { from, code });
      throw error;
    } finally {
      this.#streams.delete(stream);
      const left = (this.#streamsOf.get(from) ?? 1) - 1;
      if (left > 0) this.#streamsOf.set(from, left);
      else this.#streamsOf.delete(from);
    }
  }

  greet(): void {
    this.#offers.greet();
  }

  status(): MinerStatus {
    const { chain, clock } = this.#modules;
    const why = this.#closedFor();
    return {
      address: this.address,
      state: this.#isDraining ? 'draining' : why ? 'closed' : 'open',
      reason: why && { code: why.code, text: why.text },
      slots: this.#options.slots,
      free: this.#slots.free(clock.now()),
      working: this.#slots.state.working,
      streams: this.#streams.size,
      stakedUait: chain.stakedUait(this.address),
      balanceUait: chain.balanceUait(this.address),
      models: this.#catalog.offered(),
      speeds: this.#monitor.speeds(),
      agreements: [...this.#books.all()],
      settlements: this.#outbox.size,
      unsettledUait: this.#books.unsettledUait(),
      closed: this.#books.sums,
    };
  }

  async drain(): Promise<void> {
    if (!this.#isDraining)
      this.#modules.log.info('draining: no more work is taken', { working: this.#runs.working().length });
    this.#isDraining = true;
    this.#offers.poke();
    await this.#runs.over(this.#runs.working());
    this.#settle();
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isDraining = true;
    for (const end of this.#ends) end();
    this.#offers.close();
    const working = this.#runs.working();
    for (const run of working) run.giveUp('EXECUTOR', 'the miner stops');
    const { clock } = this.#modules;
    let cancel = (): void => undefined;
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(CLOSE_MS, resolve);
    });
    await Promise.race([Promise.all([this.#runs.over(working), this.#runs.idle()]), late]);
    cancel();
    this.#closing.abort();
    for (const stream of this.#streams) stream.close();
    this.#runs.close();
    await this.#outbox.idle();
  }

  #start(): void {
    const { chain, clock } = this.#modules;
    this.#ends.push(
      every(clock, TICK_MS, () => {
        this.#tick();
      }),
      every(clock, PROBE_MS, () => {
        void this.probe();
      }),
      chain.onHead(() => {
        this.#onHead();
      }),
      chain.onOpening(this.address, (opening) => {
        this.#slots.step({ type: 'opening', ...opening, nowMs: clock.now() });
      }),
    );
    this.#onHead();
  }

  #onHead(): void {
    const { closing, rows } = this.#books.refresh(this.#modules.chain);
    for (const { active } of closing) {
      if (active) this.#runs.get(active.attempt)?.giveUp('NOT_FUNDED', 'the agreement is closing');
    }
    if (rows.length > 0) this.#do(this.#modules.rows.persist(rows));
    this.#metrics.agreements.set(this.#books.size);
    this.#metrics.unsettled.set(this.#books.unsettledUait());
    this.#settle();
  }

  #tick(): void {
    this.#do(this.#runs.sweep());
    this.#do(this.#sealKeys.rotate(this.#modules.clock.now()));
    this.#settle();
    this.#onChange();
  }

  #settle(): void {
    if (this.#fault || this.#closing.signal.aborted) return;
    this.#do(this.#outbox.consider({ isDraining: this.#isDraining }));
  }

  #onChange(): void {
    this.#metrics.freeSlots.set(this.#slots.free(this.#modules.clock.now()));
    this.#offers.poke();
  }

  #isStaked(): boolean {
    const { chain } = this.#modules;
    return chain.stakedUait(this.address) >= chain.terms().minStakeUait;
  }

  #closedFor(): Refusal | null {
    if (this.#fault) return refusal('STORAGE', 'this miner cannot keep what it is given');
    if (this.#isDraining) return refusal('BUSY', 'this miner takes no more work');
    return this.#modules.chain.unhealthy();
  }

  #do(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#onFatal(toNodeError(error));
    });
  }

  #onFatal(error: NodeError): void {
    if (this.#fault) return;
    this.#fault = error;
    this.#modules.log.error('the miner has stopped: it cannot keep what it must', { error });
    this.#offers.close();
    this.#modules.onFatal(error);
  }
}
