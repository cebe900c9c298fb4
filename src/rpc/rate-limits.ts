/**
 * How much each client may ask for, in three kinds that do not eat each other up. A request is taken while anything is
 * left, and what it turned out to cost is paid off before the next one: so a large batch is taken whole, and the rate holds.
 */
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Client } from './clients.ts';
import { TokenBucket } from './token-bucket.ts';

/** `heavy`: reads that cost some milliseconds of a core. `write`: transactions. */
export type Load = 'read' | 'heavy' | 'write';

/** Of each kind so many a second; 0: as many as one likes. */
export type Rates = Readonly<Record<Load, number>>;

/** Seconds of the rate that may be asked for at once. */
export const BURST_S = 2;
/** Clients that are remembered; beyond, who asked least recently begins anew. */
export const MAX_CLIENTS = 10_000;
/** Body and answer each count as one read more for each of these. */
export const BYTES_PER_READ = 64 * 1024;

/** Seconds of the rate of an API key that may be asked for at once. */
const QUOTA_BURST_S = 10;

/** What a client is told of where it stands. */
export interface Standing {
  readonly limit: number;
  readonly remaining: number;
  /** Until all of `limit` is there again. */
  readonly resetS: number;
}

type Buckets = Partial<Record<Load, TokenBucket>>;

const WHAT: Readonly<Record<Load, string>> = {
  read: 'requests come too fast',
  heavy: 'requests that cost much come too fast',
  write: 'transactions come too fast',
};

export class RateLimits {
  #rates: Rates;
  readonly #clock: Clock;
  /** In the order of their last request. */
  readonly #clients = new Map<string, Buckets>();
  /** Of API keys, likewise. */
  readonly #quotas = new Map<string, TokenBucket>();

  constructor(rates: Rates, clock: Clock) {
    this.#rates = rates;
    this.#clock = clock;
  }

  /** From now on; every client begins anew. */
  setRates(rates: Rates): void {
    this.#rates = rates;
    this.#clients.clear();
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  /** One request. @throws NodeError RATE_LIMITED with `retry_after_s` */
  take(client: Client, load: Load): void {
    const nowMs = this.#clock.monotonic();
    const bucket = this.#bucket(client, load);
    const quota = this.#quota(client);
    if (bucket?.hasOne(nowMs) === false) {
      throw new NodeError('RATE_LIMITED', `${WHAT[load]} from this client`, {
        data: { kind: load, per_s: this.#rates[load], retry_after_s: Math.ceil(bucket.waitMs(1, nowMs) / 1000) },
        hint: 'wait as long as Retry-After says; a node of your own has no such limit',
      });
    }
    if (quota?.hasOne(nowMs) === false) {
      const retryAfterS = Math.ceil(quota.waitMs(1, nowMs) / 1000);
      throw new NodeError('RATE_LIMITED', 'requests come too fast for this API key', {
        data: { kind: 'key', per_minute: client.quota?.perMinute, retry_after_s: retryAfterS },
        hint: 'wait as long as Retry-After says, or have the operator give a key with a higher rate',
      });
    }
    bucket?.spend(1, nowMs);
    quota?.spend(1, nowMs);
  }

  /** What a request that was taken cost besides. */
  spend(client: Client, load: Load, count: number): void {
    if (count > 0) this.#bucket(client, load)?.spend(count, this.#clock.monotonic());
  }

  /** @returns null for whom there is no limit */
  standing(client: Client, load: Load): Standing | null {
    const nowMs = this.#clock.monotonic();
    const standings = [this.#bucket(client, load), this.#quota(client)].flatMap((bucket) =>
      bucket ? [standingOf(bucket, nowMs)] : [],
    );
    return standings.sort((a, b) => a.remaining - b.remaining)[0] ?? null;
  }

  #bucket({ key, isLocal }: Client, load: Load): TokenBucket | null {
    const perS = this.#rates[load];
    if (isLocal || perS === 0) return null;
    const buckets = touched<Buckets>(this.#clients, key, () => ({}));
    return (buckets[load] ??= new TokenBucket(perS * BURST_S, perS, this.#clock.monotonic()));
  }

  #quota({ quota }: Client): TokenBucket | null {
    if (!quota) return null;
    const perS = quota.perMinute / 60;
    const most = Math.max(1, Math.floor(perS * QUOTA_BURST_S));
    return touched(this.#quotas, quota.id, () => new TokenBucket(most, perS, this.#clock.monotonic()));
  }
}

/** As the one used last; of too many the one not used for longest goes. */
function touched<T>(entries: Map<string, T>, key: string, make: () => T): T {
  const entry = entries.get(key) ?? make();
  entries.delete(key);
  entries.set(key, entry);
  if (entries.size > MAX_CLIENTS) {
    for (const oldest of entries.keys()) {
      entries.delete(oldest);
      break;
    }
  }
  return entry;
}

function standingOf(bucket: TokenBucket, nowMs: number): Standing {
  return {
    limit: bucket.most,
    remaining: Math.max(0, Math.floor(bucket.tokens(nowMs))),
    resetS: Math.ceil(bucket.fullInMs(nowMs) / 1000),
  };
}
