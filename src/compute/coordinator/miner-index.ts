/**
 * Miners by what they can do, kept up to date as offers come and slots fill, so that a match looks at a few of those who
 * could take the job now and never at all of them.
 */
import { bytesKey } from '../../bytes.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import { addressOf } from '../../chain/address.ts';
import type { Offer, OfferedModel, SignedOffer } from '../../chain/market/offer.ts';

export interface KnownMiner {
  readonly key: string;
  readonly address: Uint8Array;
  offer: Offer;
  /** Attempts and matches of this coordinator with it. */
  inFlight: number;
  /** Not asked before that; monotonic. */
  blockedUntilMs: number;
  /** null: not asked yet. */
  stakedUait: number | null;
  stakeAtMs: number;
  /** Time in the last request for a quote: two that say the same would be one. */
  askedAtMs: number;
  /** By class, where it stands in the pool of those that are available. */
  readonly places: Map<string, number>;
  isGone: boolean;
}

export function classOf(kind: string, model: string): string {
  return `${kind}\0${model}`;
}

export class MinerIndex {
  readonly #hasher: Hasher;
  readonly #max: number;
  readonly #now: () => number;
  readonly #onAvailable: (classKey: string) => void;
  readonly #miners = new Map<string, KnownMiner>();
  readonly #pools = new Map<string, KnownMiner[]>();
  /** How many offer a class, available or not. */
  readonly #offering = new Map<string, number>();

  constructor(options: {
    readonly hasher: Hasher;
    readonly maxMiners: number;
    readonly nowMs: () => number;
    readonly onAvailable: (classKey: string) => void;
  }) {
    this.#hasher = options.hasher;
    this.#max = options.maxMiners;
    this.#now = options.nowMs;
    this.#onAvailable = options.onAvailable;
  }

  get size(): number {
    return this.#miners.size;
  }

  miner(key: string): KnownMiner | undefined {
    return this.#miners.get(key);
  }

  offering(classKey: string): number {
    return this.#offering.get(classKey) ?? 0;
  }

  available(classKey: string): number {
    return this.#pools.get(classKey)?.length ?? 0;
  }

  /** Takes over what is offered now: those that are not there any more are gone. */
  update(offers: readonly SignedOffer[]): void {
    const there = new Set<string>();
    for (const { offer } of offers.slice(0, this.#max)) {
      const key = bytesKey(offer.miner);
      there.add(key);
      const known = this.#miners.get(key);
      if (known === undefined) this.#add(key, offer);
      else if (known.offer.sequence !== offer.sequence) this.#replace(known, offer);
    }
    for (const miner of this.#miners.values()) if (!there.has(miner.key)) this.#remove(miner);
  }

  /** Up to `count` of those available, all when there are no more. */
  sample(classKey: string, count: number, next: () => number): readonly KnownMiner[] {
    const pool = this.#pools.get(classKey) ?? [];
    if (pool.length <= count) return pool.slice();
    const picked = new Set<KnownMiner>();
    while (picked.size < count) {
      const miner = pool[Math.floor(next() * pool.length)];
      if (miner !== undefined) picked.add(miner);
    }
    return [...picked];
  }

  /** After a change of its slots or its block. */
  refresh(miner: KnownMiner): void {
    if (miner.isGone) return;
    const isAvailable = miner.inFlight < Math.max(1, miner.offer.slots) && miner.blockedUntilMs <= this.#now();
    if (isAvailable === miner.places.size > 0) return;
    for (const classKey of classesOf(miner.offer)) {
      if (isAvailable) this.#enter(miner, classKey);
      else this.#leave(miner, classKey);
    }
  }

  #add(key: string, offer: Offer): void {
    const miner: KnownMiner = {
      key,
      address: addressOf(this.#hasher, offer.miner),
      offer,
      inFlight: 0,
      blockedUntilMs: 0,
      stakedUait: null,
      stakeAtMs: 0,
      askedAtMs: 0,
      places: new Map(),
      isGone: false,
    };
    this.#miners.set(key, miner);
    this.#count(offer, 1);
    this.refresh(miner);
  }

  #replace(miner: KnownMiner, offer: Offer): void {
    for (const classKey of [...miner.places.keys()]) this.#leave(miner, classKey);
    this.#count(miner.offer, -1);
    miner.offer = offer;
    this.#count(offer, 1);
    this.refresh(miner);
  }

  #remove(miner: KnownMiner): void {
    for (const classKey of [...miner.places.keys()]) this.#leave(miner, classKey);
    this.#count(miner.offer, -1);
    this.#miners.delete(miner.key);
    miner.isGone = true;
  }

  #count(offer: Offer, by: number): void {
    for (const classKey of classesOf(offer)) {
      const count = (this.#offering.get(classKey) ?? 0) + by;
      if (count === 0) this.#offering.delete(classKey);
      else this.#offering.set(classKey, count);
    }
  }

  #enter(miner: KnownMiner, classKey: string): void {
    const pool = this.#pools.get(classKey) ?? [];
    this.#pools.set(classKey, pool);
    miner.places.set(classKey, pool.length);
    pool.push(miner);
    this.#onAvailable(classKey);
  }

  #leave(miner: KnownMiner, classKey: string): void {
    const pool = this.#pools.get(classKey);
    const place = miner.places.get(classKey);
    if (pool === undefined || place === undefined) return;
    miner.places.delete(classKey);
    const last = pool.pop();
    if (last !== undefined && last !== miner) {
      pool[place] = last;
      last.places.set(classKey, place);
    }
    if (pool.length === 0) this.#pools.delete(classKey);
  }
}

/** A miner without slots offers nothing. */
function classesOf(offer: Offer): Set<string> {
  const classes = new Set<string>();
  if (offer.slots === 0) return classes;
  for (const { kind, model } of offer.models) classes.add(classOf(kind, '')).add(classOf(kind, model));
  return classes;
}

/** The cheapest of its models that does it. */
export function modelFor(offer: Offer, kind: string, model: string): OfferedModel | undefined {
  let best: OfferedModel | undefined;
  for (const offered of offer.models) {
    if (offered.kind !== kind || (model !== '' && offered.model !== model)) continue;
    if (best === undefined || unitUait(offered) < unitUait(best)) best = offered;
  }
  return best;
}

function unitUait({ price }: OfferedModel): number {
  return price.fixedUait + price.inputUaitPerKib + price.outputUaitPerKib;
}
