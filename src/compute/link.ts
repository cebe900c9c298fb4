/** The market of one chain as a node is part of it: what miners offer, and the way to them, its own miner included. */
import type { SignedOffer } from '../chain/market/offer.ts';
import type { SignedQuote, SignedQuoteRequest } from '../chain/market/quote.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import type { PeerId } from '../../protocols/network.ts';
import type { Miners } from './coordinator/ports.ts';

/** The miner of this node as clients reach it; `from` is this node's own id for those of the node itself. */
export interface MinerDoor {
  /** @throws NodeError with the reason of a refusal */
  quote(request: SignedQuoteRequest, from: PeerId): Promise<SignedQuote>;
  /** Serves a stream until it is over. */
  work(stream: WorkStream, from: PeerId): Promise<void>;
}

export interface MarketLink extends Miners {
  /** Lets clients reach the miner of this node. @returns ends it */
  attach(door: MinerDoor): Promise<() => Promise<void>>;
  /** Tells the network, and the clients of this node, what its miner offers. */
  announce(offer: SignedOffer): void;
}
