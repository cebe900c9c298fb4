/**
 * One run of catching up: ranges of blocks are fetched of several peers, checked while earlier ones are imported, and
 * imported in order. Memory is bounded by the number of ranges under way, each no larger than a response.
 */
import { NodeError, toNodeError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import type { CertifiedBlock } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { Claims } from './claims.ts';
import type { PeerPace } from './peer-pace.ts';
import type { Range } from './ranges.ts';
import { cutRanges, endOf, MAX_RANGES, missingAbove } from './ranges.ts';

/** So long may a peer keep all others waiting: then the range that is needed next is asked once more, of another if any. */
export const HEDGE_MS = 1_500;
/** Ranges whose signatures are checked ahead of their import: the verifier is always busy, and never far ahead. */
const CHECKED_AHEAD = 2;
/** A check that found the verifier full is made again after this. */
const CHECK_AGAIN_MS = 100;

/** What a range goes through besides being fetched. `T`: blocks that prove to be linked to each other. */
export interface RangeSteps<T> {
  height(): number;
  target(): number;
  /** @throws NodeError BAD_BLOCK | BAD_CERTIFICATE when the blocks do not prove each other */
  link(blocks: readonly CertifiedBlock[]): T;
  /** Verifies signatures. @throws NodeError POOL_FULL when it must be tried again */
  check(linked: T): Promise<void>;
  /** @returns why the blocks after those that were taken were refused */
  import(linked: T): Promise<NodeError | null>;
  /** The head moved by so many blocks. */
  came(blocks: number): void;
  /** A peer delivered what was asked of it, or nothing that was of use. */
  delivered(peer: PeerId, isUseful: boolean): void;
  /** A peer did not deliver what was asked of it. @returns whether it lied, so that nothing of it is of use */
  failed(peer: PeerId, from: number, error: NodeError): boolean;
  /** Nothing came for a while. */
  stoodStill(): void;
}

interface Arrived<T> extends Range {
  readonly peer: PeerId;
  readonly linked: T;
  step: 'waits' | 'in work' | 'checked';
}

/** A range on its way. */
interface Flight {
  readonly range: Range;
  readonly peer: PeerId;
  readonly atMs: number;
  /** Asked of another peer as well. */
  hedged: boolean;
}

export interface PipelineModules {
  readonly claims: Claims;
  readonly pace: PeerPace;
  readonly network: ChainNetwork;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class Pipeline<T> {
  readonly #modules: PipelineModules;
  readonly #steps: RangeSteps<T>;
  #todo: Range[] = [];
  readonly #arrived = new Map<number, Arrived<T>>();
  readonly #flights = new Map<Promise<void>, Flight>();
  readonly #checks = new Set<Promise<void>>();

  constructor(modules: PipelineModules, steps: RangeSteps<T>) {
    this.#modules = modules;
    this.#steps = steps;
  }

  /**
   * Until the head is as high as peers claim to be and what arrived is used, nobody can be asked any more, or the signal
   * says stop.
   */
  async run(): Promise<void> {
    const { signal } = this.#modules;
    const steps = this.#steps;
    let planned = steps.height();
    while (!signal.aborted && (steps.height() < steps.target() || this.#arrived.size > 0)) {
      planned = this.#plan(planned);
      this.#dispatch();
      this.#checkAhead();
      const next = this.#arrived.get(steps.height() + 1);
      if (next?.step === 'checked') {
        this.#arrived.delete(next.from);
        await this.#take(next);
      } else if (this.#flights.size + this.#checks.size > 0) {
        await this.#await();
      } else if (this.#todo.length === 0 && planned >= steps.target()) {
        // What was planned is neither here nor on its way: agreement moved the head past the start of a range.
        planned = steps.height();
        this.#arrived.clear();
      } else {
        return;
      }
      for (const from of this.#arrived.keys()) if (from <= steps.height()) this.#arrived.delete(from);
    }
  }

  /** Cuts what lies ahead into ranges, as many as may be under way. @returns the height planned up to */
  #plan(planned: number): number {
    const upTo = Math.max(planned, this.#steps.height());
    const underWay = this.#todo.length + this.#arrived.size + this.#flights.size;
    const ranges = cutRanges(upTo, this.#steps.target(), MAX_RANGES - underWay);
    this.#todo.push(...ranges);
    const last = ranges.at(-1);
    return last ? endOf(last) : upTo;
  }

  #dispatch(): void {
    const { claims, pace, network, clock } = this.#modules;
    const ranges = missingAbove(this.#steps.height(), this.#todo);
    this.#todo = [];
    claims.retain(new Set(network.peers()));
    for (const range of ranges) {
      const peer = pace.choose(claims.holders(range.from));
      if (peer === undefined) {
        this.#todo.push(range);
        continue;
      }
      const fetch = this.#fetch(peer, range).then((arrived) => {
        this.#flights.delete(fetch);
        if (arrived) this.#arrived.set(arrived.from, arrived);
        else this.#again(range);
      });
      this.#flights.set(fetch, { range, peer, atMs: clock.monotonic(), hedged: false });
    }
  }

  /** Asks for a range once more, unless another peer was asked for it already. */
  #again(range: Range): void {
    const isUnderWay = [...this.#flights.values()].some((flight) => endOf(flight.range) === endOf(range));
    if (!isUnderWay) this.#todo.push(range);
  }

  /** Blocks of a range that prove each other; undefined when this peer did not deliver. */
  async #fetch(peer: PeerId, range: Range): Promise<Arrived<T> | undefined> {
    const { pace, network, clock, signal } = this.#modules;
    const startMs = clock.monotonic();
    pace.began(peer);
    try {
      const blocks = await network.request(peer, 'blocks', range, signal);
      pace.delivered(peer, blocks.length, clock.monotonic() - startMs);
      if (blocks.length === 0) throw new NodeError('NOT_FOUND', 'the peer has none of the blocks it claimed');
      if (blocks[0]?.block.header.height !== range.from || blocks.length > range.count) {
        throw new NodeError('BAD_BLOCK', 'the peer sent other blocks than asked for');
      }
      return { ...range, peer, linked: this.#steps.link(blocks), step: 'waits' };
    } catch (error) {
      if (!signal.aborted) this.#failed(peer, range.from, toNodeError(error));
      return undefined;
    } finally {
      pace.ended(peer);
    }
  }

  /** Begins to check what is needed next, so far as it is here. */
  #checkAhead(): void {
    const next = [...this.#arrived.values()].sort((a, b) => a.from - b.from).slice(0, CHECKED_AHEAD);
    for (const arrived of next) {
      if (arrived.step !== 'waits' || this.#checks.size >= CHECKED_AHEAD) continue;
      arrived.step = 'in work';
      const check = this.#check(arrived).finally(() => this.#checks.delete(check));
      this.#checks.add(check);
    }
  }

  /** Judges no block: what is found bad here, the import finds again, and knows whose fault it is. Never throws. */
  async #check(arrived: Arrived<T>): Promise<void> {
    try {
      await this.#steps.check(arrived.linked);
      arrived.step = 'checked';
    } catch (thrown) {
      const error = toNodeError(thrown);
      if (error.code === 'POOL_FULL') {
        await this.#pause(CHECK_AGAIN_MS);
        arrived.step = 'waits';
        return;
      }
      this.#arrived.delete(arrived.from);
      this.#failed(arrived.peer, arrived.from, error);
      this.#again({ from: arrived.from, count: arrived.count });
    }
  }

  /** Ends early when the signal says stop. */
  async #pause(ms: number): Promise<void> {
    const { clock, signal } = this.#modules;
    let stop: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      const cancel = clock.after(ms, resolve);
      stop = (): void => {
        cancel();
        resolve();
      };
      signal.addEventListener('abort', stop);
    });
    signal.removeEventListener('abort', stop);
  }

  /** Until an answer is there, or a check done, or the peer with the range that all others wait for has had its time. */
  async #await(): Promise<void> {
    const { clock, pace } = this.#modules;
    let cancel: () => void = () => undefined;
    const hedge = new Promise<void>((resolve) => {
      cancel = clock.after(HEDGE_MS, resolve);
    });
    try {
      await Promise.race([...this.#flights.keys(), ...this.#checks, hedge]);
    } finally {
      cancel();
    }
    const height = this.#steps.height();
    for (const flight of this.#flights.values()) {
      const { range, peer, atMs } = flight;
      const isNext = range.from <= height + 1 && endOf(range) > height;
      if (!isNext || flight.hedged || this.#flights.size > MAX_RANGES) continue;
      if (clock.monotonic() - atMs >= HEDGE_MS) pace.stalled(peer);
      if (!pace.isSlow(peer)) continue;
      flight.hedged = true;
      this.#todo.unshift(range);
    }
    this.#steps.stoodStill();
  }

  /** Hands a range to the engine; what was missing at its end is asked for again. */
  async #take(arrived: Arrived<T>): Promise<void> {
    const steps = this.#steps;
    const { peer } = arrived;
    const before = steps.height();
    const fault = await steps.import(arrived.linked);
    const end = endOf(arrived);
    const height = steps.height();
    if (height > before) steps.came(height - before);
    if (fault !== null) this.#failed(peer, height + 1, fault);
    else steps.delivered(peer, height > before || height >= end);
    if (height < end) this.#todo.unshift({ from: height + 1, count: end - height });
  }

  /** Asks others for what a liar has sent besides, so far as no check of it is under way. */
  #failed(peer: PeerId, at: number, error: NodeError): void {
    if (!this.#steps.failed(peer, at, error)) return;
    for (const { from, count, peer: sender, step } of [...this.#arrived.values()]) {
      if (sender !== peer || step === 'in work') continue;
      this.#arrived.delete(from);
      this.#again({ from, count });
    }
  }
}
