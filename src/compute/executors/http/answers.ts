/** What the back ends over HTTP share: answers of servers, bounded and checked, as the output of a job. */
import { NodeError } from '../../../errors.ts';
import type { ExecutorIo, ExecutorOutcome } from '../executor.ts';
import { emitPiece } from '../pieces.ts';
import { TextOutput } from '../text-output.ts';

const MAX_LINE_BYTES = 1024 * 1024;
const MAX_OVERHEAD_BYTES = 16 * 1024 * 1024;
/** An event around a token of one byte has up to about this size. */
const OVERHEAD_FACTOR = 1_024;

/** One message of the server: some text, why it ended, what it counted. */
export interface ChatDelta {
  readonly text: string;
  readonly finish: 'stop' | 'length' | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
}

/**
 * Leaving early ends the request.
 *
 * @throws NodeError EXECUTOR when the stream ends without saying why
 */
export async function streamChat(
  deltas: AsyncIterable<ChatDelta>,
  job: { readonly maxOutputBytes: number; readonly stops: readonly string[] },
  io: ExecutorIo,
): Promise<ExecutorOutcome> {
  const output = new TextOutput({
    maxBytes: job.maxOutputBytes,
    stops: job.stops,
    emit: (bytes) => emitPiece(io, bytes),
  });
  let finish: 'stop' | 'length' | null = null;
  let inputTokens: number | null = null;
  let outputTokens: number | null = null;
  for await (const delta of deltas) {
    const end = await output.push(delta.text);
    if (end !== null) return { finish: end, inputTokens: delta.inputTokens ?? inputTokens, outputTokens };
    finish = delta.finish ?? finish;
    inputTokens = delta.inputTokens ?? inputTokens;
    outputTokens = delta.outputTokens ?? outputTokens;
  }
  if (finish === null) {
    throw new NodeError('EXECUTOR', 'the server ended its answer in the middle', { hint: 'try again' });
  }
  return { finish: (await output.end()) ?? finish, inputTokens, outputTokens };
}

/** Of one event or line, and of all of them beside the text: JSON around every token, several times its size. */
export function chatBounds(maxOutputBytes: number): { maxLineBytes: number; maxBodyBytes: number } {
  return { maxLineBytes: MAX_LINE_BYTES, maxBodyBytes: MAX_OVERHEAD_BYTES + maxOutputBytes * OVERHEAD_FACTOR };
}

/** @throws NodeError EXECUTOR when they are not vectors of numbers, all of one length */
export function readVectors(lists: readonly (readonly unknown[])[]): (readonly number[])[] {
  const size = lists[0]?.length ?? 0;
  return lists.map((list) => {
    if (size > 0 && list.length === size && list.every((value): value is number => Number.isFinite(value))) return list;
    throw new NodeError('EXECUTOR', 'the server sent something that is not a vector for each text');
  });
}

/** A job that found nobody failed, and may be tried again: that the back end is not there is for `probe` to say. */
export async function unreachableIsFailure<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof NodeError) || error.code !== 'UNREACHABLE') throw error;
    throw new NodeError('EXECUTOR', error.message, { cause: error });
  }
}
