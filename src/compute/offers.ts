/** What miners offer, as gossip brings it: signed, staked, current, the newest of each miner. */
import type { Address } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import { addressOf } from '../chain/address.ts';
import type { BatchVerifier, Hasher } from '../chain/crypto/types.ts';
import type { Offer, SignedOffer } from '../chain/market/offer.ts';
import { offerCheck } from '../chain/market/offer.ts';
import { getComputeParams } from '../chain/modules/compute/params.ts';
import { getStake } from '../chain/modules/compute/stake.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { StateReader } from '../chain/state.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Gauge, MetricsRegister } from '../metrics.ts';
import type { AddressScope } from '../../protocols/network.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';

/** Beyond, only who has more at stake than the least of them comes in, in its place. */
export const MAX_OFFERS = 1_024;
/** A newer offer of the same miner must be newer by so much. */
export const MIN_OFFER_MS = 1_000;
/** How far a miner's clock may be ahead. */
export const MAX_AHEAD_MS = 10_000;
/** How often offers that have run out, or whose stake is gone, are dropped. */
const SWEEP_MS = 5_000;

export interface OfferModules {
  readonly chain: ChainContext;
  readonly hasher: Hasher;
  readonly verifier: BatchVerifier;
  /** Of the head. */
  readonly state: () => StateReader;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
}

interface Held {
  readonly signed: SignedOffer;
  readonly miner: Address;
  readonly toldIn: AddressScope;
}

export class OffersIndex {
  readonly #modules: OfferModules;
  /** By the miner's key. */
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Set<() => void>();
  readonly #gauge: Gauge;
  #stopSweep: (() => void) | null = null;

  constructor(modules: OfferModules) {
    this.#modules = modules;
    this.#gauge = modules.metrics.gauge({
      name: 'aitbc_market_offers',
      help: 'Current offers of miners',
      labelNames: ['chain'],
    });
  }

  list(): readonly SignedOffer[] {
    const nowMs = this.#modules.clock.now();
    return [...this.#held.values()].flatMap(({ signed }) => (isOver(signed.offer, nowMs) ? [] : [signed]));
  }

  ofMiner(address: Address): SignedOffer | undefined {
    const key = bytesKey(address);
    return this.list().find(({ offer }) => bytesKey(this.#address(offer)) === key);
  }

  /** Where the addresses of the offer were told. */
  toldIn(offer: Offer): AddressScope {
    return this.#held.get(bytesKey(offer.miner))?.toldIn ?? 'public';
  }

  /** @returns ends it */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Checks what costs little before the signature. */
  async add(signed: SignedOffer, toldIn: AddressScope): Promise<GossipCode> {
    const { chain, verifier } = this.#modules;
    const early = this.#consider(signed.offer);
    if (early !== 'OK') return early;
    const [isSigned] = await verifier.verifyBatch([offerCheck(chain, signed)]);
    if (isSigned !== true) return 'BAD_SIGNATURE';
    // Another one may have come meanwhile.
    const late = this.#consider(signed.offer);
    if (late !== 'OK') return late;
    if (!this.#makeRoom(signed.offer)) return 'REFUSED';
    this.#held.set(bytesKey(signed.offer.miner), { signed, miner: this.#address(signed.offer), toldIn });
    this.#stopSweep ??= every(this.#modules.clock, SWEEP_MS, () => {
      this.#sweep();
    });
    this.#changed();
    return 'OK';
  }

  stop(): void {
    this.#stopSweep?.();
    this.#stopSweep = null;
    this.#listeners.clear();
  }

  #consider(offer: Offer): GossipCode {
    const nowMs = this.#modules.clock.now();
    if (offer.sequence > nowMs + MAX_AHEAD_MS) return 'FUTURE';
    if (isOver(offer, nowMs)) return 'STALE';
    const known = this.#held.get(bytesKey(offer.miner))?.signed.offer;
    if (known && offer.sequence === known.sequence) return 'DUPLICATE';
    if (known && offer.sequence < known.sequence + MIN_OFFER_MS) return 'STALE';
    return this.#isStaked(this.#address(offer)) ? 'OK' : 'UNKNOWN_SIGNER';
  }

  #makeRoom(offer: Offer): boolean {
    if (this.#held.size < MAX_OFFERS || this.#held.has(bytesKey(offer.miner))) return true;
    this.#sweep();
    if (this.#held.size < MAX_OFFERS) return true;
    let least: { readonly key: string; readonly stake: number } | null = null;
    for (const [key, { miner }] of this.#held) {
      const stake = this.#stake(miner);
      if (!least || stake < least.stake) least = { key, stake };
    }
    if (!least || this.#stake(this.#address(offer)) <= least.stake) return false;
    this.#held.delete(least.key);
    return true;
  }

  #sweep(): void {
    const nowMs = this.#modules.clock.now();
    const before = this.#held.size;
    for (const [key, { signed, miner }] of this.#held) {
      if (isOver(signed.offer, nowMs) || !this.#isStaked(miner)) this.#held.delete(key);
    }
    if (this.#held.size === 0) {
      this.#stopSweep?.();
      this.#stopSweep = null;
    }
    if (this.#held.size !== before) this.#changed();
  }

  #changed(): void {
    this.#gauge.set(this.#held.size, { chain: this.#modules.chain.chainId });
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#modules.log.error('a listener failed', { topic: 'offers', error });
      }
    }
  }

  #isStaked(miner: Address): boolean {
    const stake = this.#stake(miner);
    return stake > 0 && stake >= getComputeParams(this.#modules.state()).minStakeUait;
  }

  #stake(miner: Address): number {
    return getStake(this.#modules.state(), miner).stakedUait;
  }

  #address({ miner }: Offer): Address {
    return addressOf(this.#modules.hasher, miner);
  }
}

function isOver({ sequence, ttlMs }: Offer, nowMs: number): boolean {
  return sequence + ttlMs <= nowMs;
}
