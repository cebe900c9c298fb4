/** What clients of language models ask for, whatever their dialect, as jobs of the market. */
import type { ContentParam } from '../../chain/market/content.ts';
import { utf8 } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { Asker } from '../jobs/access.ts';
import type { JobDraft } from '../jobs/check-job.ts';
import { milli, textPart } from '../jobs/request.ts';
import type { JobOptions } from '../api.ts';

export const CHAT = 'llm.chat';
export const EMBED = 'text.embed';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly text: string;
}

/** Undefined: as the model does by itself. */
export interface Sampling {
  readonly maxTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly seed?: number | undefined;
  readonly stops?: readonly string[] | undefined;
}

/** Output bytes are what is paid for; a token has about four, and of few languages more than this. */
const BYTES_PER_TOKEN = 8;
const LEAST_OUTPUT_BYTES = 1024;
/** Of what is answered at once; POST /v1/jobs takes more. */
const MOST_OUTPUT_BYTES = 256 * 1024;
/** Some 4,000 tokens; by default prices and limits the most that a job may cost pays for as many. */
const DEFAULT_OUTPUT_BYTES = 16 * 1024;
/** A vector of 4,096 numbers: the largest that is common. */
const VECTOR_BYTES = 4 * 4096;
const MOST_VECTOR_BYTES = 4 * 1024 * 1024;
const MAX_STOP_BYTES = 256;

/** @throws NodeError INVALID_PARAMS */
export function chatDraft(
  { model, messages, sampling }: { model: string; messages: readonly Message[]; sampling: Sampling },
  asker: Asker,
  options: JobOptions,
): JobDraft {
  if (!messages.some(({ role, text }) => role === 'user' && text !== '')) {
    throw new NodeError('INVALID_PARAMS', 'a chat needs a message of the user with text in it');
  }
  const { maxTokens, temperature, topP, seed, stops = [] } = sampling;
  const whole = (name: string, value: number | undefined): ContentParam[] =>
    value === undefined ? [] : [{ name, value: String(value) }];
  if (stops.some((stop) => stop === '' || utf8(stop).length > MAX_STOP_BYTES)) {
    throw new NodeError('INVALID_PARAMS', `a text to stop at has 1 to ${MAX_STOP_BYTES} bytes`);
  }
  return {
    ...timesOf(options),
    kind: CHAT,
    model,
    params: [
      ...whole('max_tokens', maxTokens),
      ...(temperature === undefined ? [] : [milli('temperature_milli', temperature)]),
      ...(topP === undefined ? [] : [milli('top_p_milli', topP)]),
      ...whole('seed', seed),
      ...stops.map((value) => ({ name: 'stop', value })),
    ],
    parts: messages.map(({ role, text }) => textPart(role, text)),
    maxOutputBytes:
      maxTokens === undefined
        ? DEFAULT_OUTPUT_BYTES
        : Math.min(MOST_OUTPUT_BYTES, Math.max(LEAST_OUTPUT_BYTES, maxTokens * BYTES_PER_TOKEN)),
    maxPriceUait: maxPriceOf(asker),
  };
}

/** @throws NodeError INVALID_PARAMS */
export function embedDraft(
  { model, texts }: { model: string; texts: readonly string[] },
  asker: Asker,
  options: JobOptions,
): JobDraft {
  return {
    ...timesOf(options),
    kind: EMBED,
    model,
    params: [],
    parts: texts.map((text) => textPart('', text)),
    maxOutputBytes: Math.min(MOST_VECTOR_BYTES, texts.length * VECTOR_BYTES),
    maxPriceUait: maxPriceOf(asker),
  };
}

function timesOf({ startMs, executionMs }: JobOptions): Pick<JobDraft, 'queueMs' | 'totalMs'> {
  return { queueMs: startMs, totalMs: startMs + executionMs };
}

/** These dialects have no place for a price: a header has. @throws NodeError INVALID_PARAMS */
function maxPriceOf({ headers }: Asker): number | null {
  const price = headers['x-aitbc-max-price'];
  if (price === undefined) return null;
  if (typeof price === 'string' && /^(?:0|[1-9][0-9]{0,14})$/.test(price)) return Number(price);
  throw new NodeError('INVALID_PARAMS', 'X-Aitbc-Max-Price is a whole number of uait');
}

/** One vector a text. @throws NodeError EXECUTOR when the output is not that */
export function vectorsOf(output: Uint8Array, count: number): Float32Array[] {
  const size = output.length / count / 4;
  if (!Number.isInteger(size) || size === 0) {
    throw new NodeError('EXECUTOR', 'what the miner gave are no vectors for these texts', {
      data: { bytes: output.length, texts: count, should_retry: false },
      hint: 'ask for another model',
    });
  }
  const view = new DataView(output.buffer, output.byteOffset, output.length);
  return Array.from({ length: count }, (_, row) =>
    Float32Array.from({ length: size }, (__, at) => view.getFloat32((row * size + at) * 4, true)),
  );
}

/** Whole characters as they come; what is no UTF-8 is replaced. */
export async function* textsOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  for await (const piece of pieces) {
    const text = decoder.decode(piece, { stream: true });
    if (text !== '') yield text;
  }
  const rest = decoder.decode();
  if (rest !== '') yield rest;
}
