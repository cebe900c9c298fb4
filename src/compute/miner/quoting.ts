/** Answers requests for quotes: checks who asks and what for, and leaves the slot to the desk. */
import type { Address } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import { addressOf } from '../../chain/address.ts';
import type { BatchVerifier, Hasher, Signer } from '../../chain/crypto/types.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { Quote, SignedQuote, SignedQuoteRequest } from '../../chain/market/quote.ts';
import { quoteId, quoteRequestCheck, quoteRequestHash, signQuote } from '../../chain/market/quote.ts';
import type { Clock } from '../../clock.ts';
import type { Catalog, Ware } from './catalog.ts';
import { QUOTE_MS } from './desk.ts';
import type { MinerMetrics } from './metrics.ts';
import type { Monitor } from './monitor.ts';
import type { MinerChain } from './ports.ts';
import type { Refusal } from './refusal.ts';
import { refusal, refusalError } from './refusal.ts';
import type { SealKeys } from './seal-keys.ts';
import type { Slots } from './slots.ts';

/** An opening may be in a block within this part of the quote's time, if blocks come as fast as they may. */
const OPENING_SHARE = 2;
const LEAST_BLOCKS = 4;

export interface QuotingModules {
  readonly chain: MinerChain;
  readonly catalog: Catalog;
  readonly slots: Slots;
  readonly monitor: Monitor;
  readonly signer: Signer;
  readonly address: Address;
  readonly sealKeys: Pick<SealKeys, 'publicKey'>;
  readonly hasher: Hasher;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly metrics: MinerMetrics;
  /** Why no work is taken now. */
  readonly closed: () => Refusal | null;
}

export class Quoting {
  readonly #modules: QuotingModules;

  constructor(modules: QuotingModules) {
    this.#modules = modules;
  }

  /** @throws NodeError with the reason of a refusal */
  async quote(signed: SignedQuoteRequest): Promise<SignedQuote> {
    const { metrics } = this.#modules;
    const answer = await this.#answer(signed);
    metrics.quotes.inc({ result: 'quote' in answer ? 'given' : answer.code });
    if ('quote' in answer) return answer;
    throw refusalError(answer);
  }

  async #answer(signed: SignedQuoteRequest): Promise<SignedQuote | Refusal> {
    const { chain, verifier, slots, signer, hasher, clock, closed } = this.#modules;
    const { request } = signed;
    const early = closed() ?? this.#judgePayer(signed);
    if (early) return early;
    const [isGood] = await verifier.verifyBatch([quoteRequestCheck(chain.context, signed)]);
    if (isGood !== true) return refusal('BAD_SIGNATURE', 'the signature of the request does not verify');
    // What was true before the wait may not be any more.
    const late = closed() ?? this.#judgePayer(signed);
    if (late) return late;
    const ware = this.#modules.catalog.find(request.kind, request.model);
    if (!ware) return refusal('NO_MODEL', 'this miner does not offer that kind and model');
    if (dueUait(ware.price, request.inputBytes, 0) > request.maxPriceUait) {
      return refusal('PRICE', 'fixed price and input cost more than the request allows');
    }
    const requestId = quoteRequestHash(hasher, chain.context, request);
    const quote: Quote = this.#draft(signed, ware, requestId);
    const id = quoteId(hasher, chain.context, quote);
    const effect = slots.step({ type: 'request', requestId, request, quoteId: id, quote, nowMs: clock.now() });
    if (effect?.type === 'refuse') return effect.refusal;
    return signQuote(chain.context, signer, effect?.type === 'grant' ? effect.quote.quote : quote);
  }

  /** Slots are held for those who can pay only. */
  #judgePayer({ request, publicKey }: SignedQuoteRequest): Refusal | null {
    const { chain, hasher, address } = this.#modules;
    const { minCapUait, minStakeUait } = chain.terms();
    if (chain.stakedUait(address) < minStakeUait) return refusal('STAKE_LOW', 'this miner has too little at stake');
    if (request.agreement === null) {
      if (!equalBytes(addressOf(hasher, publicKey), request.client)) {
        return refusal('BAD_SIGNATURE', 'without an agreement the account that will pay signs the request');
      }
      if (chain.balanceUait(request.client) >= minCapUait) return null;
      return refusal('INSUFFICIENT_FUNDS', 'the balance of the account is below the least cap of an agreement');
    }
    const agreement = chain.agreement(request.agreement);
    const isTheirs =
      agreement &&
      agreement.state.name === 'open' &&
      equalBytes(agreement.client, request.client) &&
      equalBytes(agreement.signer, publicKey) &&
      equalBytes(agreement.miner, address);
    if (!isTheirs)
      return refusal('NOT_FUNDED', 'no open agreement of that client with this miner in a final block', 500);
    if (agreement.paidUait < agreement.capUait) return null;
    return refusal('NOT_FUNDED', 'all that the agreement holds is paid: top it up or open another one');
  }

  #draft({ request }: SignedQuoteRequest, ware: Ware, requestId: Uint8Array): Quote {
    const { chain, catalog, clock, signer, sealKeys, monitor } = this.#modules;
    const { kind, model, digest, warm } = ware.capability;
    const blocks = Math.floor(QUOTE_MS / OPENING_SHARE / chain.terms().minBlockIntervalMs);
    return {
      request: requestId,
      miner: signer.publicKey,
      ...{ kind, model, modelDigest: digest },
      price: ware.price,
      tickUait: catalog.tickUait(ware, request.maxOutputBytes),
      sealKey: sealKeys.publicKey,
      validUntilMs: clock.now() + QUOTE_MS,
      validUntilHeight: chain.head().height + Math.max(LEAST_BLOCKS, blocks),
      firstMs: monitor.firstMs(kind, model, warm),
    };
  }
}
