/** Handing output over while the job may be canceled. */
import { NodeError } from '../../errors.ts';
import type { ExecutorIo } from './executor.ts';

/** The largest piece of output that a back end may hand over. */
export const MAX_PIECE_BYTES = 64 * 1024;

export function canceled(): NodeError {
  return new NodeError('CANCELED', 'the work was canceled');
}

/** Resolves when more may come. @throws NodeError CANCELED, however long the receiver waits */
export async function emitPiece(io: ExecutorIo, bytes: Uint8Array): Promise<void> {
  await orCanceled(io.emit(bytes), io.signal);
}

/** @throws NodeError CANCELED when the signal is aborted before `work` settles */
async function orCanceled<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      reject(canceled());
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    work.catch(() => undefined);
  }
}

/** The same receiver, given up on when either is aborted. */
export function withSignal(io: ExecutorIo, signal: AbortSignal): ExecutorIo {
  return { signal: AbortSignal.any([io.signal, signal]), emit: (bytes) => io.emit(bytes) };
}

/** Output in pieces of bounded size. */
export async function emitAll(io: ExecutorIo, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; offset += MAX_PIECE_BYTES) {
    await emitPiece(io, bytes.slice(offset, offset + MAX_PIECE_BYTES));
  }
}
