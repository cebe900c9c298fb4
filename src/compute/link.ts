/** The market of one chain as a node is part of it: what miners offer, and the way to them, its own miner included. */
import type { Hasher } from '../chain/crypto/types.ts';
import { encodeLeafList } from '../chain/market/blob.ts';
import type { Offer, SignedOffer } from '../chain/market/offer.ts';
import type { SignedQuote, SignedQuoteRequest } from '../chain/market/quote.ts';
import { decodeQuoteRequest, encodeQuote } from '../chain/market/quote.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import type { BlobRequest } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { BlobShelf } from './blobs/shelf.ts';
import { memoryShelf } from './blobs/shelf.ts';
import type { Miners, MinerStream } from './coordinator/ports.ts';
import type { OfferModules } from './offers.ts';
import { OffersIndex } from './offers.ts';
import { OwnQuotas } from './own-quotas.ts';
import { workStreamPair } from './stream-pair.ts';

/** How often blobs that nobody needs are looked for. */
const SWEEP_MS = 60_000;

/** The miner of this node as clients reach it; `from` is this node's own id for those of the node itself. */
export interface MinerDoor {
  /** @throws NodeError with the reason of a refusal */
  quote(request: SignedQuoteRequest, from: PeerId): Promise<SignedQuote>;
  /** Serves a stream until it is over. */
  work(stream: WorkStream, from: PeerId): Promise<void>;
  /** A peer came, who may not know what is offered. */
  greet(): void;
}

interface LinkModules {
  readonly index: OffersIndex;
  /** Of the clients of this node, and of its miner. */
  readonly blobs: BlobShelf;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Over the offers that it hears of. @param blobs swept from time to time; absent: in memory, and as it is */
export function createMarketLink({
  crypto,
  blobs,
  ...modules
}: Omit<OfferModules, 'hasher'> & { readonly crypto: Hasher; readonly blobs?: BlobShelf }): MarketLink {
  const index = new OffersIndex({ ...modules, hasher: crypto });
  const link = new MarketLink({ ...modules, index, blobs: blobs ?? memoryShelf(crypto, modules.clock) });
  if (blobs) link.sweepBlobs();
  return link;
}

export class MarketLink implements Miners {
  readonly index: OffersIndex;
  readonly blobs: BlobShelf;
  #endSweep: () => void = () => undefined;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #quotas: OwnQuotas;
  #network: ChainNetwork | null = null;
  #door: MinerDoor | null = null;

  constructor({ index, blobs, clock, log }: LinkModules) {
    this.index = index;
    this.blobs = blobs;
    this.#clock = clock;
    this.#log = log;
    this.#quotas = new OwnQuotas(clock);
  }

  async connect(network: ChainNetwork): Promise<void> {
    this.#network = network;
    await this.#serve();
  }

  /** Until it is stopped. */
  sweepBlobs(): void {
    this.#endSweep = every(this.#clock, SWEEP_MS, () => {
      this.blobs.sweep().catch((error: unknown) => {
        this.#log.warn('blobs that nobody needs any more were not removed', { error });
      });
    });
  }

  stop(): void {
    this.#network = null;
    this.#endSweep();
    this.index.stop();
  }

  // The node's own miner

  /** Lets clients reach the miner of this node. @returns ends it @throws NodeError CONFLICT when there is one */
  async attach(door: MinerDoor): Promise<() => Promise<void>> {
    if (this.#door) throw new NodeError('CONFLICT', 'this chain has a miner on this node already');
    this.#door = door;
    await this.#serve();
    return async () => {
      if (this.#door !== door) return;
      this.#door = null;
      await this.#serve();
    };
  }

  /** Tells the network, and the clients of this node, what its miner offers. @returns what this node finds of it */
  async announce(signed: SignedOffer): Promise<GossipCode> {
    const code = await this.index.add(signed, 'loopback');
    if (code === 'OK') this.#network?.publish('offer', signed);
    return code;
  }

  /** A peer came: it may not know of the miner of this node. */
  greet(): void {
    this.#door?.greet();
  }

  // What peers send

  async onOffer(signed: SignedOffer, from: PeerId): Promise<GossipCode> {
    return this.index.add(signed, this.#network?.scopeOf(from) ?? 'public');
  }

  /** @throws NodeError METHOD_DISABLED without a miner; the miner's own */
  async onQuote(request: SignedQuoteRequest, from: PeerId): Promise<SignedQuote> {
    if (!this.#door) throw new NodeError('METHOD_DISABLED', 'this node has no miner on this chain');
    return this.#door.quote(request, from);
  }

  /** @throws NodeError NOT_FOUND | STORAGE */
  async onBlob({ root, part }: BlobRequest): Promise<Uint8Array> {
    if (part > 0) return this.blobs.leaf(root, part - 1);
    const list = this.blobs.list(root);
    if (!list) throw new NodeError('NOT_FOUND', 'no such blob is here');
    return encodeLeafList(list);
  }

  /** Of this node's own clients too. @throws NodeError of the peer or of the way to it */
  async blobPart(peer: PeerId, request: BlobRequest, signal: AbortSignal): Promise<Uint8Array> {
    const network = this.#running();
    return peer === network.self ? this.onBlob(request) : network.request(peer, 'blob', request, signal);
  }

  /** A peer gave what no honest node does. */
  reportLie(peer: PeerId, reason: string): void {
    if (this.#network && peer !== this.#network.self) this.#network.report(peer, 'lie', reason);
  }

  // The way to miners

  offers(): readonly SignedOffer[] {
    return this.index.list();
  }

  onOffers(listener: () => void): () => void {
    return this.index.onChange(listener);
  }

  async quote(offer: Offer, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const network = this.#running();
    const asked = decodeQuoteRequest(request);
    if (offer.peer === network.self) return encodeQuote(await this.onQuote(asked, network.self));
    this.#quotas.take(offer.peer, 'quotes');
    await this.#reach(network, offer, signal);
    return encodeQuote(await network.request(offer.peer, 'quote', asked, signal));
  }

  async open(offer: Offer, signal: AbortSignal): Promise<MinerStream> {
    const network = this.#running();
    if (offer.peer === network.self) return this.#openOwn(network.self);
    this.#quotas.take(offer.peer, 'work streams');
    await this.#reach(network, offer, signal);
    return network.openWork(offer.peer, signal);
  }

  #openOwn(self: PeerId): WorkStream {
    const door = this.#door;
    if (!door) throw new NodeError('UNREACHABLE', 'this node has no miner on this chain any more');
    const [client, miner] = workStreamPair(this.#clock);
    void this.#work(door, miner, self);
    return client;
  }

  async #work(door: MinerDoor, stream: WorkStream, from: PeerId): Promise<void> {
    try {
      await door.work(stream, from);
    } catch (error) {
      this.#log.warn('serving a work stream of this node failed', { error });
    } finally {
      stream.close();
    }
  }

  async #reach(network: ChainNetwork, offer: Offer, signal: AbortSignal): Promise<void> {
    if (network.peers().includes(offer.peer)) return;
    await network.connect(offer.peer, offer.addresses, this.index.toldIn(offer), signal);
  }

  async #serve(): Promise<void> {
    const door = this.#door;
    await this.#network?.serveWork(door && ((stream, from) => door.work(stream, from)));
  }

  #running(): ChainNetwork {
    if (!this.#network) throw new NodeError('UNREACHABLE', 'the chain is not connected to its network');
    return this.#network;
  }
}
