/** Answers in pieces: made no faster than they are read, and ended when they are read no longer. */
import type { FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';

/** Nothing of a piece was taken for so long: the connection is cut. */
export const PIECE_WITHIN_MS = 30_000;
/** A comment where nothing is told, so that no intermediary ends the connection. */
const COMMENT_EVERY_MS = 15_000;
/** Of server-sent events. */
const COMMENT = ': alive\n\n';

/** What waits to be sent is one piece, and the buffers of stream and socket. */
export function asRead(pieces: AsyncIterable<string>, request: FastifyRequest, clock: Clock): Readable {
  const cut = (): void => {
    request.raw.socket.destroy();
  };
  return Readable.from(cutWhenUnread(pieces, clock, cut), { objectMode: false });
}

async function* cutWhenUnread(pieces: AsyncIterable<string>, clock: Clock, cut: () => void): AsyncGenerator<string> {
  for await (const piece of pieces) {
    const cancel = clock.after(PIECE_WITHIN_MS, cut);
    try {
      yield piece;
    } finally {
      cancel();
    }
  }
}

/** The same with comments in the pauses. */
export async function* withComments(pieces: AsyncIterable<string>, clock: Clock): AsyncGenerator<string> {
  const iterator = pieces[Symbol.asyncIterator]();
  let next = iterator.next();
  let cancel = (): void => undefined;
  try {
    for (;;) {
      const pause = new Promise<null>((resolve) => {
        cancel = clock.after(COMMENT_EVERY_MS, () => {
          resolve(null);
        });
      });
      const result = await Promise.race([next, pause]);
      cancel();
      if (result?.done === true) return;
      yield result ? result.value : COMMENT;
      if (result) next = iterator.next();
    }
  } finally {
    cancel();
    // What it waits for is ended by the signal it was given: not waited for here.
    next.catch(() => undefined);
    void iterator.return?.(undefined);
  }
}
