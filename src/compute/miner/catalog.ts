/** What this miner can do now, and for how much: what its back ends have and its operator put a price on. */
import type { OfferedModel } from '../../chain/market/offer.ts';
import { MAX_OFFER_TAGS, MAX_OFFERED_MODELS } from '../../chain/market/offer.ts';
import { MAX_KIND, MAX_MODEL } from '../../chain/market/job.ts';
import type { Price } from '../../chain/market/price.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { Capability } from '../executors/executor.ts';
import type { Monitor } from './monitor.ts';
import type { MinerExecutors } from './ports.ts';
import type { Prices } from './prices.ts';
import { priceOf } from './prices.ts';

/** A tick is what a model gives in a second, within these bounds. */
const LEAST_TICK_BYTES = 1024;
const MOST_TICK_BYTES = 64 * 1024;
const MAX_TAG = 24;

export interface Ware {
  readonly capability: Capability;
  readonly price: Price;
}

export class Catalog {
  readonly #executors: MinerExecutors;
  readonly #prices: Prices;
  readonly #monitor: Monitor;
  #wares: readonly Ware[] = [];

  constructor(executors: MinerExecutors, prices: Prices, monitor: Monitor) {
    this.#executors = executors;
    this.#prices = prices;
    this.#monitor = monitor;
  }

  get wares(): readonly Ware[] {
    return this.#wares;
  }

  /** Asks the back ends. @throws NodeError */
  async probe(signal: AbortSignal): Promise<void> {
    const found = await this.#executors.probe(signal);
    this.#wares = found
      .filter(({ kind, model }) => isName(kind, MAX_KIND) && isName(model, MAX_MODEL))
      .flatMap((capability) => {
        const price = priceOf(this.#prices, capability.kind, capability.model);
        return price ? [{ capability, price }] : [];
      })
      .slice(0, MAX_OFFERED_MODELS);
  }

  /** @param model empty: any, one that is loaded before others */
  find(kind: string, model: string): Ware | null {
    const fitting = this.#wares.filter(({ capability }) => capability.kind === kind);
    if (model !== '') return fitting.find(({ capability }) => capability.model === model) ?? null;
    return fitting.find(({ capability }) => capability.warm) ?? fitting[0] ?? null;
  }

  /** How far credit runs ahead; for what does not stream: all its output. */
  tickUait({ capability, price }: Ware, maxOutputBytes: number): number {
    const { bytesPerSecond } = this.#monitor.speed(capability.kind, capability.model);
    const second = Math.min(MOST_TICK_BYTES, Math.max(LEAST_TICK_BYTES, Math.ceil(bytesPerSecond)));
    const bytes = capability.streams ? Math.min(second, maxOutputBytes) : maxOutputBytes;
    return dueUait({ ...price, fixedUait: 0 }, 0, bytes);
  }

  offered(): OfferedModel[] {
    return this.#wares.map(({ capability, price }) => {
      const { kind, model, digest, contextTokens, streams, deterministic, warm, tags } = capability;
      return {
        ...{ kind, model, digest, streams, deterministic, warm, price },
        contextTokens: contextTokens ?? 0,
        bytesPerSecond: Math.round(this.#monitor.speed(kind, model).bytesPerSecond),
        tags: tags.filter((tag) => isName(tag, MAX_TAG)).slice(0, MAX_OFFER_TAGS),
      };
    });
  }
}

function isName(text: string, most: number): boolean {
  return text.length <= most && /^[\x21-\x7e]+$/.test(text);
}
