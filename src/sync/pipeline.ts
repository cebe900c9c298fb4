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
import { cutRanges, endOf, gaps, MAX_RANGES } from './ranges.ts';

/** So long may a peer keep all others waiting: then the range that is needed next is asked once more, of another if any. */
export const HEDGE_MS = 1_500;
/** Ranges whose signatures are checked ahead of their import: the verifier is always busy, and never far ahead. */
const CHECKED_AHEAD = 2;
/** A check that found the verifier full is made again after this. */
const CHECK_AGAIN_MS = 100;

/** Why requests end early: one for all, because each new error makes a stack. */
const OVER = new NodeError('TIMEOUT', 'the answer is no longer waited for');

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
  readonly abort: AbortController;
  /** Asked for once more. */
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
    const end = (): void => {
      for (const { abort } of this.#flights.values()) abort.abort(OVER);
    };
    signal.addEventListener('abort', end);
    try {
      await this.#run();
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#modules;
    const steps = this.#steps;
    while (!signal.aborted && (steps.height() < steps.target() || this.#arrived.size > 0)) {
      this.#dropPassed();
      this.#dispatch();
      this.#checkAhead();
      const next = this.#arrived.get(steps.height() + 1);
      if (next?.step === 'checked') {
        this.#arrived.delete(next.from);
        // It makes room for one more, which is verified while this one is executed.
        this.#checkAhead();
        await this.#take(next);
      } else if (this.#flights.size + this.#checks.size > 0) {
        await this.#await();
      } else {
        return;
      }
    }
  }

  /** Agreement moves the head, too: what begins below it is of no use, and what ends below it is not waited for. */
  #dropPassed(): void {
    const height = this.#steps.height();
    for (const { from } of [...this.#arrived.values()]) if (from <= height) this.#arrived.delete(from);
    for (const { range, abort } of this.#flights.values()) if (endOf(range) <= height) abort.abort(OVER);
  }

  /** Asks for all that is missing and neither here nor on its way, as far as there is room and anyone to ask. */
  #dispatch(): void {
    const { claims, network } = this.#modules;
    const height = this.#steps.height();
    claims.retain(new Set(network.peers()));
    this.#hedge(height);
    const flying = [...this.#flights.values()].flatMap(({ range, abort }) => (abort.signal.aborted ? [] : [range]));
    const missing = gaps(height, this.#steps.target(), [...flying, ...this.#arrived.values()]);
    // Without the next block, all others wait.
    const least = missing[0]?.from === height + 1 ? 1 : 0;
    const room = Math.max(MAX_RANGES - flying.length - this.#arrived.size, least);
    for (const range of cutRanges(missing, room)) this.#ask(range);
  }

  /** The range that all others wait for is asked for once more when its peer is slow. */
  #hedge(height: number): void {
    const { clock, pace } = this.#modules;
    for (const flight of [...this.#flights.values()]) {
      const { range, peer, atMs, abort } = flight;
      const isNext = range.from <= height + 1 && endOf(range) > height;
      if (!isNext || flight.hedged || abort.signal.aborted || this.#flights.size > MAX_RANGES) continue;
      if (clock.monotonic() - atMs >= HEDGE_MS) pace.stalled(peer);
      const from = Math.max(range.from, height + 1);
      if (pace.isSlow(peer)) flight.hedged = this.#ask({ from, count: endOf(range) - from + 1 });
    }
  }

  /** @returns whether there was somebody to ask */
  #ask(range: Range): boolean {
    const { claims, pace, clock } = this.#modules;
    const peer = pace.choose(claims.holders(range.from));
    if (peer === undefined) return false;
    const abort = new AbortController();
    const fetch = this.#fetch(peer, range, abort.signal).then((arrived) => {
      this.#flights.delete(fetch);
      if (arrived) this.#arrive(arrived);
    });
    this.#flights.set(fetch, { range, peer, atMs: clock.monotonic(), abort, hedged: false });
    return true;
  }

  /** Whoever was asked for the same need not answer any more. */
  #arrive(arrived: Arrived<T>): void {
    if (this.#arrived.has(arrived.from)) return;
    this.#arrived.set(arrived.from, arrived);
    for (const { range, abort } of this.#flights.values()) {
      if (range.from >= arrived.from && endOf(range) <= endOf(arrived)) abort.abort(OVER);
    }
  }

  /** Blocks of a range that prove each other; undefined when this peer did not deliver. */
  async #fetch(peer: PeerId, range: Range, signal: AbortSignal): Promise<Arrived<T> | undefined> {
    const { pace, network, clock } = this.#modules;
    const startMs = clock.monotonic();
    pace.began(peer);
    try {
      const blocks = await network.request(peer, 'blocks', range, signal);
      pace.delivered(peer, blocks.length, clock.monotonic() - startMs);
      if (blocks.length === 0) throw new NodeError('NOT_FOUND', 'the peer has none of the blocks it claimed');
      if (blocks[0]?.block.header.height !== range.from || blocks.length > range.count) {
        throw new NodeError('BAD_BLOCK', 'the peer sent other blocks than asked for');
      }
      // Agreement may have moved the head meanwhile.
      const fresh = blocks.slice(Math.max(0, this.#steps.height() + 1 - range.from));
      const [first] = fresh;
      if (!first) return undefined;
      const from = first.block.header.height;
      return { from, count: fresh.length, peer, linked: this.#steps.link(fresh), step: 'waits' };
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
        await this.#wait(CHECK_AGAIN_MS).done;
        arrived.step = 'waits';
        return;
      }
      if (this.#arrived.get(arrived.from) === arrived) this.#arrived.delete(arrived.from);
      this.#failed(arrived.peer, arrived.from, error);
    }
  }

  /** Until an answer is there, or a check done, or the peer with the range that all others wait for has had its time. */
  async #await(): Promise<void> {
    const over = this.#wait(HEDGE_MS);
    await Promise.race([...this.#flights.keys(), ...this.#checks, over.done]);
    over.end();
    this.#steps.stoodStill();
  }

  /** A while, which ends early when the signal says stop, or by `end`. */
  #wait(ms: number): { readonly done: Promise<void>; readonly end: () => void } {
    const { clock, signal } = this.#modules;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(ms, () => {
      end();
    });
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    signal.addEventListener('abort', end);
    return { done: promise, end };
  }

  /** Hands a range to the engine. */
  async #take(arrived: Arrived<T>): Promise<void> {
    const steps = this.#steps;
    const { peer } = arrived;
    const before = steps.height();
    const fault = await steps.import(arrived.linked);
    const height = steps.height();
    if (height > before) steps.came(height - before);
    if (fault !== null) this.#failed(peer, height + 1, fault);
    else steps.delivered(peer, height > before || height >= endOf(arrived));
  }

  /** Nothing of a liar is of use, so far as no check of it is under way: others are asked for it. */
  #failed(peer: PeerId, at: number, error: NodeError): void {
    if (!this.#steps.failed(peer, at, error)) return;
    for (const { from, peer: sender, step } of [...this.#arrived.values()]) {
      if (sender === peer && step !== 'in work') this.#arrived.delete(from);
    }
  }
}
