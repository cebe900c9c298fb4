/** Who hears whom directly: this host tells its peers, and they tell it. See `protocols/neighbours.ts`. */
import type { Connection, Stream } from '@libp2p/interface';
import {
  decodeNeighbours,
  encodeNeighbours,
  MAX_NEIGHBOURS,
  MAX_NEIGHBOURS_BYTES,
  NEIGHBOURS_PROTOCOL,
} from '../../protocols/neighbours.ts';
import type { PeerId } from '../../protocols/network.ts';
import { NEIGHBOURS_QUOTA, NEIGHBOURS_TIMEOUT_MS } from '../../protocols/registry.ts';
import type { Clock } from '../clock.ts';
import { isNodeError } from '../errors.ts';
import { deadline } from './deadline.ts';
import { framedStream } from './framed-stream.ts';
import type { PeerBook } from './peers.ts';
import type { PeerQuotas } from './peer-quotas.ts';

/** After a peer came: its gossip is heard some round trips later, and others come at the same time. */
const TELL_MS = 500;
/** Between two lists, whoever comes and goes: half of what the receiver's quota allows, so that none is refused. */
const PAUSE_MS = 1_000;

export interface NeighboursOptions {
  /** Peers that gossip is heard from. */
  readonly heard: () => readonly PeerId[];
  /** To each of those. */
  readonly connection: (peer: PeerId) => Connection | undefined;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #theirs = new Map<PeerId, ReadonlySet<PeerId>>();
  /** What each peer was told last, or is being told. */
  readonly #told = new Map<PeerId, string>();
  #cancelTell: (() => void) | null = null;
  #tellAtMs = -Infinity;
  #toldAtMs = -Infinity;
  #stopped = false;

  constructor(options: NeighboursOptions) {
    this.#options = options;
  }

  /** Peers that hear the given one themselves, as they said. */
  hearersOf(peer: PeerId): PeerId[] {
    return [...this.#theirs].flatMap(([hearer, heard]) => (heard.has(peer) ? [hearer] : []));
  }

  /** Others hear of it soon. */
  onPeer(): void {
    this.#tellIn(TELL_MS);
  }

  /** Others hear of it at once: they spared this host what it now needs. */
  onPeerGone(peer: PeerId): void {
    this.#theirs.delete(peer);
    this.#told.delete(peer);
    this.#tellIn(0);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTell?.();
  }

  /** Tells whoever was told something else, or nothing. */
  tell(): void {
    this.#tellIn(0);
  }

  #tellIn(ms: number): void {
    const { clock } = this.#options;
    if (this.#stopped) return;
    const nowMs = clock.monotonic();
    const atMs = Math.max(nowMs + ms, this.#toldAtMs + PAUSE_MS);
    if (this.#cancelTell && this.#tellAtMs <= atMs) return;
    this.#cancelTell?.();
    this.#tellAtMs = atMs;
    this.#cancelTell = clock.after(atMs - nowMs, () => {
      this.#cancelTell = null;
      this.#toldAtMs = clock.monotonic();
      this.#tellAll();
    });
  }

  #tellAll(): void {
    const heard = [...new Set(this.#options.heard())].sort();
    for (const peer of heard) {
      const connection = this.#options.connection(peer);
      const others = heard.filter((other) => other !== peer).slice(0, MAX_NEIGHBOURS);
      const text = others.join(' ');
      if (!connection || this.#told.get(peer) === text) continue;
      this.#told.set(peer, text);
      this.#send(connection, encodeNeighbours(others)).catch(() => {
        // Told again when something changes, or at the next look.
        if (this.#told.get(peer) === text) this.#told.delete(peer);
      });
    }
  }

  /** Handler of NEIGHBOURS_PROTOCOL. Never throws. */
  async serve(stream: Stream, connection: Connection): Promise<void> {
    const { quotas, clock, book } = this.#options;
    const peer = connection.remotePeer.toString();
    const framed = framedStream(stream, MAX_NEIGHBOURS_BYTES);
    const limit = deadline(clock, NEIGHBOURS_TIMEOUT_MS);
    try {
      if (!quotas.take(peer, 'neighbours', NEIGHBOURS_QUOTA, 1)) {
        // What is not known any more spares nobody anything.
        this.#theirs.delete(peer);
        framed.abort('told too often');
        return;
      }
      const bytes = await framed.read(limit.signal);
      if (bytes === null) return;
      const heard = new Set(decodeNeighbours(bytes));
      if (connection.status === 'open') this.#theirs.set(peer, heard);
      framed.close();
    } catch (error) {
      if (isNodeError(error) && (error.code === 'CODEC' || error.code === 'PEER_PROTOCOL')) {
        book.report(peer, 'protocol-error', 'neighbours');
      }
      framed.abort('not told in time');
    } finally {
      limit.clear();
    }
  }

  async #send(connection: Connection, bytes: Uint8Array): Promise<void> {
    const limit = deadline(this.#options.clock, NEIGHBOURS_TIMEOUT_MS);
    try {
      const stream = await connection.newStream(NEIGHBOURS_PROTOCOL, { signal: limit.signal });
      const framed = framedStream(stream, 0);
      try {
        await framed.write(bytes, limit.signal);
        framed.close();
      } catch (error) {
        framed.abort('not told');
        throw error;
      }
    } finally {
      limit.clear();
    }
  }
}
