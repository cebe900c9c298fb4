/** What each kind takes: parts and parameters of a job, checked once for every back end. */
import { paramOf, paramsOf } from '../../chain/market/content.ts';
import { NodeError } from '../../errors.ts';
import type { ExecutorJob } from './executor.ts';

export const CHAT = 'llm.chat';
export const EMBED = 'text.embed';
export const WASM = 'wasm.run';

export type ChatRole = 'system' | 'user' | 'assistant' | 'tool';

export interface ChatMessage {
  readonly role: ChatRole;
  readonly content: string;
}

export interface ChatJob {
  readonly messages: readonly ChatMessage[];
  /** Null: as many as the back end gives. */
  readonly maxTokens: number | null;
  /** Thousandths; 0, the default, always takes the likeliest token. */
  readonly temperatureMilli: number;
  readonly topPMilli: number | null;
  readonly seed: number | null;
  readonly stops: readonly string[];
}

export interface WasmJob {
  readonly module: Uint8Array;
  readonly stdin: Uint8Array;
  readonly args: readonly string[];
  /** Of the pseudo-random bytes that the module is given. */
  readonly seed: number;
}

const MAX_TOKENS = 1_000_000;
const MAX_TEMPERATURE_MILLI = 2_000;
const MAX_SEED = 2 ** 32 - 1;
const MAX_STOPS = 16;
const MAX_STOP_BYTES = 256;

/** @throws NodeError BAD_JOB */
export function readChat(job: ExecutorJob): ChatJob {
  allowParams(job, ['max_tokens', 'temperature_milli', 'top_p_milli', 'seed', 'stop']);
  const messages = job.parts.map((part, index) => ({
    role: readRole(part.role),
    content: readText(job, index),
  }));
  if (!messages.some(({ role }) => role === 'user')) throw badJob(job, 'a chat needs a message of the role user');
  return {
    messages,
    maxTokens: integer(job, 'max_tokens', 1, MAX_TOKENS),
    temperatureMilli: integer(job, 'temperature_milli', 0, MAX_TEMPERATURE_MILLI) ?? 0,
    topPMilli: integer(job, 'top_p_milli', 1, 1_000),
    seed: integer(job, 'seed', 0, MAX_SEED),
    stops: readStops(job),
  };
}

/** The texts, one a part. @throws NodeError BAD_JOB */
export function readEmbed(job: ExecutorJob): string[] {
  allowParams(job, []);
  if (job.parts.length === 0) throw badJob(job, 'nothing to embed: a part for each text is needed');
  return job.parts.map((_, index) => readText(job, index));
}

/** @throws NodeError BAD_JOB */
export function readWasm(job: ExecutorJob): WasmJob {
  allowParams(job, ['arg', 'seed']);
  const [module, stdin] = job.parts;
  if (module?.mediaType !== 'application/wasm' || job.parts.length > 2) {
    throw badJob(job, 'the first part is the module (application/wasm), a second one its standard input');
  }
  const args = paramsOf(job, 'arg');
  if (args.some((arg) => arg.includes('\0'))) throw badJob(job, 'an argument holds a zero byte');
  return {
    module: module.data,
    stdin: stdin?.data ?? new Uint8Array(),
    args,
    seed: integer(job, 'seed', 0, MAX_SEED) ?? 0,
  };
}

/** @throws NodeError BAD_JOB when vectors of so many numbers do not fit: a part of a vector is of no use */
export function requireVectorRoom(job: ExecutorJob, numbers: number): void {
  const size = numbers * 4;
  if (size <= job.maxOutputBytes) return;
  throw new NodeError('BAD_JOB', `the vectors take ${size} bytes, more than the ${job.maxOutputBytes} allowed`, {
    hint: 'raise the limit of output bytes or send fewer texts',
  });
}

/** Vectors as output: float32, little-endian, one after the other. @throws NodeError BAD_JOB when they do not fit */
export function vectorBytes(job: ExecutorJob, vectors: readonly (readonly number[])[]): Uint8Array {
  const numbers = vectors.flat();
  requireVectorRoom(job, numbers.length);
  const view = new DataView(new ArrayBuffer(numbers.length * 4));
  numbers.forEach((value, index) => {
    view.setFloat32(index * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}

function badJob({ kind }: Pick<ExecutorJob, 'kind'>, message: string): NodeError {
  return new NodeError('BAD_JOB', `${kind}: ${message}`);
}

/** @throws NodeError BAD_JOB: a parameter that is silently ignored would be paid for and not had */
function allowParams(job: ExecutorJob, names: readonly string[]): void {
  const unknown = job.params.find(({ name }) => !names.includes(name));
  if (unknown === undefined) return;
  throw new NodeError('BAD_JOB', `${job.kind} takes no parameter of that name`, {
    data: { param: unknown.name },
    hint: names.length === 0 ? 'it takes none' : `it takes ${names.join(', ')}`,
  });
}

function readRole(role: string): ChatRole {
  if (role === '') return 'user';
  if (role === 'system' || role === 'user' || role === 'assistant' || role === 'tool') return role;
  throw new NodeError('BAD_JOB', 'not a role of a chat', {
    data: { role },
    hint: 'roles are system, user, assistant and tool',
  });
}

function readText(job: ExecutorJob, index: number): string {
  const part = job.parts[index];
  if (part?.mediaType !== 'text/plain') throw badJob(job, `part ${index} is not text/plain`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(part.data);
  } catch {
    throw badJob(job, `part ${index} is not valid UTF-8`);
  }
}

function integer(job: ExecutorJob, name: string, least: number, most: number): number | null {
  const text = paramOf(job, name);
  if (text === undefined) return null;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw badJob(job, `${name} is a whole number from ${least} to ${most}`);
}

function readStops(job: ExecutorJob): string[] {
  const stops = paramsOf(job, 'stop');
  if (stops.length > MAX_STOPS) throw badJob(job, `at most ${MAX_STOPS} texts to stop at`);
  for (const stop of stops) {
    const size = new TextEncoder().encode(stop).length;
    if (size === 0 || size > MAX_STOP_BYTES) throw badJob(job, `a text to stop at has 1 to ${MAX_STOP_BYTES} bytes`);
  }
  return stops;
}
