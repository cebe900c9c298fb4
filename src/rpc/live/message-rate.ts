/** How many messages a client may send: a bucket of tokens that fills at a steady pace. */
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import { MAX_REFUSED, MESSAGE_BURST, MESSAGES_PER_S } from './limits.ts';

export class MessageRate {
  readonly #clock: Clock;
  #tokens = MESSAGE_BURST;
  #atMs: number;
  #refused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#atMs = clock.monotonic();
  }

  /** Refused so often that the client is not to be told again. */
  get isFlood(): boolean {
    return this.#refused >= MAX_REFUSED;
  }

  /** @throws NodeError RATE_LIMITED */
  take(): void {
    const nowMs = this.#clock.monotonic();
    this.#tokens = Math.min(MESSAGE_BURST, this.#tokens + ((nowMs - this.#atMs) / 1000) * MESSAGES_PER_S);
    this.#atMs = nowMs;
    if (this.#tokens >= 1) {
      this.#tokens--;
      this.#refused = 0;
      return;
    }
    this.#refused++;
    throw new NodeError('RATE_LIMITED', 'messages come too fast on this connection', {
      data: { burst: MESSAGE_BURST, per_s: MESSAGES_PER_S },
      hint: 'wait a second before the next one',
    });
  }
}
