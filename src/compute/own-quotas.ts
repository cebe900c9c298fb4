/**
 * What this node asks of a peer that has a miner, for itself and for clients that it passes on: no more than the peer's quota,
 * above which it would lose its standing there for what its clients do.
 */
import type { PeerId } from '../../protocols/network.ts';
import type { QuotaRule } from '../../protocols/quotas.ts';
import { TokenBucket } from '../../protocols/quotas.ts';
import { METHODS, WORK } from '../../protocols/registry.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';

/** Peers remembered, for quotes and for streams; the one asked longest ago begins anew. */
export const MAX_ASKED_PEERS = 4_096;
/** Of the rate: what was spread over time when it left may arrive together. */
const SHARE = 7 / 8;

const RULES = { quotes: METHODS.quote.quota, 'work streams': WORK.quota } as const satisfies Record<string, QuotaRule>;

export class OwnQuotas {
  readonly #clock: Clock;
  /** The one asked longest ago first. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** @throws NodeError RATE_LIMITED */
  take(peer: PeerId, what: keyof typeof RULES): void {
    const key = `${what} ${peer}`;
    const nowMs = this.#clock.monotonic();
    const { capacity, refillPerSecond } = RULES[what];
    const rule = { capacity, refillPerSecond: refillPerSecond * SHARE };
    const bucket = this.#buckets.get(key) ?? new TokenBucket(rule, nowMs);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_ASKED_PEERS) break;
      this.#buckets.delete(oldest);
    }
    if (bucket.take(1, nowMs)) return;
    throw new NodeError('RATE_LIMITED', `this node asks the miner for too many ${what}`, {
      data: { peer, per_s: rule.refillPerSecond },
      hint: 'wait a second, or ask another miner',
    });
  }
}
