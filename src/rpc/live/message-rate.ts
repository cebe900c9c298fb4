/** How many messages a client may send on one connection. */
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import { TokenBucket } from '../token-bucket.ts';
import { MAX_REFUSED, MESSAGE_BURST, MESSAGES_PER_S } from './limits.ts';

export class MessageRate {
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  #refused = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#bucket = new TokenBucket(MESSAGE_BURST, MESSAGES_PER_S, clock.monotonic());
  }

  /** Refused so often that the client is not to be told again. */
  get isFlood(): boolean {
    return this.#refused >= MAX_REFUSED;
  }

  /** @throws NodeError RATE_LIMITED */
  take(): void {
    const nowMs = this.#clock.monotonic();
    if (this.#bucket.hasOne(nowMs)) {
      this.#bucket.spend(1, nowMs);
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
