/** Token buckets by peer and kind of use, a chain's apart from another's, kept over reconnections and bounded in number. */
import type { PeerId } from '../../protocols/network.ts';
import type { QuotaRule } from '../../protocols/quotas.ts';
import { TokenBucket } from '../../protocols/quotas.ts';
import { REFUSAL_QUOTA } from '../../protocols/registry.ts';
import type { Clock } from '../clock.ts';
import type { PeerBook } from './peers.ts';

/** Some 16 kinds a chain and peer: 16 chains with 128 peers. */
export const MAX_BUCKETS = 32_768;

export class PeerQuotas {
  readonly #clock: Clock;
  readonly #book: PeerBook;
  /** Least recently used first. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, book: PeerBook) {
    this.#clock = clock;
    this.#book = book;
  }

  /** False when the peer is over its quota; one that goes on regardless is reported. */
  take(peer: PeerId, kind: string, rule: QuotaRule, cost: number): boolean {
    if (this.#bucket(peer, kind, rule).take(cost, this.#clock.monotonic())) return true;
    this.refused(peer, kind);
    return false;
  }

  /** For what was used already; see {@link TokenBucket.charge}. */
  charge(peer: PeerId, kind: string, rule: QuotaRule, cost: number): void {
    this.#bucket(peer, kind, rule).charge(cost, this.#clock.monotonic());
  }

  /** A refusal for another reason than a bucket, which counts against the peer in the same way. */
  refused(peer: PeerId, kind: string): void {
    if (!this.#bucket(peer, 'refusals', REFUSAL_QUOTA).take(1, this.#clock.monotonic())) {
      this.#book.report(peer, 'quota', kind);
    }
  }

  #bucket(peer: PeerId, kind: string, rule: QuotaRule): TokenBucket {
    const key = `${peer} ${kind}`;
    let bucket = this.#buckets.get(key);
    if (bucket) this.#buckets.delete(key);
    else bucket = new TokenBucket(rule, this.#clock.monotonic());
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > MAX_BUCKETS) {
      const oldest = this.#buckets.keys().next();
      if (oldest.done !== true) this.#buckets.delete(oldest.value);
    }
    return bucket;
  }
}
