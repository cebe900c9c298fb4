/** Scores of peers by named action, decaying with time, and the bans that follow from them. */
import type { PeerAction } from '../../protocols/peer-actions.ts';
import { BAN_MS, BAN_SCORE, PEER_ACTIONS, SCORE_CAP, SCORE_HALF_LIFE_MS } from '../../protocols/peer-actions.ts';
import type { PeerId } from '../../protocols/network.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { NetMetrics } from './metrics.ts';

/** Peers remembered, connected or not. Beyond it those without a ban and closest to zero are forgotten. */
export const MAX_REMEMBERED_PEERS = 4_096;

/** Actions that prove nothing: a stopped or overloaded honest peer does the same. */
const UNPROVEN: ReadonlySet<PeerAction> = new Set(['timeout', 'quota']);

/** What a peer keeps of its points after a ban: half way to the next one. */
const SCORE_AFTER_BAN = BAN_SCORE / 2;

export interface Ban {
  readonly peer: PeerId;
  readonly reason: string;
  readonly remainingMs: number;
}

export interface PeerBookOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
  /** Peers the operator named. Unproven actions alone never ban them: a paused validator must be welcome when it resumes. */
  readonly persistent: ReadonlySet<PeerId>;
  /** Called once a ban: close what is open to the peer. */
  readonly onBan: (peer: PeerId) => void;
}

interface Entry {
  score: number;
  atMs: number;
  ban: { readonly untilMs: number; readonly reason: string } | null;
}

export class PeerBook {
  readonly #options: PeerBookOptions;
  readonly #entries = new Map<PeerId, Entry>();

  constructor(options: PeerBookOptions) {
    this.#options = options;
  }

  /** Points now, between BAN_SCORE and SCORE_CAP; 0 for a stranger. */
  score(peer: PeerId): number {
    const entry = this.#entries.get(peer);
    return entry === undefined ? 0 : this.#decayed(entry);
  }

  /** As gossip sees it: a peer the operator named keeps its place in the mesh until it is banned. */
  gossipScore(peer: PeerId): number {
    const score = this.score(peer);
    return this.#options.persistent.has(peer) ? Math.max(score, 0) : score;
  }

  banned(peer: PeerId): boolean {
    return this.banRemainingMs(peer) > 0;
  }

  /** @throws NodeError PEER_BANNED */
  requireNotBanned(peer: PeerId): void {
    if (!this.banned(peer)) return;
    throw new NodeError('PEER_BANNED', 'the peer is banned', {
      data: { peer, seconds: Math.ceil(this.banRemainingMs(peer) / 1_000) },
    });
  }

  /** 0 when not banned. */
  banRemainingMs(peer: PeerId): number {
    const entry = this.#entries.get(peer);
    if (!entry?.ban) return 0;
    const remainingMs = entry.ban.untilMs - this.#options.clock.monotonic();
    if (remainingMs > 0) return remainingMs;
    entry.ban = null;
    entry.score = SCORE_AFTER_BAN;
    entry.atMs = this.#options.clock.monotonic();
    return 0;
  }

  bans(): Ban[] {
    return [...this.#entries]
      .map(([peer, entry]) => ({ peer, reason: entry.ban?.reason ?? '', remainingMs: this.banRemainingMs(peer) }))
      .filter(({ remainingMs }) => remainingMs > 0);
  }

  report(peer: PeerId, action: PeerAction, reason: string): void {
    const { clock, log, metrics, persistent } = this.#options;
    metrics.actions.inc({ action });
    if (this.banned(peer)) return;
    const entry = this.#entry(peer);
    const floor = persistent.has(peer) && UNPROVEN.has(action) ? BAN_SCORE + 1 : BAN_SCORE;
    const before = this.#decayed(entry);
    entry.score = Math.max(Math.min(floor, before), Math.min(SCORE_CAP, before + PEER_ACTIONS[action]));
    entry.atMs = clock.monotonic();
    if (PEER_ACTIONS[action] < 0) log.debug('peer lost points', { peer, action, reason, score: entry.score });
    if (entry.score > BAN_SCORE) return;
    entry.ban = { untilMs: clock.monotonic() + BAN_MS, reason: `${action}: ${reason}` };
    metrics.bans.inc();
    log.warn('peer banned', { peer, action, reason, minutes: BAN_MS / 60_000 });
    this.#options.onBan(peer);
  }

  #entry(peer: PeerId): Entry {
    const known = this.#entries.get(peer);
    if (known) return known;
    if (this.#entries.size >= MAX_REMEMBERED_PEERS) this.#forgetOne();
    const entry: Entry = { score: 0, atMs: this.#options.clock.monotonic(), ban: null };
    this.#entries.set(peer, entry);
    return entry;
  }

  #forgetOne(): void {
    let least: PeerId | undefined;
    let leastWeight = Infinity;
    for (const [peer, entry] of this.#entries) {
      const remainingMs = this.banRemainingMs(peer);
      const weight = remainingMs > 0 ? 1_000 + remainingMs : Math.abs(this.#decayed(entry));
      if (weight < leastWeight) [least, leastWeight] = [peer, weight];
      if (weight < 0.5) break;
    }
    if (least !== undefined) this.#entries.delete(least);
  }

  #decayed(entry: Entry): number {
    const ageMs = Math.max(0, this.#options.clock.monotonic() - entry.atMs);
    return entry.score * 0.5 ** (ageMs / SCORE_HALF_LIFE_MS);
  }
}
