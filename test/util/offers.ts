/** Offers, quote requests and quotes that are signed as they should be. */
import type { Signer } from '../../src/chain/crypto/types.ts';
import type { Offer, OfferedModel, SignedOffer } from '../../src/chain/market/offer.ts';
import { signOffer } from '../../src/chain/market/offer.ts';
import type { SignedQuote, SignedQuoteRequest } from '../../src/chain/market/quote.ts';
import { quoteRequestHash, signQuote, signQuoteRequest } from '../../src/chain/market/quote.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { addressOf } from '../../src/chain/address.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';

const PRICE = { fixedUait: 100, inputUaitPerKib: 10, outputUaitPerKib: 20 };

const demoModel: OfferedModel = {
  ...{ kind: 'llm.chat', model: 'demo', digest: null, contextTokens: 2048 },
  ...{ streams: true, deterministic: false, warm: true, price: PRICE, bytesPerSecond: 400, tags: ['demo'] },
};

export function makeOffer(chain: ChainContext, miner: Signer, fields: Partial<Omit<Offer, 'miner'>> = {}): SignedOffer {
  return signOffer(chain, miner, {
    ...{ name: 'm1', peer: '12D3KooMiner', addresses: [], sequence: Date.now(), ttlMs: 60_000, slots: 2, free: 1 },
    ...{ region: 'eu', gpus: [], models: [demoModel] },
    ...fields,
  });
}

export function makeQuoteRequest(chain: ChainContext, client: Signer, model = 'demo'): SignedQuoteRequest {
  return signQuoteRequest(chain, client, {
    ...{ client: addressOf(nativeCrypto, client.publicKey), agreement: null, kind: 'llm.chat', model },
    ...{ inputBytes: 100, maxOutputBytes: 1000, maxPriceUait: 10_000, atMs: 1_000_000 },
  });
}

export function makeQuote(chain: ChainContext, miner: Signer, { request }: SignedQuoteRequest): SignedQuote {
  return signQuote(chain, miner, {
    ...{ request: quoteRequestHash(nativeCrypto, chain, request), kind: request.kind, model: request.model },
    ...{ modelDigest: null, price: PRICE, tickUait: 50, sealKey: new Uint8Array(32).fill(9), firstMs: 10 },
    ...{ validUntilMs: 1_060_000, validUntilHeight: 50 },
  });
}
