/** Asking miners for their word, and what is taken for one. */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { Hasher, Signer } from '../../chain/crypto/types.ts';
import type { OfferedModel } from '../../chain/market/offer.ts';
import type { Price } from '../../chain/market/price.ts';
import { dueUait } from '../../chain/market/price.ts';
import type { Quote, QuoteRequest, SignedQuote } from '../../chain/market/quote.ts';
import { encodeQuoteRequest, quoteRequestHash, quoteRequestSignBytes } from '../../chain/market/quote.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { NodeError } from '../../errors.ts';
import { MAX_PIECE_BYTES } from '../../../protocols/market/work-frames.ts';
import type { Money } from './ports.ts';

/** A step of credit that pays a whole piece of output is small whatever share of the job it is. */
const SMALL_TICK_BYTES = MAX_PIECE_BYTES;
const LARGEST_TICK_SHARE = 0.25;
/** So many vouchers an attempt may take, each of them signed and kept. */
const MAX_TICKS = 8_192;

export interface QuoteTerms {
  readonly request: Hash;
  readonly miner: Uint8Array;
  readonly kind: string;
  readonly model: string;
  readonly offered: OfferedModel;
  readonly inputBytes: number;
  readonly maxOutputBytes: number;
  /** What is left of the job's maximum price. */
  readonly leftUait: number;
  /** Of an attempt that is not the first, half of the output asked for is enough. */
  readonly isRetry: boolean;
  readonly headHeight: number;
}

/** Signed by the agreement's session key, or by the account where none is open yet. */
export function signedRequest(
  { chain, hasher, money }: { readonly chain: ChainContext; readonly hasher: Hasher; readonly money: Money },
  request: QuoteRequest,
  session: Signer,
): { readonly encoded: Uint8Array; readonly hash: Hash } {
  const message = quoteRequestSignBytes(chain, request);
  const signed =
    request.agreement === null
      ? money.signAsAccount(message)
      : { publicKey: session.publicKey, signature: session.sign(message) };
  return { encoded: encodeQuoteRequest({ request, ...signed }), hash: quoteRequestHash(hasher, chain, request) };
}

/** What an attempt under this quote costs at most. */
export function maxAttemptUait(
  price: Price,
  { inputBytes, maxOutputBytes, leftUait }: Pick<QuoteTerms, 'inputBytes' | 'maxOutputBytes' | 'leftUait'>,
): number {
  return Math.min(dueUait(price, inputBytes, maxOutputBytes), leftUait);
}

/** @throws NodeError PEER_PROTOCOL | PRICE | NO_MODEL | EXPIRED why a signed quote is not one to work under */
export function checkQuote({ quote }: SignedQuote, terms: QuoteTerms): void {
  if (!equalBytes(quote.request, terms.request) || !equalBytes(quote.miner, terms.miner)) {
    throw new NodeError('PEER_PROTOCOL', 'the quote is for another request');
  }
  if (quote.kind !== terms.kind || (terms.model !== '' && quote.model !== terms.model)) {
    throw new NodeError('NO_MODEL', 'the quote is for another kind or model');
  }
  if (quote.validUntilHeight <= terms.headHeight) {
    throw new NodeError('EXPIRED', 'the quote leaves no block for an agreement to be opened in');
  }
  checkPrice(quote, terms);
}

/** @throws NodeError PRICE */
function checkPrice({ price, tickUait }: Quote, terms: QuoteTerms): void {
  const { price: offered } = terms.offered;
  for (const name of ['fixedUait', 'inputUaitPerKib', 'outputUaitPerKib'] as const) {
    if (price[name] > offered[name]) throw tooDear(`the quote asks for more than the offer: ${name} ${price[name]}`);
  }
  const wantedBytes = terms.isRetry ? Math.ceil(terms.maxOutputBytes / 2) : terms.maxOutputBytes;
  const maxUait = dueUait(price, terms.inputBytes, wantedBytes);
  if (maxUait > terms.leftUait) throw tooDear(`the quote comes to ${maxUait} uait, ${terms.leftUait} are left`);
  if (terms.offered.streams && tickUait * MAX_TICKS < maxAttemptUait(price, terms)) {
    throw tooDear(`the quote wants credit in steps of ${tickUait} uait, which are too many`);
  }
  const smallUait = dueUait({ ...price, fixedUait: 0 }, 0, SMALL_TICK_BYTES);
  const largestUait = Math.max(smallUait, maxAttemptUait(price, terms) * LARGEST_TICK_SHARE);
  if (terms.offered.streams && tickUait > largestUait) {
    throw tooDear(
      `the quote wants ${tickUait} uait ahead, at most ${Math.floor(largestUait)} are given to one that streams`,
    );
  }
}

function tooDear(message: string): NodeError {
  return new NodeError('PRICE', message, { hint: 'raise the maximum price, or ask for less output' });
}
