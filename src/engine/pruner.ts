/** Forgets old blocks in the background: a small step at a time, with pauses that leave the node to its work. */
import type { Clock } from '../clock.ts';
import { toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Counter, Gauge, MetricsRegister } from '../metrics.ts';
import type { ChainParams } from '../chain/params.ts';
import type { ChainStore } from '../store/types.ts';

/**
 * Blocks below the head that are always kept: a node that starts checks 64 links, and looks for own signatures that its
 * guard does not know in the certificates of 256.
 */
export const MIN_RETAINED_BLOCKS = 256;

/** A step takes at most one fifth of the time: it pauses four times as long as it worked, and at least so long. */
const PAUSE_FACTOR = 4;
const MIN_PAUSE_MS = 10;

/** @param wanted 0: all @returns how many blocks stay, head included; Infinity: all */
export function retainedBlocks(wanted: number, { evidenceMaxAgeBlocks }: ChainParams): number {
  return wanted === 0 ? Infinity : Math.max(wanted, evidenceMaxAgeBlocks, MIN_RETAINED_BLOCKS);
}

export interface PrunerModules {
  readonly store: ChainStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  /** Lowest height that something else needs, e.g. a snapshot that is served. */
  readonly neededFrom?: () => number;
}

export class Pruner {
  readonly #retained: number;
  readonly #modules: PrunerModules;
  readonly #base: Gauge;
  readonly #blocks: Counter;
  #running: Promise<void> | null = null;
  #stopped = false;
  #wake: () => void = () => undefined;

  /** @param retained blocks kept, head included; Infinity: all */
  constructor(retained: number, modules: PrunerModules) {
    this.#retained = retained;
    this.#modules = modules;
    const { metrics } = modules;
    this.#base = metrics.gauge({ name: 'aitbc_chain_base_height', help: 'Lowest height whose block is kept' });
    this.#blocks = metrics.counter({ name: 'aitbc_chain_pruned_blocks_total', help: 'Blocks deleted as too old' });
    this.#base.set(modules.store.base());
  }

  /** To be called after commits, and once at start: leftovers of a process that was killed are deleted too. */
  poke(): void {
    if (this.#stopped || this.#retained === Infinity || this.#running) return;
    this.#running = this.#run()
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#modules.log.error('pruning ended', { error: toNodeError(error) });
      })
      .finally(() => {
        this.#running = null;
      });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  #keepFrom(): number {
    const { store, neededFrom } = this.#modules;
    const height = store.head()?.height ?? 0;
    return Math.max(1, Math.min(height - this.#retained + 1, neededFrom?.() ?? Infinity));
  }

  async #run(): Promise<void> {
    const { store, clock } = this.#modules;
    for (let done = false; !done && !this.#stopped; ) {
      const startMs = clock.monotonic();
      const step = await store.prune(this.#keepFrom());
      done = step.done;
      this.#base.set(store.base());
      this.#blocks.inc({}, step.blocks);
      if (!done) await this.#pause(Math.max(MIN_PAUSE_MS, PAUSE_FACTOR * (clock.monotonic() - startMs)));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#modules.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
