/** The JSON of agreements, stakes and offers. */
import type { Address, Hash } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { Offer, SignedOffer } from '../chain/market/offer.ts';
import { encodeOffer, offerHash } from '../chain/market/offer.ts';
import { getAgreement, heldInAgreement } from '../chain/modules/compute/agreement.ts';
import { getStake } from '../chain/modules/compute/stake.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { StateReader } from '../chain/state.ts';

const MAX_DATE_MS = 8_640_000_000_000_000;

/** @returns null when the state has no such agreement: it was never opened, or closed long ago */
export function agreementView(state: StateReader, id: Hash, height: number) {
  const agreement = getAgreement(state, id);
  if (!agreement) return null;
  const { state: now } = agreement;
  return {
    agreement: toHex(id),
    state: now.name,
    client: formatAddress(agreement.client),
    signer: toHex(agreement.signer),
    miner: formatAddress(agreement.miner),
    cap_uait: String(agreement.capUait),
    paid_uait: String(agreement.paidUait),
    held_uait: String(heldInAgreement(agreement)),
    refunded_uait: String(now.name === 'closed' ? now.refundedUait : 0),
    expires_at: timeText(agreement.expiresAtMs),
    closing_since: now.name === 'closing' ? { height: now.sinceHeight, time: timeText(now.sinceMs) } : null,
    closed: now.name === 'closed' ? { height: now.atHeight, time: timeText(now.atMs) } : null,
    receipts_root: agreement.receiptsRoot.some((byte) => byte !== 0) ? toHex(agreement.receiptsRoot) : null,
    height,
  };
}

/** Who never staked has nothing at stake. */
export function stakeView(state: StateReader, miner: Address, height: number) {
  const { stakedUait, coolingUait, coolsUntilMs } = getStake(state, miner);
  return {
    address: formatAddress(miner),
    staked_uait: String(stakedUait),
    cooling_uait: String(coolingUait),
    cools_until: coolingUait === 0 ? null : timeText(coolsUntilMs),
    height,
  };
}

/** In the shape of the replaced system, with what there is besides, and the signed offer itself. */
export function offerView(hasher: Hasher, chain: ChainContext, signed: SignedOffer) {
  const { offer } = signed;
  return {
    id: toHex(offerHash(hasher, chain, offer)),
    provider: formatAddress(addressOf(hasher, offer.miner)),
    capacity: offer.free,
    price: leastPrice(offer) ?? 0,
    sla: null,
    status: offer.free > 0 ? ('open' as const) : ('reserved' as const),
    created_at: timeText(offer.sequence),
    gpu_model: offer.gpus[0] ?? null,
    gpu_memory_gb: null,
    gpu_count: offer.gpus.length,
    cuda_version: null,
    price_per_hour: null,
    region: offer.region,
    attributes: null,
    ...offered(offer),
    offer: toHex(encodeOffer(signed)),
  };
}

export function minerView(hasher: Hasher, state: StateReader, { offer }: SignedOffer) {
  const address = addressOf(hasher, offer.miner);
  return {
    address: formatAddress(address),
    ...offered(offer),
    region: offer.region,
    gpus: offer.gpus,
    staked_uait: String(getStake(state, address).stakedUait),
    offered_at: timeText(offer.sequence),
  };
}

/** Of 1,024 bytes of output, by the cheapest model of each offer. */
export function marketStats(offers: readonly SignedOffer[]) {
  const prices = offers.flatMap(({ offer }) => leastPrice(offer) ?? []);
  const sum = (of: (offer: Offer) => number): number => offers.reduce((total, { offer }) => total + of(offer), 0);
  return {
    totalOffers: offers.length,
    openCapacity: sum(({ free }) => free),
    averagePrice: prices.length === 0 ? 0 : prices.reduce((total, price) => total + price, 0) / prices.length,
    activeBids: 0,
    slots: sum(({ slots }) => slots),
    models: new Set(offers.flatMap(({ offer }) => offer.models.map(({ kind, model }) => `${kind} ${model}`))).size,
  };
}

function offered({ name, peer, addresses, slots, free, models, sequence, ttlMs }: Offer) {
  return {
    ...{ name, peer, addresses, slots, free },
    models: models.map(({ price, digest, contextTokens, bytesPerSecond, ...model }) => ({
      ...model,
      digest: digest && toHex(digest),
      context_tokens: contextTokens,
      fixed_uait: String(price.fixedUait),
      input_uait_per_kib: String(price.inputUaitPerKib),
      output_uait_per_kib: String(price.outputUaitPerKib),
      bytes_per_second: bytesPerSecond,
    })),
    expires_at: timeText(sequence + ttlMs),
  };
}

function leastPrice({ models }: Offer): number | null {
  const prices = models.map(({ price }) => price.outputUaitPerKib);
  return prices.length === 0 ? null : Math.min(...prices);
}

/** What is no time of a calendar, the latest one: others sign it. */
function timeText(timeMs: number): string {
  return new Date(Math.min(timeMs, MAX_DATE_MS)).toISOString();
}
