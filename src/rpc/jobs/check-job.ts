/** What a job may be, before any money is set aside for it. */
import { encodeContent, MAX_CONTENT_BYTES, MAX_CONTENT_PARAMS, MAX_CONTENT_PARTS } from '../../chain/market/content.ts';
import type { ContentParam, ContentPart } from '../../chain/market/content.ts';
import type { OfferedModel } from '../../chain/market/offer.ts';
import { dueUait } from '../../chain/market/price.ts';
import { NodeError } from '../../errors.ts';
import type { JobOptions, MarketApi } from '../api.ts';

/** What someone wants done. */
export interface JobDraft {
  readonly kind: string;
  /** Empty: any. */
  readonly model: string;
  readonly params: readonly ContentParam[];
  readonly parts: readonly ContentPart[];
  readonly maxOutputBytes: number;
  /** Null: what the node allows. */
  readonly maxPriceUait: number | null;
  /** Longest wait for a miner; null: as long as the job may take. */
  readonly queueMs: number | null;
  readonly totalMs: number;
}

export interface JobChecks {
  readonly market: MarketApi;
  readonly options: JobOptions;
}

const SALT = new Uint8Array(32);
/** Names listed in a failure. */
const MAX_NAMES = 20;

/**
 * @returns the highest price it can come to
 * @throws NodeError TOO_LARGE | PRICE | NO_MODEL
 */
export function checkJob({ market, options }: JobChecks, draft: JobDraft): number {
  const inputBytes = checkContent(draft);
  const maxPriceUait = draft.maxPriceUait ?? options.maxPriceUait;
  if (maxPriceUait > options.maxPriceUait) {
    throw new NodeError('PRICE', `this node pays at most ${options.maxPriceUait} uait for a job`, {
      data: { max_price_uait: String(options.maxPriceUait), asked_uait: String(maxPriceUait) },
      hint: 'ask for less, or have its operator raise market.max_price_uait of config.toml',
    });
  }
  const offered = market.offers().flatMap(({ offer }) => offer.models);
  // Without any offer nothing is known: the job waits for one.
  if (offered.length === 0) return maxPriceUait;
  const able = ableTo(offered, draft);
  const leastUait = Math.min(...able.map(({ price }) => dueUait(price, inputBytes, 0)));
  if (leastUait > maxPriceUait) {
    throw new NodeError('PRICE', `what is offered costs at least ${leastUait} uait, more than the maximum`, {
      data: { max_price_uait: String(maxPriceUait), least_uait: String(leastUait) },
      hint: `allow ${leastUait} uait or more, or send a shorter prompt`,
    });
  }
  return maxPriceUait;
}

/** @throws NodeError TOO_LARGE */
function checkContent({ params, parts }: JobDraft): number {
  if (parts.length > MAX_CONTENT_PARTS || params.length > MAX_CONTENT_PARAMS) {
    throw new NodeError('TOO_LARGE', 'the job has too many parts or parameters', {
      data: { parts: parts.length, params: params.length },
      hint: `a job has at most ${MAX_CONTENT_PARTS} parts and ${MAX_CONTENT_PARAMS} parameters: send several jobs`,
    });
  }
  const bytes = encodeContent({ salt: SALT, params, parts }).length;
  if (bytes <= MAX_CONTENT_BYTES) return bytes;
  throw new NodeError('TOO_LARGE', `the prompt takes ${bytes} bytes, more than the ${MAX_CONTENT_BYTES} of a job`, {
    data: { bytes, limit: MAX_CONTENT_BYTES },
    hint: 'shorten it, or send it in several jobs',
  });
}

/** @throws NodeError NO_MODEL naming what is offered */
function ableTo(offered: readonly OfferedModel[], { kind, model }: Pick<JobDraft, 'kind' | 'model'>): OfferedModel[] {
  const ofKind = offered.filter((candidate) => candidate.kind === kind);
  const able = ofKind.filter((candidate) => model === '' || candidate.model === model);
  if (able.length > 0) return able;
  const names = [
    ...new Set((ofKind.length > 0 ? ofKind : offered).map((one) => (ofKind.length > 0 ? one.model : one.kind))),
  ];
  const list = names.sort().slice(0, MAX_NAMES).join(', ');
  const what = ofKind.length > 0 ? `the model "${model}" for ${kind}` : `work of the kind "${kind}"`;
  throw new NodeError('NO_MODEL', `no miner offers ${what}`, {
    data: { kind, model, offered: list },
    hint: ofKind.length > 0 ? `models offered now: ${list}` : `kinds offered now: ${list}`,
  });
}
