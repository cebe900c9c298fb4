/**
 * The chunks of one snapshot, fetched from all peers that have it, several at once, each verified and kept as it comes.
 * What is on the disk is read again before the fetching and after it: a chunk that was damaged there is fetched anew.
 */
import { equalBytes } from '../bytes.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { StateManifest } from '../chain/state-chunks.ts';
import { encodeManifest, verifyChunk } from '../chain/state-chunks.ts';
import type { Clock } from '../clock.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { JoinFolder } from '../store/join-folder.ts';
import type { JoinPeers } from './join-peers.ts';
import { MAX_IN_FLIGHT } from './join-peers.ts';

/** A chunk that is the last one wanted and takes so long is asked of another peer too. */
export const HEDGE_MS = 1_500;
/** Peers that have not said yet whether they have the snapshot are asked so often. */
const CANVASS_MS = 2_000;
const LOOK_MS = 250;
/** Nobody has the snapshot for so long: it is given up. */
export const GIVE_UP_MS = 12_000;
const REPORT_EVERY_MS = 5_000;
const MAX_CANVASSED = 256;
/** Times that chunks are fetched because those before were damaged on this node's own disk. */
export const MAX_ROUNDS = 4;

export interface ChunkProgress {
  readonly chunksDone: number;
  readonly chunksTotal: number;
  readonly bytesPerSecond: number;
  /** Null when it cannot be told yet. */
  readonly etaSeconds: number | null;
}

export interface ChunkModules {
  readonly crypto: Hasher;
  readonly folder: JoinFolder;
  readonly clock: Clock;
  readonly log: Logger;
  readonly network: ChainNetwork;
  readonly peers: JoinPeers;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: ChunkProgress) => void;
}

interface Flight {
  readonly peer: PeerId;
  readonly atMs: number;
}

/**
 * @returns false when nobody gives the rest
 * @throws NodeError STORAGE when what is written does not come back; errors of the folder
 */
export async function fetchChunks(manifest: StateManifest, modules: ChunkModules): Promise<boolean> {
  return new ChunkFetch(manifest, modules).run();
}

class ChunkFetch {
  readonly #manifest: StateManifest;
  readonly #modules: ChunkModules;
  readonly #hash: Uint8Array;
  #todo: number[] = [];
  #done = new Set<number>();
  readonly #flights = new Map<number, Flight[]>();
  readonly #canvassed = new Set<PeerId>();
  #canvassing = 0;
  #canvassedAtMs = -Infinity;
  #bytes = 0;
  #fetched = 0;
  #startMs = 0;
  /** Of this node's own disk. */
  #failure: Error | null = null;
  #wake: () => void = () => undefined;

  constructor(manifest: StateManifest, modules: ChunkModules) {
    this.#manifest = manifest;
    this.#modules = modules;
    this.#hash = modules.crypto.hash(encodeManifest(manifest));
  }

  async run(): Promise<boolean> {
    const { clock, signal } = this.#modules;
    this.#startMs = clock.monotonic();
    for (let rounds = 0; ; rounds++) {
      await this.#look();
      if (this.#todo.length === 0) return true;
      if (rounds === MAX_ROUNDS) break;
      if (signal.aborted || !(await this.#fetchAll())) return false;
    }
    throw new NodeError('STORAGE', 'fetched chunks do not come back from the disk as they were written', {
      data: { damaged: this.#todo.length },
      hint: 'check the disk and the memory of this machine',
    });
  }

  /** Finds what is here, and lacks. */
  async #look(): Promise<void> {
    const { folder, log, signal } = this.#modules;
    const here = await folder.chunks(signal);
    const done = new Set<number>();
    const todo: number[] = [];
    this.#manifest.chunks.forEach(({ node }, index) => {
      if (node.kind === 'empty' || here.has(index)) done.add(index);
      else todo.push(index);
    });
    this.#done = done;
    this.#todo = todo;
    if (this.#fetched === 0 && here.size > 0) log.info('chunks are here already', { chunks: here.size });
  }

  /** @returns whether all came */
  async #fetchAll(): Promise<boolean> {
    const { clock, peers, signal } = this.#modules;
    let hopefulAtMs = clock.monotonic();
    let reportedAtMs = hopefulAtMs;
    while (this.#done.size < this.#manifest.chunks.length) {
      if (this.#failure) throw this.#failure;
      if (signal.aborted) return false;
      this.#canvass();
      this.#dispatch();
      const nowMs = clock.monotonic();
      if (peers.count > 0 || this.#canvassing > 0) hopefulAtMs = nowMs;
      if (nowMs - hopefulAtMs > GIVE_UP_MS) return false;
      if (nowMs - reportedAtMs > REPORT_EVERY_MS) {
        reportedAtMs = nowMs;
        this.#report();
      }
      await this.#change();
    }
    return true;
  }

  /** Resolves when an answer is here, or after a moment. */
  async #change(): Promise<void> {
    const { clock } = this.#modules;
    this.#modules.onProgress(this.#progress());
    await new Promise<void>((resolve) => {
      const cancel = clock.after(LOOK_MS, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }

  /** Finds out which peers have this very snapshot; each is asked once. */
  #canvass(): void {
    const { clock, network, peers, signal, crypto, log } = this.#modules;
    const nowMs = clock.monotonic();
    if (nowMs - this.#canvassedAtMs < CANVASS_MS) return;
    this.#canvassedAtMs = nowMs;
    for (const peer of network.peers()) {
      if (peers.has(peer) || this.#canvassed.has(peer) || this.#canvassed.size >= MAX_CANVASSED) continue;
      this.#canvassed.add(peer);
      this.#canvassing += 1;
      network
        .request(peer, 'snapshot', { below: this.#manifest.height + 1 }, signal)
        .then((manifest) => {
          if (manifest && equalBytes(crypto.hash(encodeManifest(manifest)), this.#hash)) peers.add(peer);
        })
        .catch((error: unknown) => {
          log.debug('no answer about snapshots', { peer, code: toNodeError(error).code });
        })
        .finally(() => {
          this.#canvassing -= 1;
          this.#wake();
        });
    }
  }

  #dispatch(): void {
    const { peers, clock } = this.#modules;
    const nowMs = clock.monotonic();
    while (this.#todo.length > 0 && peers.inFlight < MAX_IN_FLIGHT) {
      const peer = peers.choose(nowMs);
      if (peer === undefined) return;
      this.#ask(this.#todo.shift() ?? 0, peer);
    }
    if (this.#todo.length > 0) return;
    for (const [index, [first, ...others]] of this.#flights) {
      // What another peer has given by now may still be on its way from one that stalls.
      if (!first || others.length > 0 || this.#done.has(index) || nowMs - first.atMs < HEDGE_MS) continue;
      const peer = peers.choose(nowMs, first.peer);
      if (peer === undefined || peers.inFlight >= MAX_IN_FLIGHT) return;
      this.#ask(index, peer);
    }
  }

  #ask(index: number, peer: PeerId): void {
    const { clock, peers } = this.#modules;
    const flight = { peer, atMs: clock.monotonic() };
    this.#flights.set(index, [...(this.#flights.get(index) ?? []), flight]);
    peers.asked(peer);
    this.#fetch(index, peer)
      .catch((error: unknown) => {
        this.#failure ??= toNodeError(error);
      })
      .finally(() => {
        const left = (this.#flights.get(index) ?? []).filter((other) => other !== flight);
        if (left.length > 0) this.#flights.set(index, left);
        else this.#flights.delete(index);
        if (left.length === 0 && !this.#done.has(index)) this.#todo.unshift(index);
        this.#wake();
      });
  }

  /** @throws errors of the disk */
  async #fetch(index: number, peer: PeerId): Promise<void> {
    const { network, signal, crypto, peers, clock, folder } = this.#modules;
    const chunk = this.#manifest.chunks[index];
    if (!chunk) return;
    let bytes: Uint8Array;
    try {
      bytes = await network.request(peer, 'chunk', { manifest: this.#hash, index }, signal);
      if (this.#done.has(index)) {
        peers.answered(peer);
        return;
      }
      verifyChunk(crypto, chunk, bytes);
    } catch (error) {
      if (!signal.aborted) peers.failed(peer, `chunk ${index}`, toNodeError(error), clock.monotonic());
      return;
    }
    peers.answered(peer);
    await folder.put(index, bytes);
    this.#bytes += bytes.length;
    this.#fetched += 1;
    this.#done.add(index);
  }

  #progress(): ChunkProgress {
    const seconds = (this.#modules.clock.monotonic() - this.#startMs) / 1000;
    const chunksTotal = this.#manifest.chunks.length;
    const left = chunksTotal - this.#done.size;
    return {
      chunksDone: this.#done.size,
      chunksTotal,
      bytesPerSecond: seconds > 0 ? Math.round(this.#bytes / seconds) : 0,
      etaSeconds: this.#fetched > 0 ? Math.ceil((left * seconds) / this.#fetched) : null,
    };
  }

  #report(): void {
    const { log, peers } = this.#modules;
    log.info('fetching a snapshot', {
      height: this.#manifest.height,
      ...this.#progress(),
      peers: peers.count,
    });
  }
}
