/** What a person asks for, and the job that it is: from options of the command line, or from a YAML file. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { utf8 } from '../../bytes.ts';
import { MAX_BLOB_BYTES } from '../../chain/market/blob.ts';
import type { ContentParam, ContentPart } from '../../chain/market/content.ts';
import { MAX_CONTENT_BYTES } from '../../chain/market/content.ts';
import { MAX_JOB_MS } from '../../chain/market/job.ts';
import { MAX_OUTPUT_BYTES } from '../../chain/market/price.ts';
import { NodeError } from '../../errors.ts';
import type { InlineRequest } from '../../sdk/market.ts';
import { parseAmount } from '../amount.ts';
import { duration } from '../options.ts';
import { readSmallText } from '../small-file.ts';

const DEFAULT_KIND = 'llm.chat';
const DEFAULT_MAX_PRICE = '1ait';
/** Some 4,000 tokens; the price of as many bytes must lie within the most that the job may cost. */
const DEFAULT_OUTPUT_BYTES = 16 * 1024;
/** Of the longest tokens of common vocabularies. */
const TOKEN_BYTES = 16;
const DEFAULT_QUEUE_MS = 2 * 60_000;
const DEFAULT_EXECUTION_MS = 5 * 60_000;
const MAX_SPEC_BYTES = MAX_CONTENT_BYTES + 64 * 1024;
const WASM_KIND = 'wasm.run';
const SPEC_KEYS = new Set(
  'kind model prompt system messages parts input_file module_file params max_price max_output_bytes queue execution total idempotency_key'.split(
    ' ',
  ),
);

export interface JobOptions {
  readonly model?: string;
  readonly kind: string;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly maxPrice: string;
  readonly queue?: number;
}

/** @param prompt "-": stdin @throws NodeError USAGE */
export async function requestOfPrompt(prompt: string, options: JobOptions): Promise<InlineRequest> {
  const text = prompt === '-' ? await readSmallText('-', MAX_BLOB_BYTES, 'a prompt', 'USAGE') : prompt;
  if (text.trim() === '')
    throw new NodeError('USAGE', 'the prompt is empty', { hint: 'aitbc submit "What is 2 plus 2?"' });
  const isChat = options.kind === DEFAULT_KIND;
  if (options.system !== undefined && !isChat)
    throw new NodeError('USAGE', `--system is for jobs of kind ${DEFAULT_KIND}`);
  return requestOf({
    kind: options.kind,
    model: options.model ?? '',
    parts: [
      ...(options.system === undefined ? [] : [textPart('system', options.system)]),
      textPart(isChat ? 'user' : '', text),
    ],
    params: [
      ...(options.maxTokens === undefined ? [] : [{ name: 'max_tokens', value: String(options.maxTokens) }]),
      ...(options.temperature === undefined ? [] : [milli('temperature', options.temperature)]),
    ],
    maxPriceUait: parseAmount(options.maxPrice),
    ...(options.maxTokens !== undefined && {
      maxOutputBytes: Math.min(MAX_OUTPUT_BYTES, options.maxTokens * TOKEN_BYTES),
    }),
    ...(options.queue !== undefined && { queueMs: options.queue }),
  });
}

/** @param path YAML, JSON being some; "-": stdin @throws NodeError USAGE naming the field */
export async function requestOfSpec(path: string): Promise<InlineRequest> {
  const [{ parse }, text] = await Promise.all([import('yaml'), readSmallText(path, MAX_SPEC_BYTES, 'a job', 'USAGE')]);
  let spec: Fields;
  try {
    // Aliases could make a short file a huge job.
    spec = fieldsOf(parse(text, { maxAliasCount: 0 }), 'the file');
  } catch (error) {
    if (error instanceof NodeError) throw error;
    const why = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    throw new NodeError('USAGE', `${path} is not YAML: ${why}`, { hint: 'src/cli/README.md shows a job' });
  }
  for (const key of Object.keys(spec))
    if (!SPEC_KEYS.has(key)) throw new NodeError('USAGE', `"${key}" is no field of a job`, { data: { field: key } });
  const kind = textOf(spec['kind'], 'kind') ?? DEFAULT_KIND;
  const folder = path === '-' ? process.cwd() : dirname(resolve(path));
  const span = (key: string): number | undefined => {
    const given = textOf(spec[key], key);
    return given === undefined ? undefined : spanOf(given, key);
  };
  const queueMs = span('queue');
  const executionMs = span('execution');
  const totalMs = span('total');
  const maxOutputBytes = spec['max_output_bytes'];
  return requestOf({
    kind,
    model: textOf(spec['model'], 'model') ?? '',
    parts: await partsOf(spec, kind, folder),
    params: paramsOf(spec['params']),
    maxPriceUait: parseAmount(textOf(spec['max_price'], 'max_price') ?? DEFAULT_MAX_PRICE),
    idempotencyKey: textOf(spec['idempotency_key'], 'idempotency_key') ?? null,
    ...(maxOutputBytes !== undefined && {
      maxOutputBytes: integerOf(maxOutputBytes, 'max_output_bytes', MAX_OUTPUT_BYTES),
    }),
    ...(queueMs !== undefined && { queueMs }),
    ...(executionMs !== undefined && { executionMs }),
    ...(totalMs !== undefined && { totalMs }),
  });
}

type Asked = Pick<InlineRequest, 'kind' | 'model' | 'parts' | 'params' | 'maxPriceUait'> & Partial<InlineRequest>;

function requestOf(asked: Asked): InlineRequest {
  const { queueMs = DEFAULT_QUEUE_MS, executionMs = DEFAULT_EXECUTION_MS } = asked;
  return {
    maxOutputBytes: DEFAULT_OUTPUT_BYTES,
    totalMs: Math.min(MAX_JOB_MS, queueMs + 2 * executionMs),
    owner: '',
    idempotencyKey: null,
    agreement: 'single',
    ...asked,
    queueMs,
    executionMs,
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** `parts` as they are, else `messages` of a conversation, else `system` with `prompt` or a file; a module before its input. */
async function partsOf(spec: Fields, kind: string, folder: string): Promise<ContentPart[]> {
  const module = textOf(spec['module_file'], 'module_file');
  if (module !== undefined) return modulePartsOf(spec, kind, folder, module);
  const forms = [spec['parts'], spec['messages'], spec['prompt'], spec['input_file']];
  if (forms.filter((value) => value !== undefined).length !== 1) {
    throw wrong('prompt', 'given once: as prompt, as messages, as input_file, or as parts');
  }
  if (spec['parts'] !== undefined) {
    return Promise.all(listOf(spec['parts'], 'parts').map((part, i) => partOf(part, `parts[${i}]`, folder)));
  }
  const system = textOf(spec['system'], 'system');
  const first = system === undefined ? [] : [textPart('system', system)];
  const role = kind === DEFAULT_KIND ? 'user' : '';
  const prompt = textOf(spec['prompt'], 'prompt');
  if (prompt !== undefined) return [...first, textPart(role, prompt)];
  const file = textOf(spec['input_file'], 'input_file');
  if (file !== undefined) return [...first, await filePart(role, 'text/plain', resolve(folder, file))];
  return [
    ...first,
    ...listOf(spec['messages'], 'messages').map((message, i) => {
      const at = `messages[${i}]`;
      const { role, content } = fieldsOf(message, at);
      return textPart(requiredText(role, `${at}.role`), requiredText(content, `${at}.content`));
    }),
  ];
}

/** A module and, from a file or as text, its standard input. */
async function modulePartsOf(spec: Fields, kind: string, folder: string, module: string): Promise<ContentPart[]> {
  if (kind !== WASM_KIND) throw wrong('module_file', `of a job of kind ${WASM_KIND}`);
  if (spec['parts'] !== undefined || spec['messages'] !== undefined || spec['system'] !== undefined) {
    throw wrong('module_file', 'alone, or beside input_file or prompt, its standard input');
  }
  const input = textOf(spec['input_file'], 'input_file');
  const prompt = textOf(spec['prompt'], 'prompt');
  if (input !== undefined && prompt !== undefined) throw wrong('prompt', 'given once: as prompt, or as input_file');
  return [
    await filePart('', 'application/wasm', resolve(folder, module)),
    ...(input === undefined ? [] : [await filePart('', 'application/octet-stream', resolve(folder, input))]),
    ...(prompt === undefined ? [] : [textPart('', prompt)]),
  ];
}

async function filePart(role: string, mediaType: string, path: string): Promise<ContentPart> {
  return { role, mediaType, data: await readPart(path) };
}

/** `{role, media_type, text | base64 | file}`, a file beside the specification. */
async function partOf(value: unknown, at: string, folder: string): Promise<ContentPart> {
  const part = fieldsOf(value, at);
  const role = textOf(part['role'], `${at}.role`) ?? '';
  const text = textOf(part['text'], `${at}.text`);
  if (text !== undefined) return { ...textPart(role, text), mediaType: mediaTypeOf(part, at) ?? 'text/plain' };
  const mediaType = requiredText(part['media_type'], `${at}.media_type`);
  const base64 = textOf(part['base64'], `${at}.base64`);
  if (base64 !== undefined) return { role, mediaType, data: new Uint8Array(Buffer.from(base64, 'base64')) };
  const file = resolve(folder, requiredText(part['file'], `${at}.file`));
  return filePart(role, mediaType, file);
}

function mediaTypeOf(part: Fields, at: string): string | undefined {
  return textOf(part['media_type'], `${at}.media_type`);
}

async function readPart(path: string): Promise<Uint8Array> {
  try {
    if ((await stat(path)).size > MAX_BLOB_BYTES) {
      throw new NodeError('TOO_LARGE', `${path} is larger than a job may be`, { data: { limit: MAX_BLOB_BYTES } });
    }
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (error instanceof NodeError) throw error;
    throw new NodeError('USAGE', `cannot read ${path}`, { cause: error });
  }
}

/** Numbers and texts, or lists of them where a name comes again; thousandths where the kind wants integers. */
function paramsOf(value: unknown): ContentParam[] {
  if (value === undefined || value === null) return [];
  return Object.entries(fieldsOf(value, 'params')).flatMap(([name, given]) =>
    (Array.isArray(given) ? (given as unknown[]) : [given]).map((each): ContentParam => {
      const at = `params.${name}`;
      if ((name === 'temperature' || name === 'top_p') && typeof each === 'number') return milli(name, each);
      if (typeof each === 'number' && !Number.isSafeInteger(each)) throw wrong(at, 'a whole number');
      if (typeof each !== 'number' && typeof each !== 'string') throw wrong(at, 'a text or a whole number');
      return { name, value: String(each) };
    }),
  );
}

function milli(name: string, value: number): ContentParam {
  return { name: `${name}_milli`, value: String(Math.round(value * 1000)) };
}

function textPart(role: string, text: string): ContentPart {
  return { role, mediaType: 'text/plain', data: utf8(text) };
}

function fieldsOf(value: unknown, at: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong(at, 'a list of names and values');
}

function listOf(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value as unknown[];
  throw wrong(at, 'a list that is not empty');
}

function textOf(value: unknown, at: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw wrong(at, 'a text');
}

function requiredText(value: unknown, at: string): string {
  const text = textOf(value, at);
  if (text === undefined) throw wrong(at, 'there');
  return text;
}

function integerOf(value: unknown, at: string, max: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  throw wrong(at, `a whole number up to ${max}`);
}

function spanOf(text: string, at: string): number {
  try {
    return duration(text);
  } catch {
    throw wrong(at, 'a duration such as 30s or 5m');
  }
}

function wrong(at: string, expected: string): NodeError {
  return new NodeError('USAGE', `${at} of the job must be ${expected}`, {
    data: { field: at },
    hint: 'src/cli/README.md shows a job',
  });
}
