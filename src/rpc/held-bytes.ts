/** Memory that requests hold, over all clients and for each: what is beyond is refused. */
import { NodeError } from '../errors.ts';
import type { Client } from './clients.ts';

export interface HeldLimits {
  /** Over all clients; one request may go over. */
  readonly all: number;
  /** Of one client that is not of this machine; one request may go over. */
  readonly client: number;
  /** What there is too much of, and what to do about it: sentences. */
  readonly message: string;
  readonly hint: string;
}

const RETRY_S = 5;

export class HeldBytes {
  readonly #limits: HeldLimits;
  readonly #byClient = new Map<string, number>();
  #bytes = 0;

  constructor(limits: HeldLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Clients that hold something. */
  get clients(): number {
    return this.#byClient.size;
  }

  /** @returns gives them back; further calls do nothing @throws NodeError RATE_LIMITED */
  add({ key, isLocal }: Client, bytes: number): () => void {
    const { all, client, message, hint } = this.#limits;
    const own = this.#byClient.get(key) ?? 0;
    if (this.#bytes >= all || (!isLocal && own >= client)) {
      const data = { bytes: this.#bytes, limit: all, retry_after_s: RETRY_S };
      throw new NodeError('RATE_LIMITED', message, { data, hint });
    }
    this.#bytes += bytes;
    this.#byClient.set(key, own + bytes);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#bytes -= bytes;
      const left = (this.#byClient.get(key) ?? 0) - bytes;
      if (left > 0) this.#byClient.set(key, left);
      else this.#byClient.delete(key);
    };
  }
}
