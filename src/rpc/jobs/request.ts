/** From the body of `POST /v1/jobs` to a job: our own fields, or those of the replaced system, never two of one meaning. */
import type { Static } from 'typebox';
import { fromHex, utf8 } from '../../bytes.ts';
import type { ContentParam, ContentPart, JobPart } from '../../chain/market/content.ts';
import { NodeError } from '../../errors.ts';
import type { Asker } from './access.ts';
import type { JobDraft } from './check-job.ts';
import type { JobBody } from './schemas.ts';

type Body = Static<typeof JobBody>;
type Payload = NonNullable<Body['payload']>;
type Uait = NonNullable<Body['max_price_uait']>;

const CHAT = 'llm.chat';
const EMBED = 'text.embed';
/** Some 4,000 tokens; by default prices and limits the most that a job may cost pays for as many. */
const DEFAULT_OUTPUT_BYTES = 16 * 1024;
const DEFAULT_TTL_S = 900;
const TEXT = 'text/plain';
const MAX_PARAM_NAME = 64;
const MAX_PARAM_BYTES = 4096;

/** @throws NodeError INVALID_PARAMS */
export function readJob(body: Body): JobDraft {
  const { payload = {}, constraints = {} } = body;
  const kindOfType = payload.type === undefined ? undefined : payload.type === 'embedding' ? EMBED : CHAT;
  const kind = one('kind', [body.kind, payload.kind ?? kindOfType]) ?? CHAT;
  const prices = [body.max_price_uait, constraints.max_price, body.payment_amount].filter((uait) => uait !== undefined);
  return {
    kind,
    model: one('model', [body.model, payload.model, constraints.models?.[0]]) ?? '',
    params: [...readParams(one('params', [body.params, payload.params]) ?? {}), ...plainParams(payload)],
    parts: readParts(body, payload),
    maxOutputBytes: body.max_output_bytes ?? DEFAULT_OUTPUT_BYTES,
    maxPriceUait: prices.length === 0 ? null : Math.min(...prices.map(uaitOf)),
    queueMs: null,
    totalMs: (body.ttl_seconds ?? DEFAULT_TTL_S) * 1000,
  };
}

/** The same key is the same job. @throws NodeError INVALID_PARAMS */
export function idempotencyKeyOf({ headers }: Asker): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined || key === '') return null;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,64}$/.test(key) && !key.startsWith('~')) return key;
  throw new NodeError('INVALID_PARAMS', 'Idempotency-Key is 1 to 64 visible ASCII characters, the first not "~"', {
    hint: 'a random UUID will do',
  });
}

/** @throws NodeError INVALID_PARAMS when two are given that differ */
function one<T>(name: string, values: readonly (T | undefined)[]): T | undefined {
  const given = values.filter((value) => value !== undefined);
  if (new Set(given.map((value) => JSON.stringify(value))).size <= 1) return given[0];
  throw new NodeError('INVALID_PARAMS', `"${name}" is given twice, and differs`, {
    hint: 'give it once: at the root, or in payload or constraints as the replaced system did',
  });
}

function readParts(body: Body, payload: Payload): JobPart[] {
  const forms = [body.prompt, body.messages, body.parts, payload.prompt, payload.messages, payload.parts];
  const [form, ...others] = forms.filter((value) => value !== undefined);
  if (form === undefined || others.length > 0) {
    throw new NodeError('INVALID_PARAMS', 'a job has exactly one of "prompt", "messages" and "parts"', {
      hint: '{"model":"…","prompt":"What is the capital of Austria?"}',
    });
  }
  if (typeof form === 'string') return [textPart('user', form)];
  return form.map((item, at) => ('content' in item ? textPart(item.role, item.content) : readPart(item, at)));
}

function readPart(item: NonNullable<Body['parts']>[number], at: number): JobPart {
  const { role = '', media_type = TEXT, text, base64, blob } = item;
  if ([text, base64, blob].filter((form) => form !== undefined).length !== 1) {
    throw new NodeError('INVALID_PARAMS', `part ${at} has exactly one of "text", "base64" and "blob"`, {
      data: { pointer: `/parts/${at}` },
      hint: '{"role":"user","text":"…"}, or {"media_type":"application/wasm","base64":"…"}',
    });
  }
  if (blob) {
    const { root, bytes, key, sha256 } = blob;
    const ref = { root: fromHex(root), bytes, key: fromHex(key), textHash: fromHex(sha256) };
    return { role, mediaType: media_type, blob: ref };
  }
  const data = text !== undefined ? utf8(text) : new Uint8Array(Buffer.from(base64 ?? '', 'base64'));
  return { role, mediaType: media_type, data };
}

export function textPart(role: string, text: string): ContentPart {
  return { role, mediaType: TEXT, data: utf8(text) };
}

function readParams(params: NonNullable<Body['params']>): ContentParam[] {
  return Object.entries(params).flatMap(([name, value]) =>
    [value].flat().map((item): ContentParam => {
      const text = String(item);
      if (!/^[\x21-\x7e]+$/.test(name) || name.length > MAX_PARAM_NAME || utf8(text).length > MAX_PARAM_BYTES) {
        throw new NodeError('INVALID_PARAMS', 'a parameter has a name that is none, or too long a value', {
          data: { param: name.slice(0, MAX_PARAM_NAME), most_bytes: MAX_PARAM_BYTES },
        });
      }
      return { name, value: text };
    }),
  );
}

function plainParams({ max_tokens, temperature }: Payload): ContentParam[] {
  return [
    ...(max_tokens === undefined ? [] : [{ name: 'max_tokens', value: String(max_tokens) }]),
    ...(temperature === undefined ? [] : [milli('temperature_milli', temperature)]),
  ];
}

/** Parameters are integers: thousandths. */
export function milli(name: string, value: number): ContentParam {
  return { name, value: String(Math.round(value * 1000)) };
}

function uaitOf(uait: Uait): number {
  return Number(uait);
}
