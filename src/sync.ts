/**
 * Catching up: who may be ahead, which ranges of blocks to ask of whom, in parallel, and handing them to the engine in
 * order, which alone decides. A height that a peer announces is a hint and never believed: only certified blocks move
 * the head, a claim without blocks is dropped, and one honest peer is enough.
 */
import { NodeError, isNodeError, toNodeError } from './errors.ts';
import type { Clock } from './clock.ts';
import type { Hash } from './bytes.ts';
import type { Transaction } from './chain/tx.ts';
import type { Certificate } from './chain/votes.ts';
import type { Logger } from './log.ts';
import type { CertifiedBlock, PeerStatus } from '../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../protocols/network.ts';

/** Blocks asked for at once; a response may hold fewer for its size. */
export const RANGE_BLOCKS = 64;
/** Ranges on their way or waiting for their turn: bounds memory to so many responses. */
export const MAX_RANGES = 8;
export const MAX_RANGES_PER_PEER = 2;
/** One block behind is normal for a moment: agreement itself delivers it. */
const PATIENCE_MS = 400;
/** Peers whose claims are kept. */
const MAX_CLAIMS = 256;
const REPORT_EVERY_MS = 5_000;

/** What catching up needs of the chain, and all it may do to it. */
export interface SyncTarget {
  readonly genesisHash: Hash;
  head(): { readonly height: number; readonly blockId: Hash; readonly certificate: Certificate | null };
  /** Signatures of transactions, off this thread. @returns whether all are good */
  verifyBodies(txs: readonly Transaction[]): Promise<boolean>;
  /** Verifies certificates ahead of their import, against the set that most likely signed them. */
  tryAhead(certificates: readonly Certificate[]): Promise<void>;
  /** Commits blocks that follow the head. @returns why one of them was refused, null when none was */
  import(blocks: readonly CertifiedBlock[]): Promise<{ readonly fault: unknown }>;
  /** While true nothing is signed. */
  catchingUp: boolean;
}

export interface SyncModules {
  readonly chain: SyncTarget;
  readonly clock: Clock;
  readonly log: Logger;
  /** Runs after catching up, before the gate opens again. */
  readonly beforeSigning: () => Promise<void>;
}

interface Range {
  readonly from: number;
  readonly count: number;
}

interface Fetched extends Range {
  readonly peer: PeerId;
  readonly blocks: readonly CertifiedBlock[];
}

export interface SyncProgress {
  readonly targetHeight: number;
  readonly blocksPerSecond: number;
}

export class Sync {
  readonly #modules: SyncModules;
  readonly #claims = new Map<PeerId, number>();
  readonly #load = new Map<PeerId, number>();
  #network: ChainNetwork | null = null;
  #running: Promise<void> | null = null;
  #cancelPatience: (() => void) | null = null;
  #abort = new AbortController();
  #progress: SyncProgress | null = null;

  constructor(modules: SyncModules) {
    this.#modules = modules;
  }

  connect(network: ChainNetwork): void {
    this.#network = network;
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#cancelPatience?.();
    await this.idle();
  }

  /** Null while not catching up. */
  get progress(): SyncProgress | null {
    return this.#progress;
  }

  /** Resolves when nothing is being fetched. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  ownStatus(): PeerStatus {
    const { chain } = this.#modules;
    return { genesisHash: chain.genesisHash, baseHeight: 1, ...chain.head() };
  }

  /** Exchanges heads with a peer. @throws NodeError of the request */
  async greet(peer: PeerId): Promise<void> {
    const status = await this.#network?.request(peer, 'status', this.ownStatus(), this.#abort.signal);
    if (status) this.hint(peer, status.height);
  }

  /** A peer says, or shows by its messages, that it has this height. */
  hint(peer: PeerId, height: number): void {
    if (this.#claims.size >= MAX_CLAIMS && !this.#claims.has(peer)) return;
    this.#claims.set(peer, Math.max(height, this.#claims.get(peer) ?? 0));
    this.#kick();
  }

  forget(peer: PeerId): void {
    this.#claims.delete(peer);
  }

  #height(): number {
    return this.#modules.chain.head().height;
  }

  #target(): number {
    return Math.max(0, ...this.#claims.values());
  }

  #kick(): void {
    if (this.#running || this.#abort.signal.aborted) return;
    const lag = this.#target() - this.#height();
    if (lag <= 0) return;
    if (lag > 1) {
      this.#begin();
      return;
    }
    this.#cancelPatience ??= this.#modules.clock.after(PATIENCE_MS, () => {
      this.#cancelPatience = null;
      if (this.#target() > this.#height()) this.#begin();
    });
  }

  #begin(): void {
    if (this.#running || this.#abort.signal.aborted) return;
    this.#running = this.#run()
      .then(() => (this.#modules.chain.catchingUp ? this.#modules.beforeSigning() : undefined))
      .catch((error: unknown) => {
        this.#modules.log.error('catching up failed', { error: toNodeError(error) });
      })
      .finally(() => {
        this.#running = null;
        this.#progress = null;
        this.#modules.chain.catchingUp = false;
        this.#kick();
      });
  }

  async #run(): Promise<void> {
    const { chain, clock, log } = this.#modules;
    const started = { height: this.#height(), atMs: clock.monotonic() };
    let reportedAtMs = started.atMs;
    const todo: Range[] = [];
    const ready = new Map<number, Fetched>();
    const fetching = new Set<Promise<void>>();
    let planned = this.#height();
    while (!this.#abort.signal.aborted && this.#height() < this.#target()) {
      planned = this.#plan(todo, planned, ready.size + fetching.size);
      this.#dispatch(todo, ready, fetching);
      const next = ready.get(this.#height() + 1);
      if (next) {
        ready.delete(next.from);
        await this.#take(next, todo);
        if (this.#height() >= started.height + 2) chain.catchingUp = true;
      } else if (fetching.size > 0) {
        await Promise.race(fetching);
      } else if (todo.length === 0 && planned >= this.#target()) {
        // What was planned is neither here nor on its way: agreement moved the head past the start of a range.
        planned = this.#height();
        ready.clear();
      } else {
        return;
      }
      for (const from of ready.keys()) if (from <= this.#height()) ready.delete(from);
      const seconds = Math.max(0.001, (clock.monotonic() - started.atMs) / 1000);
      const blocksPerSecond = (this.#height() - started.height) / seconds;
      this.#progress = { targetHeight: this.#target(), blocksPerSecond };
      if (clock.monotonic() - reportedAtMs < REPORT_EVERY_MS) continue;
      reportedAtMs = clock.monotonic();
      log.info('catching up', { height: this.#height(), ...this.#progress });
    }
    const blocks = this.#height() - started.height;
    const ms = Math.round(clock.monotonic() - started.atMs);
    if (blocks > 1) log.info('caught up', { height: this.#height(), blocks, ms });
  }

  /** Cuts what lies ahead into ranges, as many as may be under way. @returns the height planned up to */
  #plan(todo: Range[], planned: number, underWay: number): number {
    const target = this.#target();
    let upTo = Math.max(planned, this.#height());
    while (todo.length + underWay < MAX_RANGES && upTo < target) {
      const count = Math.min(RANGE_BLOCKS, target - upTo);
      todo.push({ from: upTo + 1, count });
      upTo += count;
    }
    return upTo;
  }

  #dispatch(todo: Range[], ready: Map<number, Fetched>, fetching: Set<Promise<void>>): void {
    for (const range of todo.splice(0).sort((a, b) => a.from - b.from)) {
      const peer = range.from + range.count - 1 <= this.#height() ? undefined : this.#choose(range);
      if (peer === undefined) {
        if (range.from + range.count - 1 > this.#height()) todo.push(range);
        continue;
      }
      const fetch = this.#fetch(peer, range).then((fetched) => {
        fetching.delete(fetch);
        if (fetched) ready.set(fetched.from, fetched);
        else todo.push(range);
      });
      fetching.add(fetch);
    }
  }

  /** The least busy peer that claims to have the range's first block. */
  #choose({ from }: Range): PeerId | undefined {
    const connected = new Set(this.#network?.peers() ?? []);
    let best: PeerId | undefined;
    for (const [peer, height] of this.#claims) {
      if (!connected.has(peer)) this.#claims.delete(peer);
      else if (height >= from && this.#loadOf(peer) < MAX_RANGES_PER_PEER) {
        if (best === undefined || this.#loadOf(peer) < this.#loadOf(best)) best = peer;
      }
    }
    return best;
  }

  #loadOf(peer: PeerId): number {
    return this.#load.get(peer) ?? 0;
  }

  /** Blocks of a range with all transactions' signatures checked; undefined when this peer did not deliver. */
  async #fetch(peer: PeerId, range: Range): Promise<Fetched | undefined> {
    const { chain, log } = this.#modules;
    this.#load.set(peer, this.#loadOf(peer) + 1);
    try {
      const blocks = (await this.#network?.request(peer, 'blocks', range, this.#abort.signal)) ?? [];
      if (blocks.length === 0) throw new NodeError('NOT_FOUND', 'the peer has none of the blocks it claimed');
      if (blocks.some(({ block }, i) => block.header.height !== range.from + i) || blocks.length > range.count) {
        throw new NodeError('BAD_BLOCK', 'the peer sent other blocks than asked for');
      }
      if (!(await chain.verifyBodies(blocks.flatMap(({ block }) => block.txs)))) {
        throw new NodeError('BAD_BLOCK', 'the peer sent a transaction whose signature does not verify');
      }
      await chain.tryAhead(blocks.map(({ certificate }) => certificate));
      return { ...range, peer, blocks };
    } catch (error) {
      const { code, message } = toNodeError(error);
      if (!isNodeError(error)) throw error;
      if (code === 'POOL_FULL' || this.#abort.signal.aborted) return undefined;
      log.info('range not fetched', { peer, from: range.from, code });
      this.#distrust(peer, code === 'BAD_BLOCK' || code === 'CODEC' ? 'lie' : 'timeout', message);
      return undefined;
    } finally {
      const load = this.#loadOf(peer) - 1;
      if (load > 0) this.#load.set(peer, load);
      else this.#load.delete(peer);
    }
  }

  /** Hands a range to the engine; what was missing at its end is asked for again. */
  async #take({ peer, from, count, blocks }: Fetched, todo: Range[]): Promise<void> {
    const { chain, log } = this.#modules;
    const { fault } = await chain.import(blocks);
    const end = from + count - 1;
    const height = this.#height();
    if (fault !== null) {
      log.warn('a peer sent an invalid block', { peer, height: height + 1, error: toNodeError(fault) });
      this.#distrust(peer, 'lie', 'invalid block');
    } else {
      this.#network?.report(peer, 'useful', 'blocks');
    }
    if (height < end) todo.unshift({ from: height + 1, count: end - height });
  }

  /** A claim that led to nothing is forgotten until the peer makes a new one. */
  #distrust(peer: PeerId, action: 'lie' | 'timeout', reason: string): void {
    this.#claims.delete(peer);
    this.#network?.report(peer, action, reason);
  }
}
