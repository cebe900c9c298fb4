/** Tells the network what this miner offers: every half minute, and soon after it changed or a peer came. */
import type { Signer } from '../../chain/crypto/types.ts';
import type { Offer, SignedOffer } from '../../chain/market/offer.ts';
import { MAX_OFFER_ADDRESSES, MAX_OFFER_GPUS, signOffer } from '../../chain/market/offer.ts';
import type { Clock } from '../../clock.ts';
import type { Catalog } from './catalog.ts';
import type { MinerChain, MinerNet } from './ports.ts';

const OFFER_MS = 30_000;
/** Each offer comes up to so much earlier, so that miners started together do not speak together. */
const JITTER = 0.2;
/** Least time between two. */
const LEAST_PAUSE_MS = 2_000;
/** From the coming of a peer to the offer for it. */
const GREET_MS = 500;
const TTL_MS = 120_000;

export interface OffersOptions {
  readonly name: string;
  readonly region: string;
  readonly gpus: readonly string[];
  readonly slots: number;
}

export interface OffersModules {
  readonly chain: MinerChain;
  readonly net: MinerNet;
  readonly catalog: Catalog;
  readonly signer: Signer;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  /** 0 while no work is taken. */
  readonly free: () => number;
  /** Whether there is a stake that makes an offer worth reading. */
  readonly mayOffer: () => boolean;
}

export class Offers {
  readonly #options: OffersOptions;
  readonly #modules: OffersModules;
  #cancel: (() => void) | null = null;
  #atMs = -Infinity;
  #dueMs = Infinity;
  #sequence = 0;
  #last: { readonly offer: SignedOffer; readonly text: string } | null = null;
  #isClosed = false;

  constructor(options: OffersOptions, modules: OffersModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** The last one told. */
  get last(): SignedOffer | null {
    return this.#last?.offer ?? null;
  }

  /** Something may have changed: told as soon as the least pause is over. */
  poke(): void {
    if (this.#last && this.#textNow() === this.#last.text) return;
    this.#planBy(Math.max(this.#modules.clock.monotonic(), this.#atMs + LEAST_PAUSE_MS));
  }

  /** Somebody came who has not heard the last one; by then what they subscribe to is known. */
  greet(): void {
    this.#planBy(Math.max(this.#modules.clock.monotonic() + GREET_MS, this.#atMs + LEAST_PAUSE_MS));
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #planBy(dueMs: number): void {
    if (this.#isClosed || dueMs >= this.#dueMs) return;
    this.#cancel?.();
    this.#dueMs = dueMs;
    this.#cancel = this.#modules.clock.after(Math.max(0, dueMs - this.#modules.clock.monotonic()), () => {
      this.#dueMs = Infinity;
      this.#tell();
    });
  }

  #tell(): void {
    const { clock, net, chain, signer, random, mayOffer } = this.#modules;
    this.#atMs = clock.monotonic();
    if (mayOffer()) {
      const text = this.#textNow();
      this.#sequence = Math.max(this.#sequence + 1, clock.now());
      const offer = signOffer(chain.context, signer, { ...this.#draft(), sequence: this.#sequence, ttlMs: TTL_MS });
      this.#last = { offer, text };
      net.announce(offer);
    }
    // What is missing may come without any word of it, such as a quorum.
    this.#planBy(this.#atMs + (mayOffer() ? OFFER_MS * (1 - JITTER * random()) : LEAST_PAUSE_MS));
  }

  #draft(): Omit<Offer, 'miner' | 'sequence' | 'ttlMs'> {
    const { net, catalog, free } = this.#modules;
    const { name, region, gpus, slots } = this.#options;
    const { peer, addresses } = net.place();
    return {
      ...{ name, peer, slots, region },
      addresses: addresses.slice(0, MAX_OFFER_ADDRESSES),
      free: Math.min(slots, free()),
      gpus: gpus.slice(0, MAX_OFFER_GPUS),
      models: catalog.offered(),
    };
  }

  /** What makes two offers differ for those who read them; rates drift with every job. */
  #textNow(): string {
    const { models, ...rest } = this.#draft();
    return JSON.stringify([
      rest,
      models.map(({ bytesPerSecond: _, digest, ...model }) => [model, digest?.join() ?? null]),
    ]);
  }
}
