/** Answers that were made and are not yet read: how much of them, over all and by client, and for how long. */
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { RpcApp } from './app.ts';
import type { Client } from './clients.ts';
import { sizeOf } from './rate-guard.ts';

/** Smaller answers are in the system's buffers at once, mostly. */
export const COUNTED_BYTES = 16 * 1024;
/** Over all clients; one answer may go over. */
export const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
/** Of one client that is not of this machine; one answer may go over. */
export const MAX_CLIENT_UNREAD_BYTES = 16 * 1024 * 1024;
/** Whoever has not read an answer by then is cut off. */
export const READ_WITHIN_MS = 60_000;

const RETRY_S = 5;

export class UnreadAnswers {
  readonly #byClient = new Map<string, number>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Clients of whom something is counted. */
  get clients(): number {
    return this.#byClient.size;
  }

  /** @returns to be called once when it was read, or its connection is gone @throws NodeError RATE_LIMITED */
  add({ key, isLocal }: Client, bytes: number): () => void {
    const own = this.#byClient.get(key) ?? 0;
    if (this.#bytes >= MAX_UNREAD_BYTES || (!isLocal && own >= MAX_CLIENT_UNREAD_BYTES)) {
      throw new NodeError('RATE_LIMITED', 'too many answers wait to be read', {
        data: { bytes: this.#bytes, limit: MAX_UNREAD_BYTES, retry_after_s: RETRY_S },
        hint: 'read the answers to earlier requests first, and ask for less at once',
      });
    }
    this.#bytes += bytes;
    this.#byClient.set(key, own + bytes);
    return () => {
      this.#bytes -= bytes;
      const left = (this.#byClient.get(key) ?? 0) - bytes;
      if (left > 0) this.#byClient.set(key, left);
      else this.#byClient.delete(key);
    };
  }
}

/** Must come after the hook that recognises clients. */
export function boundUnread(app: RpcApp, unread: UnreadAnswers, clock: Clock): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    const bytes = sizeOf(request, payload);
    if (bytes < COUNTED_BYTES) {
      done(null, payload);
      return;
    }
    let release: () => void;
    try {
      release = unread.add(request.client, bytes);
    } catch (error) {
      done(error as NodeError);
      return;
    }
    const cancel = clock.after(READ_WITHIN_MS, () => {
      request.raw.socket.destroy();
    });
    reply.raw.once('close', () => {
      cancel();
      release();
    });
    done(null, payload);
  });
}
