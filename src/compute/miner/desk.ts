/**
 * Who may have a slot: quotes given, slots reserved for them, and slots in which work is done. Pure. A quote reserves a slot
 * for a short while only: until its opening is seen, until that is final, and then until the assignment. Holding a slot costs
 * nothing, so nobody holds one for long; what is still valid afterwards takes a slot that is free.
 */
import type { Address, Hash } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import type { Quote, QuoteRequest } from '../../chain/market/quote.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';

/** How long a quote stands. */
export const QUOTE_MS = 30_000;
/** How long a slot waits for an opening to be seen, and for work once the money is there. */
const RESERVATION_MS = 5_000;
/** How long it waits for an opening that was seen to be final. */
const OPENING_MS = 10_000;
/** An agreement whose reservation came to nothing gets none for so long. */
const UNUSED_MS = 60_000;
/** Agreements of which that is remembered. */
export const MAX_UNUSED = 1_024;
/** A request is answered when it was made within this time, by this miner's clock. */
const REQUEST_MS = 60_000;
export const MAX_QUOTES = 1_024;
/** Of one payer as many as are left over, so that there is always room for another one. */
export const MAX_REQUESTS = 8_192;
/** When to ask again while all slots are taken. */
const BUSY_MS = 1_000;

export interface HeldQuote {
  readonly id: Hash;
  readonly request: QuoteRequest;
  readonly quote: Quote;
  /** A slot is held until then. */
  readonly reservedUntilMs: number;
  /** Within an agreement, or its opening is on its way: money is there. */
  readonly isFunded: boolean;
  /** By its transaction; null within an agreement, and while none was seen. */
  readonly opening: Hash | null;
}

interface AnsweredRequest {
  readonly untilMs: number;
  /** Who pays. */
  readonly client: string;
  readonly quote: string;
}

export interface DeskState {
  readonly slots: number;
  /** Slots in which work is done. */
  readonly working: number;
  /** By id. */
  readonly quotes: ReadonlyMap<string, HeldQuote>;
  /** Requests answered, by hash: when each may be forgotten, who made it, and the quote it got. */
  readonly requests: ReadonlyMap<string, AnsweredRequest>;
  /** Agreements that let a reservation pass by, and until when they get no other. */
  readonly unused: ReadonlyMap<string, number>;
}

export type DeskInput =
  /** All but the slot is there; `quote` is what it would get. */
  | {
      readonly type: 'request';
      readonly requestId: Hash;
      readonly request: QuoteRequest;
      readonly quoteId: Hash;
      readonly quote: Quote;
      readonly nowMs: number;
    }
  /** An `agreement.open` of this client that names this miner is pending, or in a final block; perhaps twice. */
  | {
      readonly type: 'opening';
      readonly client: Address;
      readonly transaction: Hash;
      readonly isFinal: boolean;
      readonly nowMs: number;
    }
  /** Work on a quote is to begin. */
  | { readonly type: 'take'; readonly quoteId: Hash; readonly nowMs: number }
  /** Work has ended. */
  | { readonly type: 'free' };

export type DeskEffect =
  | { readonly type: 'grant'; readonly quote: HeldQuote }
  | { readonly type: 'taken'; readonly quote: HeldQuote }
  | { readonly type: 'refuse'; readonly refusal: Refusal };

export interface DeskStep {
  readonly state: DeskState;
  readonly effects: readonly DeskEffect[];
}

export function openDesk(slots: number): DeskState {
  return { slots, working: 0, quotes: new Map(), requests: new Map(), unused: new Map() };
}

export function stepDesk(state: DeskState, input: DeskInput): DeskStep {
  switch (input.type) {
    case 'request':
      return onRequest(swept(state, input.nowMs), input);
    case 'opening':
      return { state: onOpening(swept(state, input.nowMs), input), effects: [] };
    case 'take':
      return onTake(state, input);
    case 'free':
      return { state: { ...state, working: Math.max(0, state.working - 1) }, effects: [] };
  }
}

/** Slots that nobody has, for offers. */
export function freeSlots(state: DeskState, nowMs: number): number {
  return Math.max(0, state.slots - state.working - reserved(state.quotes, nowMs).length);
}

function onRequest(state: DeskState, input: DeskInput & { readonly type: 'request' }): DeskStep {
  const { requestId, request, quoteId, quote, nowMs } = input;
  if (Math.abs(request.atMs - nowMs) > REQUEST_MS) {
    return refuse(state, refusal('EXPIRED', `not made within the last ${REQUEST_MS / 1000} s: set the clock`));
  }
  const known = state.requests.get(bytesKey(requestId));
  if (known) {
    const again = state.quotes.get(known.quote);
    if (again) return { state, effects: [{ type: 'grant', quote: again }] };
    return refuse(state, refusal('CONFLICT', 'this request had its quote, which is over: make a new one', 1));
  }
  const quotes = withoutEarlier(state.quotes, request);
  const taken = reserved(quotes, nowMs);
  const unfunded = taken.filter(({ isFunded }) => !isFunded).length;
  const isFunded = request.agreement !== null;
  const isFull =
    state.working + taken.length >= state.slots ||
    (!isFunded && unfunded >= Math.max(1, Math.floor(state.slots / 2))) ||
    quotes.size >= MAX_QUOTES ||
    answeredTo(state.requests, request.client) >= MAX_REQUESTS - state.requests.size;
  if (isFull) return refuse(state, busy());
  const unused = withUnused(
    state,
    [...state.quotes.values()].filter(({ id }) => !quotes.has(bytesKey(id))),
    nowMs,
  );
  const isReserved = request.agreement === null || !unused.has(bytesKey(request.agreement));
  const reservedUntilMs = isReserved ? Math.min(quote.validUntilMs, nowMs + RESERVATION_MS) : nowMs;
  const held: HeldQuote = { id: quoteId, request, quote, reservedUntilMs, isFunded, opening: null };
  const key = bytesKey(quoteId);
  const requests = new Map(state.requests);
  requests.set(bytesKey(requestId), {
    untilMs: request.atMs + REQUEST_MS,
    client: bytesKey(request.client),
    quote: key,
  });
  return {
    state: { ...state, requests, unused, quotes: new Map(quotes).set(key, held) },
    effects: [{ type: 'grant', quote: held }],
  };
}

/** The quote that it was seen for already, else the oldest of the client's that waits for money. */
function onOpening(state: DeskState, input: DeskInput & { readonly type: 'opening' }): DeskState {
  const { client, transaction, isFinal, nowMs } = input;
  const all = [...state.quotes.values()];
  const known = all.find(({ opening }) => opening !== null && equalBytes(opening, transaction));
  if (known && !isFinal) return state;
  const held = known ?? all.find(({ isFunded, request }) => !isFunded && equalBytes(request.client, client));
  if (!held) return state;
  const hasSlot = held.reservedUntilMs > nowMs || freeSlots(state, nowMs) > 0;
  const untilMs = Math.min(held.quote.validUntilMs, nowMs + (isFinal ? RESERVATION_MS : OPENING_MS));
  const reservedUntilMs = hasSlot ? untilMs : held.reservedUntilMs;
  const funded: HeldQuote = { ...held, isFunded: true, opening: transaction, reservedUntilMs };
  return { ...state, quotes: new Map(state.quotes).set(bytesKey(held.id), funded) };
}

function onTake(state: DeskState, { quoteId, nowMs }: DeskInput & { readonly type: 'take' }): DeskStep {
  const key = bytesKey(quoteId);
  const held = state.quotes.get(key);
  if (!held || held.quote.validUntilMs < nowMs) {
    return refuse(state, refusal('EXPIRED', 'not a quote of this miner, or no longer valid: ask for a new one', 1));
  }
  const own = held.reservedUntilMs > nowMs ? 1 : 0;
  if (freeSlots(state, nowMs) + own === 0) return refuse(state, busy());
  const quotes = new Map(state.quotes);
  quotes.delete(key);
  return { state: { ...state, quotes, working: state.working + 1 }, effects: [{ type: 'taken', quote: held }] };
}

function refuse(state: DeskState, why: Refusal): DeskStep {
  return { state, effects: [{ type: 'refuse', refusal: why }] };
}

function busy(): Refusal {
  return refusal('BUSY', 'all slots are taken', BUSY_MS);
}

function reserved(quotes: DeskState['quotes'], nowMs: number): HeldQuote[] {
  return [...quotes.values()].filter(({ reservedUntilMs }) => reservedUntilMs > nowMs);
}

function answeredTo(requests: DeskState['requests'], payer: Address): number {
  const key = bytesKey(payer);
  let count = 0;
  for (const { client } of requests.values()) if (client === key) count++;
  return count;
}

/** Without money on its way an account has one quote, an agreement has one in any case: the latest. */
function withoutEarlier(quotes: DeskState['quotes'], { client, agreement }: QuoteRequest): DeskState['quotes'] {
  return new Map(
    [...quotes].filter(([, { request, isFunded }]) => {
      if (!equalBytes(request.client, client)) return true;
      if (agreement === null) return isFunded || request.agreement !== null;
      return request.agreement === null || !equalBytes(request.agreement, agreement);
    }),
  );
}

function swept(state: DeskState, nowMs: number): DeskState {
  const quotes = new Map([...state.quotes].filter(([, { quote }]) => quote.validUntilMs >= nowMs));
  const requests = new Map([...state.requests].filter(([, { untilMs }]) => untilMs >= nowMs));
  const over = [...state.quotes.values()].filter(({ quote }) => quote.validUntilMs < nowMs);
  const unused = withUnused(state, over, nowMs);
  const isSame = over.length === 0 && requests.size === state.requests.size && unused.size === state.unused.size;
  return isSame ? state : { ...state, quotes, requests, unused };
}

/** @param over quotes that nobody took */
function withUnused({ unused }: DeskState, over: readonly HeldQuote[], nowMs: number): DeskState['unused'] {
  const kept = new Map([...unused].filter(([, untilMs]) => untilMs > nowMs));
  for (const { request, reservedUntilMs, quote } of over) {
    // A reservation that ended as it began was none.
    if (request.agreement === null || reservedUntilMs <= quote.validUntilMs - QUOTE_MS) continue;
    kept.set(bytesKey(request.agreement), nowMs + UNUSED_MS);
  }
  for (const oldest of kept.keys()) {
    if (kept.size <= MAX_UNUSED) break;
    kept.delete(oldest);
  }
  return kept;
}
