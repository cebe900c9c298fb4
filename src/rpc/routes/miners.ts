/** What miners offer, and quotes from them for clients that are no peers. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { compareBytes, fromHex, toHex } from '../../bytes.ts';
import { addressOf, formatAddress, parseAddress } from '../../chain/address.ts';
import type { SignedOffer } from '../../chain/market/offer.ts';
import { MAX_QUOTE_REQUEST_BYTES } from '../../chain/market/quote.ts';
import type { ErrorCode } from '../../errors.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, ofChain, strict } from '../app.ts';
import { marketStats, minerView, offerView } from '../market-views.ts';
import type { Operation } from '../operation.ts';
import { fresh, OF_CHAIN, OF_STORE, operation } from '../operation.ts';
import { MarketStats, Miners, Offers, QuoteAnswer } from '../schemas.ts';

const minerAddress = Type.String({ maxLength: 90, description: 'ait1…' });

const OffersQuery = chainQuery({
  kind: Type.Optional(Type.String({ maxLength: 32, description: 'only those that do this, e.g. llm.chat' })),
  model: Type.Optional(Type.String({ maxLength: 64, description: 'only those that have this model' })),
  limit: Type.Optional(Type.String({ pattern: '^(?:[1-9][0-9]?|100)$', description: '1 to 100, 100 when absent' })),
  after: Type.Optional(Type.String({ maxLength: 90, description: 'address of the last miner of the page before' })),
});

/** What a miner, or the way to it, may answer to a request for a quote; other codes are no answer of a miner. */
const OF_MINERS: readonly ErrorCode[] = [
  ...(['NO_MINER', 'NO_MODEL', 'PRICE', 'BUSY', 'BAD_JOB', 'STAKE_LOW', 'NOT_FUNDED', 'BAD_SIGNATURE'] as const),
  ...(['EXPIRED', 'CONFLICT', 'SYNCING', 'NO_QUORUM', 'METHOD_DISABLED', 'RATE_LIMITED', 'CODEC'] as const),
  ...(['UNREACHABLE', 'TIMEOUT', 'PEER_PROTOCOL', 'PEER_QUOTA', 'PEER_BANNED'] as const),
];

export function minerOperations(node: NodeApi): Operation[] {
  return [
    operation({
      methods: ['list_offers'],
      verb: 'GET',
      path: '/v1/marketplace/offers',
      summary: 'Current offers of miners, ascending by address, in the shape of the replaced system and more',
      params: strict({}),
      query: OffersQuery,
      load: 'heavy',
      answers: { 200: { description: 'A page; the next one begins after its last miner', schema: Offers } },
      errors: [...OF_CHAIN, ...OF_STORE, 'BAD_ADDRESS'],
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const { crypto, genesis } = api;
        return fresh(pageOf(api, query).items.map((signed) => offerView(crypto, genesis.chain, signed)));
      },
    }),
    operation({
      methods: ['get_market_stats'],
      verb: 'GET',
      path: '/v1/marketplace/stats',
      summary: 'How much is offered, and for how much, in the shape of the replaced system and more',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'Over all current offers', schema: MarketStats } },
      errors: [...OF_CHAIN, ...OF_STORE],
      handle: ({ query }) => fresh(marketStats(node.chain(query.chain_id).market.offers())),
    }),
    operation({
      methods: ['list_miners'],
      verb: 'GET',
      path: '/v1/miners',
      summary: 'Miners with a current offer, ascending by address',
      params: strict({}),
      query: OffersQuery,
      load: 'heavy',
      answers: { 200: { description: 'A page; next_cursor is the `after` of the next one', schema: Miners } },
      errors: [...OF_CHAIN, ...OF_STORE, 'BAD_ADDRESS'],
      handle: ({ query }) => {
        const api = node.chain(query.chain_id);
        const { state } = api.chain.tip();
        const { items, next } = pageOf(api, query);
        return fresh({ items: items.map((signed) => minerView(api.crypto, state, signed)), next_cursor: next });
      },
    }),
    operation({
      methods: [],
      verb: 'POST',
      path: '/v1/market/quote',
      summary: 'Asks a miner for a quote: the signed request goes there as it is, and the signed quote comes back',
      params: strict({}),
      query: chainQuery({ miner: minerAddress }),
      load: 'write',
      body: {
        maxBytes: 4096,
        binary: 'canonical bytes of a signed quote request',
        forms: [
          {
            key: null,
            schema: strict({
              request: Type.String({ pattern: '^[0-9a-f]+$', maxLength: 2 * MAX_QUOTE_REQUEST_BYTES }),
            }),
          },
        ],
      },
      answers: { 200: { description: 'Canonical bytes of the signed quote, in hex', schema: QuoteAnswer } },
      errors: [...OF_CHAIN, 'BAD_ADDRESS', ...OF_MINERS],
      handle: async ({ query, body, gone }) => {
        const { market } = node.chain(query.chain_id);
        const miner = parseAddress(query.miner);
        const quote = await answerOf(market.quote(miner, requestBytes(body), gone()));
        return fresh({ quote: toHex(quote) });
      },
    }),
  ];
}

function pageOf(
  { crypto, market }: ChainApi,
  { kind, model, limit, after }: Static<typeof OffersQuery>,
): { readonly items: readonly SignedOffer[]; readonly next: string | null } {
  const start = after === undefined ? null : parseAddress(after);
  const wanted = ({ offer }: SignedOffer): boolean =>
    (kind === undefined && model === undefined) ||
    offer.models.some((each) => (kind ?? each.kind) === each.kind && (model ?? each.model) === each.model);
  const sorted = market
    .offers()
    .filter(wanted)
    .map((signed) => ({ signed, address: addressOf(crypto, signed.offer.miner) }))
    .filter(({ address }) => !start || compareBytes(address, start) > 0)
    .sort((a, b) => compareBytes(a.address, b.address));
  const page = sorted.slice(0, Number(limit ?? '100'));
  const last = page.at(-1);
  const next = last && page.length < sorted.length ? formatAddress(last.address) : null;
  return { items: page.map(({ signed }) => signed), next };
}

/** @throws NodeError CODEC */
function requestBytes(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return new Uint8Array(body);
  return fromHex((body as { readonly request: string }).request);
}

async function answerOf(quote: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await quote;
  } catch (error) {
    if (!isNodeError(error) || OF_MINERS.includes(error.code) || error.code === 'INTERNAL') throw error;
    throw new NodeError('PEER_PROTOCOL', 'the miner answered what is no answer to a request for a quote', {
      data: { code: error.code },
      cause: error,
    });
  }
}
