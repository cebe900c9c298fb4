/** What the node and its child say to each other, as structured clones over the child's IPC channel. */
import type { ErrorCode } from '../../../errors.ts';
import { isErrorCode } from '../../../errors.ts';
import type { ChatJob, WasmJob } from '../job.ts';
import { MAX_PIECE_BYTES } from '../pieces.ts';

export interface ModelSpec {
  readonly path: string;
  /** The prompt form of the model that comes with the program; others carry a chat template. */
  readonly form: 'question-answer' | 'template';
  /** Most tokens of prompt and answer together; a model trained on fewer has fewer. */
  readonly contextTokens: number;
  /** Conversations at once. */
  readonly sequences: number;
  readonly threads: number;
  /** Models kept loaded at once; the one idle for longest makes room. */
  readonly maxLoaded: number;
}

export type Task =
  | { readonly type: 'inspect'; readonly path: string }
  | { readonly type: 'load'; readonly model: ModelSpec }
  | { readonly type: 'chat'; readonly model: ModelSpec; readonly chat: ChatJob; readonly maxOutputBytes: number }
  | { readonly type: 'embed'; readonly texts: readonly string[] }
  | { readonly type: 'wasm'; readonly wasm: WasmJob; readonly maxOutputBytes: number };

export interface TaskResult {
  readonly finish: 'stop' | 'length';
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** Of `inspect`: what the model was trained on. */
  readonly contextTokens: number | null;
  /** Paths of the models loaded now. */
  readonly loaded: readonly string[];
}

export type ToChild =
  | { readonly type: 'start'; readonly id: number; readonly task: Task }
  /** The last piece was taken: the next may come. */
  | { readonly type: 'more'; readonly id: number }
  | { readonly type: 'cancel'; readonly id: number };

export type FromChild =
  | { readonly type: 'piece'; readonly id: number; readonly bytes: Uint8Array }
  | { readonly type: 'done'; readonly id: number; readonly result: TaskResult }
  | { readonly type: 'failed'; readonly id: number; readonly code: ErrorCode; readonly message: string };

const MAX_MESSAGE = 4_096;
const MAX_LOADED = 64;

/** A child runs the code of strangers: what it says is checked like a peer's. Null when it is not a message. */
export function readFromChild(message: unknown): FromChild | null {
  if (!isRecord(message)) return null;
  const { type, id } = message;
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) return null;
  if (type === 'piece') {
    const { bytes } = message;
    const fits = bytes instanceof Uint8Array && bytes.length > 0 && bytes.length <= MAX_PIECE_BYTES;
    return fits ? { type, id, bytes } : null;
  }
  if (type === 'done') {
    const result = readResult(message['result']);
    return result === null ? null : { type, id, result };
  }
  if (type === 'failed') {
    const { code, message: text } = message;
    if (typeof code !== 'string' || !isErrorCode(code) || typeof text !== 'string') return null;
    return { type, id, code, message: text.slice(0, MAX_MESSAGE) };
  }
  return null;
}

function readResult(value: unknown): TaskResult | null {
  if (!isRecord(value)) return null;
  const { finish, inputTokens, outputTokens, contextTokens, loaded } = value;
  if (finish !== 'stop' && finish !== 'length') return null;
  if (!isCount(inputTokens) || !isCount(outputTokens) || !isCount(contextTokens)) return null;
  if (!Array.isArray(loaded) || loaded.length > MAX_LOADED) return null;
  if (!loaded.every((path): path is string => typeof path === 'string')) return null;
  return { finish, inputTokens, outputTokens, contextTokens, loaded };
}

function isCount(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
