/**
 * Catching up: who may be ahead, which ranges of blocks to ask of whom, in parallel, and handing them to the engine in
 * order, which alone decides. A height that a peer announces is a hint and never believed: only certified blocks move
 * the head, a claim without blocks is dropped, and one honest peer is enough.
 */
import { NodeError, toNodeError } from './errors.ts';
import type { Clock } from './clock.ts';
import type { Hash } from './bytes.ts';
import type { Transaction } from './chain/tx.ts';
import type { Certificate } from './chain/votes.ts';
import type { Logger } from './log.ts';
import type { CertifiedBlock, PeerStatus } from '../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../protocols/network.ts';
import type { Claim } from './sync/claims.ts';
import { Claims, MAX_CLAIMS } from './sync/claims.ts';

/** Blocks asked for at once; a response may hold fewer for its size. */
export const RANGE_BLOCKS = 64;
/** Ranges on their way or waiting for their turn, and one asked twice: bounds memory to so many responses. */
export const MAX_RANGES = 8;
export const MAX_RANGES_PER_PEER = 2;
/** One block behind is normal for a moment: agreement itself delivers it. */
const PATIENCE_MS = 400;
/** Least time between two questions to one peer whether it is ahead, as others say. */
export const INQUIRY_MS = 1_000;
/** So long may a peer keep all others waiting: then the range that is needed next is asked once more, of another if any. */
export const HEDGE_MS = 1_500;
/** So many blocks fetched without a pause are catching up; fewer are what agreement brings anyway. */
const CATCHING_UP_BLOCKS = 2;
/** A peer slower than this is asked only when no other has the range. The bar of catching up is 1 ms. */
const SLOW_MS_PER_BLOCK = 100;
/** What a peer that answered nothing in time, or nothing at all, counts as. */
const STALLED_MS_PER_BLOCK = 10_000;
const REPORT_EVERY_MS = 5_000;

/** What catching up needs of the chain, and all it may do to it. */
export interface SyncTarget {
  readonly genesisHash: Hash;
  /** Lowest height whose block is held. */
  base(): number;
  head(): { readonly height: number; readonly blockId: Hash; readonly certificate: Certificate | null };
  /** Signatures of transactions, off this thread. @returns whether all are good */
  verifyBodies(txs: readonly Transaction[]): Promise<boolean>;
  /** Verifies certificates ahead of their import, against the set that most likely signed them. */
  tryAhead(certificates: readonly Certificate[]): Promise<void>;
  /** Commits blocks that follow the head. @returns why one of them was refused, null when none was */
  import(blocks: readonly CertifiedBlock[]): Promise<{ readonly fault: NodeError | null }>;
  /** While true nothing is signed. True only while blocks keep coming: what peers claim must not silence a validator. */
  catchingUp: boolean;
}

export interface SyncModules {
  readonly chain: SyncTarget;
  readonly clock: Clock;
  readonly log: Logger;
  /** The head is what it is going to be: time to ask what others hold of the height in work. */
  readonly onCaughtUp: () => void;
}

interface Range {
  readonly from: number;
  readonly count: number;
}

interface Fetched extends Range {
  readonly peer: PeerId;
  readonly blocks: readonly CertifiedBlock[];
}

/** A range on its way. */
interface Flight {
  readonly range: Range;
  readonly peer: PeerId;
  readonly atMs: number;
  /** Asked of another peer as well. */
  hedged: boolean;
}

interface Stretch {
  readonly height: number;
  readonly atMs: number;
  blocks: number;
  lastAtMs: number;
}

export interface SyncProgress {
  readonly targetHeight: number;
  readonly blocksPerSecond: number;
}

function endOf({ from, count }: Range): number {
  return from + count - 1;
}

export class Sync {
  readonly #modules: SyncModules;
  /** What peers say of themselves. A claim that leads to nothing is the claimant's fault. */
  readonly #claims = new Claims();
  /** What others say of a peer: it is asked, and never blamed. */
  readonly #rumours = new Map<PeerId, number>();
  readonly #inquiredAtMs = new Map<PeerId, number>();
  readonly #load = new Map<PeerId, number>();
  /** Milliseconds a block of a peer's last answer. */
  readonly #pace = new Map<PeerId, number>();
  #network: ChainNetwork | null = null;
  #running: Promise<void> | null = null;
  #cancelPatience: (() => void) | null = null;
  #abort = new AbortController();
  #progress: SyncProgress | null = null;
  /** Of blocks fetched since the run began, or since it last stood still. */
  #stretch: Stretch = { height: 0, atMs: 0, blocks: 0, lastAtMs: 0 };
  /** Called at every step of catching up, and when it stands still or ends. */
  readonly #watchers = new Set<(comesMore: boolean) => void>();
  /** The network speaks a version this program does not know: nothing can be fetched that it could take. */
  #outdated = false;
  #gapReported = false;

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

  /** Resolves when the head is at this height, when nothing is being fetched, or when nothing comes any more. */
  async reached(height: number): Promise<void> {
    let comesMore = this.#running !== null;
    while (comesMore && this.#height() < height) {
      comesMore = await new Promise<boolean>((resolve) => this.#watchers.add(resolve));
    }
  }

  ownStatus(): PeerStatus {
    const { chain } = this.#modules;
    return { genesisHash: chain.genesisHash, baseHeight: chain.base(), ...chain.head() };
  }

  /** Exchanges heads with a peer. @returns the height it names. @throws NodeError of the request */
  async greet(peer: PeerId): Promise<number> {
    const status = await this.#network?.request(peer, 'status', this.ownStatus(), this.#abort.signal);
    if (status) this.hint(peer, status);
    return status?.height ?? 0;
  }

  /** A peer says of itself that it has these heights. */
  hint(peer: PeerId, claim: Claim): void {
    this.#claims.add(peer, claim);
    this.#kick();
  }

  /**
   * Somebody's message says that this peer has that height. The message may lie and the peer be honest, so the peer is
   * asked before anything is expected of it.
   */
  hearsay(peer: PeerId, height: number): void {
    if (this.#outdated || height <= this.#height() || height <= this.#claims.heightOf(peer)) return;
    if (this.#rumours.size >= MAX_CLAIMS && !this.#rumours.has(peer)) return;
    this.#rumours.set(peer, Math.max(height, this.#rumours.get(peer) ?? 0));
    if (height > this.#height() + 1) this.#inquire();
    else this.#wait();
  }

  forget(peer: PeerId): void {
    for (const map of [this.#claims, this.#rumours, this.#inquiredAtMs, this.#pace]) map.delete(peer);
  }

  #height(): number {
    return this.#modules.chain.head().height;
  }

  #target(): number {
    return this.#claims.reach(this.#height());
  }

  #kick(): void {
    if (this.#running || this.#abort.signal.aborted) return;
    const lag = this.#target() - this.#height();
    if (lag > 1) this.#begin();
    else if (lag > 0) this.#wait();
    else this.#checkGap();
  }

  /** Says once that whoever is ahead has pruned the next block of this node. */
  #checkGap(): void {
    const ahead = this.#claims.above(this.#height());
    if (ahead.length === 0 || this.#gapReported) return;
    this.#gapReported = true;
    const lowest = Math.min(...ahead.map(({ baseHeight }) => baseHeight));
    this.#modules.log.warn('no peer keeps the next block: connect one that keeps all', {
      height: this.#height() + 1,
      lowest,
      peers: ahead.length,
    });
  }

  #wait(): void {
    if (this.#abort.signal.aborted) return;
    this.#cancelPatience ??= this.#modules.clock.after(PATIENCE_MS, () => {
      this.#cancelPatience = null;
      this.#inquire();
      if (this.#target() > this.#height()) this.#begin();
    });
  }

  /** Asks those of whom others say that they are ahead, each at most once a second. */
  #inquire(): void {
    const nowMs = this.#modules.clock.monotonic();
    const connected = new Set(this.#network?.peers() ?? []);
    for (const [peer, height] of this.#rumours) {
      if (!connected.has(peer)) this.forget(peer);
      else if (height <= this.#height()) this.#rumours.delete(peer);
      else if (nowMs - (this.#inquiredAtMs.get(peer) ?? -Infinity) < INQUIRY_MS) this.#wait();
      else {
        this.#rumours.delete(peer);
        this.#inquiredAtMs.set(peer, nowMs);
        this.greet(peer).catch((error: unknown) => {
          this.#modules.log.debug('peer not asked for its head', { peer, code: toNodeError(error).code });
        });
      }
    }
  }

  #begin(): void {
    if (this.#running || this.#outdated || this.#abort.signal.aborted) return;
    this.#gapReported = false;
    this.#running = this.#run()
      .catch((error: unknown) => {
        this.#modules.log.error('catching up failed', { error: toNodeError(error) });
      })
      .finally(() => {
        this.#running = null;
        this.#pause();
        // It ended short of its target because nobody could be asked just now: at once again would spin.
        if (this.#target() > this.#height()) this.#wait();
      });
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#modules;
    const started = this.#startStretch();
    let reportedAtMs = started.atMs;
    const todo: Range[] = [];
    const ready = new Map<number, Fetched>();
    const fetching = new Map<Promise<void>, Flight>();
    let planned = this.#height();
    while (!this.#abort.signal.aborted && this.#height() < this.#target()) {
      planned = this.#plan(todo, planned, ready.size + fetching.size);
      this.#dispatch(todo, ready, fetching);
      const next = ready.get(this.#height() + 1);
      if (next) {
        ready.delete(next.from);
        await this.#take(next, todo);
        this.#step();
      } else if (fetching.size > 0) {
        await this.#await(fetching, todo);
        if (this.#standsStill()) this.#pause();
      } else if (todo.length === 0 && planned >= this.#target()) {
        // What was planned is neither here nor on its way: agreement moved the head past the start of a range.
        planned = this.#height();
        ready.clear();
      } else {
        return;
      }
      for (const from of ready.keys()) if (from <= this.#height()) ready.delete(from);
      if (clock.monotonic() - reportedAtMs < REPORT_EVERY_MS) continue;
      reportedAtMs = clock.monotonic();
      log.info('catching up', { height: this.#height(), ...this.#progress });
    }
    const blocks = this.#height() - started.height;
    const ms = Math.round(clock.monotonic() - started.atMs);
    if (blocks > 1) log.info('caught up', { height: this.#height(), blocks, ms });
  }

  // Blocks that come, or do not

  #startStretch(): Stretch {
    const atMs = this.#modules.clock.monotonic();
    this.#stretch = { height: this.#height(), atMs, blocks: 0, lastAtMs: atMs };
    return this.#stretch;
  }

  /** An answer was taken. A claim alone is no progress, nor is a lie. */
  #step(): void {
    const { chain, clock } = this.#modules;
    const stretch = this.#stretch;
    if (stretch.blocks === 0) return;
    const nowMs = clock.monotonic();
    const seconds = Math.max(0.001, (nowMs - stretch.atMs) / 1000);
    this.#progress = { targetHeight: this.#target(), blocksPerSecond: stretch.blocks / seconds };
    if (stretch.blocks >= CATCHING_UP_BLOCKS) chain.catchingUp = true;
    this.#tellWatchers(true);
  }

  #standsStill(): boolean {
    return this.#modules.clock.monotonic() - this.#stretch.lastAtMs >= HEDGE_MS;
  }

  /** Nothing comes now: this node is as far as anyone proved to it, and takes part again. */
  #pause(): void {
    const { chain, onCaughtUp } = this.#modules;
    this.#progress = null;
    const came = this.#stretch.blocks > 0;
    this.#startStretch();
    if (came) {
      chain.catchingUp = false;
      onCaughtUp();
    }
    this.#tellWatchers(false);
  }

  #tellWatchers(comesMore: boolean): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const tell of watchers) tell(comesMore);
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

  /** Until an answer is there, or the peer with the range that all others wait for has had its time. */
  async #await(fetching: ReadonlyMap<Promise<void>, Flight>, todo: Range[]): Promise<void> {
    const { clock } = this.#modules;
    let cancel: () => void = () => undefined;
    const hedge = new Promise<void>((resolve) => {
      cancel = clock.after(HEDGE_MS, resolve);
    });
    await Promise.race([...fetching.keys(), hedge]);
    cancel();
    for (const flight of fetching.values()) {
      const { range, peer, atMs } = flight;
      const isNext = range.from <= this.#height() + 1 && endOf(range) > this.#height();
      if (!isNext || flight.hedged || fetching.size > MAX_RANGES) continue;
      if (clock.monotonic() - atMs >= HEDGE_MS) this.#pace.set(peer, STALLED_MS_PER_BLOCK);
      if (!this.#isSlow(peer)) continue;
      flight.hedged = true;
      todo.unshift(range);
    }
  }

  #dispatch(todo: Range[], ready: Map<number, Fetched>, fetching: Map<Promise<void>, Flight>): void {
    for (const range of this.#missing(todo.splice(0))) {
      const peer = this.#choose(range);
      if (peer === undefined) {
        todo.push(range);
        continue;
      }
      const fetch = this.#fetch(peer, range).then((fetched) => {
        fetching.delete(fetch);
        if (fetched) ready.set(fetched.from, fetched);
        else if (![...fetching.values()].some((flight) => endOf(flight.range) === endOf(range))) todo.push(range);
      });
      fetching.set(fetch, { range, peer, atMs: this.#modules.clock.monotonic(), hedged: false });
    }
  }

  /** What of these ranges is above the head, in order. Pieces of one range keep its end, by which they are told apart. */
  #missing(ranges: readonly Range[]): Range[] {
    const byEnd = new Map<number, Range>();
    for (const range of ranges) {
      const end = endOf(range);
      const from = Math.max(range.from, this.#height() + 1);
      if (from <= end) byEnd.set(end, { from, count: end - from + 1 });
    }
    return [...byEnd.values()].sort((a, b) => a.from - b.from);
  }

  /** The least busy peer that claims to hold the range's first block; a slow one only where no other claims it. */
  #choose({ from }: Range): PeerId | undefined {
    this.#claims.keep(new Set(this.#network?.peers() ?? []));
    const having = this.#claims.holding(from);
    const quick = having.filter((peer) => !this.#isSlow(peer));
    let best: PeerId | undefined;
    for (const peer of quick.length > 0 ? quick : having) {
      if (this.#loadOf(peer) >= MAX_RANGES_PER_PEER) continue;
      if (best === undefined || this.#loadOf(peer) < this.#loadOf(best)) best = peer;
    }
    return best;
  }

  #isSlow(peer: PeerId): boolean {
    return (this.#pace.get(peer) ?? 0) > SLOW_MS_PER_BLOCK;
  }

  #loadOf(peer: PeerId): number {
    return this.#load.get(peer) ?? 0;
  }

  /** Blocks of a range with all transactions' signatures checked; undefined when this peer did not deliver. */
  async #fetch(peer: PeerId, range: Range): Promise<Fetched | undefined> {
    const { chain, clock } = this.#modules;
    const startMs = clock.monotonic();
    this.#load.set(peer, this.#loadOf(peer) + 1);
    try {
      const blocks = (await this.#network?.request(peer, 'blocks', range, this.#abort.signal)) ?? [];
      this.#pace.set(peer, blocks.length === 0 ? STALLED_MS_PER_BLOCK : (clock.monotonic() - startMs) / blocks.length);
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
      if (!this.#abort.signal.aborted) this.#failed(peer, range, toNodeError(error));
      return undefined;
    } finally {
      const load = this.#loadOf(peer) - 1;
      if (load > 0) this.#load.set(peer, load);
      else this.#load.delete(peer);
    }
  }

  /** Hands a range to the engine; what was missing at its end is asked for again. */
  async #take({ peer, from, count, blocks }: Fetched, todo: Range[]): Promise<void> {
    const { chain } = this.#modules;
    const before = this.#height();
    const { fault } = await chain.import(blocks);
    const end = endOf({ from, count });
    const height = this.#height();
    if (height > before) {
      this.#stretch.blocks += height - before;
      this.#stretch.lastAtMs = this.#modules.clock.monotonic();
    }
    if (fault !== null) this.#failed(peer, { from: height + 1, count: end - height }, fault);
    else if (height === before && height < end) this.#shelve(peer);
    else this.#network?.report(peer, 'useful', 'blocks');
    if (height < end) todo.unshift({ from: height + 1, count: end - height });
  }

  /** Blames a peer for what it did, and for nothing else: a full queue or a fault of this node is not its lie. */
  #failed(peer: PeerId, { from }: Range, error: NodeError): void {
    const { log } = this.#modules;
    const { code, message } = error;
    switch (code) {
      case 'BAD_BLOCK':
      case 'BAD_CERTIFICATE':
      case 'CODEC':
        log.warn('a peer sent an invalid block', { peer, from, error });
        this.#claims.delete(peer);
        this.#network?.report(peer, 'lie', message);
        return;
      case 'UPGRADE_NEEDED':
        log.error('the network makes blocks that this program does not know', { from, error });
        this.#outdated = true;
        this.#claims.clear();
        return;
      case 'NOT_FOUND':
        this.#network?.report(peer, 'timeout', message);
        break;
      case 'PRUNED':
      case 'POOL_FULL':
      case 'RATE_LIMITED':
      case 'PEER_QUOTA':
        break;
      default:
        // What the peer did to a request, the network has judged.
        this.#pace.set(peer, STALLED_MS_PER_BLOCK);
    }
    log.info('range not fetched', { peer, from, code });
    this.#shelve(peer);
  }

  /** A claim that led to nothing is dropped, and the peer asked again after a while. */
  #shelve(peer: PeerId): void {
    const height = this.#claims.heightOf(peer);
    this.#claims.delete(peer);
    if (height > 0) this.#rumours.set(peer, height);
    this.#wait();
  }
}
