/**
 * Miners for a coordinator that is no peer, over a node: offers are polled and their signatures checked here; quotes and
 * work streams go through the node, which can withhold them, but neither read nor change them.
 */
import { bytesKey, fromHex } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import type { Offer, SignedOffer } from '../chain/market/offer.ts';
import { decodeOffer, offerCheck } from '../chain/market/offer.ts';
import { MAX_QUOTE_BYTES } from '../chain/market/quote.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Miners } from '../compute/coordinator/ports.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Client } from './client.ts';
import { queryText } from './client.ts';
import type { OfferResponse } from './market-types.ts';
import { openRelayStream } from './relay-stream.ts';

const POLL_MS = 10_000;
/** Pages of 100; what a node lists beyond is not looked at. */
const MAX_PAGES = 11;

export interface RelayOptions {
  /** Of the node, for the chain that is meant. */
  readonly client: Client;
  /** The chain whose signatures count, by what the caller trusts. */
  readonly chain: ChainContext;
  readonly crypto: Crypto;
  /** The one of the client, for nodes that ask for one. */
  readonly apiKey?: string;
  readonly pollMs?: number;
}

export interface RelayMiners extends Miners {
  /** Asks for the offers now. @throws NodeError of the node */
  refresh(): Promise<void>;
  close(): void;
}

/** Resolves with the first offers. @throws NodeError of the node */
export async function connectRelay(options: RelayOptions): Promise<RelayMiners> {
  const relay = new Relay(options);
  await relay.refresh();
  relay.start();
  return relay;
}

class Relay implements RelayMiners {
  readonly #options: RelayOptions;
  /** By the bytes in hex, so that a signature is checked once. */
  #known = new Map<string, SignedOffer | null>();
  readonly #listeners = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | null = null;
  #refreshing: Promise<void> | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => {
      // The next turn asks again; what is known stays until it has run out.
      this.refresh().catch(() => undefined);
    }, this.#options.pollMs ?? POLL_MS);
  }

  offers(): readonly SignedOffer[] {
    const nowMs = Date.now();
    const newest = new Map<string, SignedOffer>();
    for (const signed of this.#known.values()) {
      if (!signed || signed.offer.sequence + signed.offer.ttlMs <= nowMs) continue;
      const key = bytesKey(signed.offer.miner);
      if ((newest.get(key)?.offer.sequence ?? -1) < signed.offer.sequence) newest.set(key, signed);
    }
    return [...newest.values()];
  }

  onOffers(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async quote(offer: Offer, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { quote } = await this.#options.client.quote(this.#address(offer), request, signal);
    if (typeof quote === 'string' && quote.length <= 2 * MAX_QUOTE_BYTES) return fromHex(quote);
    throw new NodeError('PEER_PROTOCOL', 'the node answered with no quote');
  }

  open(offer: Offer, signal: AbortSignal): ReturnType<Miners['open']> {
    const { client, chain, apiKey } = this.#options;
    const query = queryText({ miner: this.#address(offer), chain_id: chain.chainId });
    return openRelayStream(`${client.url.replace(/^http/, 'ws')}/v1/market/work${query}`, apiKey, signal);
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#listeners.clear();
  }

  async #fetch(): Promise<void> {
    const found = new Map<string, SignedOffer | null>();
    let after: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const listed = await this.#options.client.offers(after === undefined ? {} : { after });
      if (!Array.isArray(listed)) throw new NodeError('PEER_PROTOCOL', 'the node answered with no list of offers');
      for (const { offer } of listed as readonly OfferResponse[]) found.set(offer, this.#checked(offer));
      after = (listed as readonly OfferResponse[]).at(-1)?.provider;
      if (listed.length < 100 || after === undefined) break;
    }
    const isNew = found.size !== this.#known.size || [...found.keys()].some((hex) => !this.#known.has(hex));
    this.#known = found;
    if (isNew) for (const listener of this.#listeners) listener();
  }

  /** Null for what is none, or not signed for this chain. */
  #checked(hex: string): SignedOffer | null {
    const known = this.#known.get(hex);
    if (known !== undefined) return known;
    const { chain, crypto } = this.#options;
    try {
      const signed = decodeOffer(fromHex(hex));
      const { message, signature, publicKey } = offerCheck(chain, signed);
      return crypto.verify(message, signature, publicKey) ? signed : null;
    } catch (error) {
      if (isNodeError(error)) return null;
      throw error;
    }
  }

  #address({ miner }: Offer): string {
    return formatAddress(addressOf(this.#options.crypto, miner));
  }
}
