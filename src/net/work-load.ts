/** Work streams of a host, over all its chains: how many there are, what they hold, and which are dead. */
import { PING_RECORD } from '../../protocols/market/work-channel.ts';
import type { PeerId } from '../../protocols/network.ts';
import { WORK } from '../../protocols/registry.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { NetMetrics } from './metrics.ts';
import type { PacedStream } from './paced-stream.ts';

export type Side = 'client' | 'miner';

/** How often streams are looked at. */
const SWEEP_MS = 1_000;

/** One stream as the load sees it; times are monotonic. */
export interface LoadedStream {
  readonly peer: PeerId;
  /** Ours. */
  readonly side: Side;
  readonly paced: PacedStream;
  heardMs: number;
  sentMs: number;
  /** Since when a frame waits to be taken; null when none does. */
  sendingMs: number | null;
}

export class WorkLoad {
  readonly #clock: Clock;
  readonly #metrics: NetMetrics;
  readonly #streams = new Set<LoadedStream>();
  readonly #counts: Readonly<Record<Side, Map<PeerId, number>>> = { client: new Map(), miner: new Map() };
  readonly #totals: Record<Side, number> = { client: 0, miner: 0 };
  #stopSweep: (() => void) | null = null;

  constructor(clock: Clock, metrics: NetMetrics) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** Counts one more stream. @returns false when the peer has its share; else `leave` is called once afterwards */
  enter(side: Side, peer: PeerId): boolean {
    const counts = this.#counts[side];
    const count = counts.get(peer) ?? 0;
    if (count >= WORK.maxStreams - this.#totals[side]) return false;
    counts.set(peer, count + 1);
    this.#total(side, 1);
    return true;
  }

  leave(side: Side, peer: PeerId): void {
    const counts = this.#counts[side];
    const left = (counts.get(peer) ?? 1) - 1;
    if (left > 0) counts.set(peer, left);
    else counts.delete(peer);
    this.#total(side, -1);
  }

  add(stream: LoadedStream): void {
    this.#streams.add(stream);
    this.#stopSweep ??= every(this.#clock, SWEEP_MS, () => {
      this.#sweep();
    });
  }

  remove(stream: LoadedStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#stopSweep?.();
    this.#stopSweep = null;
  }

  #total(side: Side, change: number): void {
    this.#totals[side] += change;
    this.#metrics.workStreams.set(this.#totals[side], { side });
  }

  #sweep(): void {
    const nowMs = this.#clock.monotonic();
    const heldBy = new Map<PeerId, number>();
    let held = 0;
    for (const stream of this.#streams) {
      const dead = whyDead(stream, nowMs);
      if (dead !== null) this.#abort(stream, dead, 'the other side of the work stream is gone');
      else {
        const { heldBytes } = stream.paced;
        held += heldBytes;
        heldBy.set(stream.peer, (heldBy.get(stream.peer) ?? 0) + heldBytes);
        this.#ping(stream, nowMs);
      }
    }
    this.#metrics.workHeldBytes.set(held);
    const heaviest = [...heldBy].sort(([, a], [, b]) => b - a);
    for (const [peer, bytes] of heaviest) {
      if (held <= WORK.maxHeldBytes) break;
      held -= bytes;
      for (const stream of this.#streams) {
        if (stream.peer === peer) this.#abort(stream, 'memory', 'work streams of this peer hold too much memory');
      }
    }
  }

  #ping(stream: LoadedStream, nowMs: number): void {
    if (nowMs - stream.sentMs < WORK.pingMs || stream.sendingMs !== null || !stream.paced.isOpen) return;
    stream.sentMs = nowMs;
    // A stream that broke says so to who reads it.
    stream.paced.write(PING_RECORD).catch(() => undefined);
  }

  #abort(stream: LoadedStream, reason: string, message: string): void {
    this.#metrics.workAborted.inc({ reason });
    stream.paced.abort(new NodeError('UNREACHABLE', message, { data: { peer: stream.peer, reason } }));
  }
}

function whyDead({ paced, heardMs, sendingMs }: LoadedStream, nowMs: number): string | null {
  // What we do not take, we cannot hear.
  if (!paced.isPaused && nowMs - heardMs > WORK.leaseMs) return 'silent';
  if (sendingMs !== null && nowMs - sendingMs > WORK.stallMs) return 'stalled';
  return null;
}
