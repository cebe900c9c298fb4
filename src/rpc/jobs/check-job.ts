/** What a job may be, before any money is set aside for it. */
import {
  blobBytesOf,
  encodeContent,
  MAX_CONTENT_BYTES,
  MAX_CONTENT_PARAMS,
  MAX_CONTENT_PARTS,
} from '../../chain/market/content.ts';
import type { ContentParam, JobPart } from '../../chain/market/content.ts';
import { MAX_BLOB_BYTES } from '../../chain/market/blob.ts';
import { tooLarge } from '../../compute/blobs/cipher.ts';
import { checkOffered } from '../../compute/coordinator/offered.ts';
import { NodeError } from '../../errors.ts';
import type { JobOptions, MarketApi } from '../api.ts';

/** What someone wants done. */
export interface JobDraft {
  readonly kind: string;
  /** Empty: any. */
  readonly model: string;
  readonly params: readonly ContentParam[];
  readonly parts: readonly JobPart[];
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
  checkOffered(market.offers(), { ...draft, inputBytes, maxPriceUait });
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
  const blobBytes = blobBytesOf(parts);
  if (blobBytes > MAX_BLOB_BYTES) throw tooLarge(blobBytes);
  const bytes = encodeContent({ salt: SALT, params, parts }).length;
  if (bytes <= MAX_CONTENT_BYTES) return bytes + blobBytes;
  throw new NodeError('TOO_LARGE', `the prompt takes ${bytes} bytes, more than the ${MAX_CONTENT_BYTES} of a job`, {
    data: { bytes, limit: MAX_CONTENT_BYTES },
    hint: 'shorten it, upload it as a blob (POST /v1/blobs), or send it in several jobs',
  });
}
