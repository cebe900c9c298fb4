/**
 * Joining by a snapshot: a node without blocks finds one that peers offer, proves its block from what it trusts, fetches
 * the chunks of the state from several peers at once, keeps each one on disk as it comes, and hands all of them to the
 * chain, which goes on with blocks from there. Nothing that peers say is believed: a block by its certificate, a manifest
 * by the block's state root, a chunk by the manifest. One honest peer is enough.
 */
import { bytesKey, equalBytes } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import { blockId } from '../chain/block.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import { bodyFault } from '../chain/execute.ts';
import type { Genesis } from '../chain/genesis.ts';
import type { LightBlock, LightRules } from '../chain/light.ts';
import { badProof, DEFAULT_MAX_CLOCK_DRIFT_MS, DEFAULT_TRUSTING_PERIOD_MS, genesisHead } from '../chain/light.ts';
import type { HashedEntry, StateManifest } from '../chain/state-chunks.ts';
import { encodeManifest, manifestRoot, readChunk } from '../chain/state-chunks.ts';
import type { Certificate } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { JoinFolder, JoinTarget } from '../store/join-folder.ts';
import type { ChunkProgress } from './join-chunks.ts';
import { fetchChunks } from './join-chunks.ts';
import { JoinPeers } from './join-peers.ts';
import type { TrustedPoint } from './join-trust.ts';
import { proveBlock } from './join-trust.ts';

/** Peers asked for a snapshot at once. */
const MAX_ASKED = 16;
/** Snapshots tried one after the other before blocks are fetched instead. */
const MAX_TRIES = 4;
/** Without snapshots a new look is taken after so long, should blocks not come either. */
const LOOK_AGAIN_MS = 30_000;

export interface JoinOptions {
  /** `auto`: when others are so many blocks ahead; `always`: whenever they are ahead. */
  readonly mode: 'auto' | 'always';
  readonly leastBlocks: number;
  readonly trusted: TrustedPoint | null;
}

export interface JoinModules {
  readonly genesis: Genesis;
  readonly crypto: Crypto;
  readonly folder: JoinFolder;
  readonly clock: Clock;
  readonly log: Logger;
  readonly height: () => number;
  /** From the moment the network is proven to be ahead until joining ends, nothing is to be signed. */
  readonly onProven: (height: number) => void;
  readonly adopt: (
    target: { readonly block: Block; readonly certificate: Certificate },
    chunks: AsyncIterable<readonly HashedEntry[]>,
  ) => Promise<void>;
}

export interface JoinProgress extends ChunkProgress {
  readonly phase: 'finding' | 'fetching' | 'writing';
  /** Of the snapshot; null until one is found. */
  readonly height: number | null;
}

const NOTHING: ChunkProgress = { chunksDone: 0, chunksTotal: 0, bytesPerSecond: 0, etaSeconds: null };

interface Offer {
  readonly manifest: StateManifest;
  readonly hash: Uint8Array;
  readonly peers: PeerId[];
}

export class SnapshotJoin {
  readonly #options: JoinOptions;
  readonly #modules: JoinModules;
  #progress: JoinProgress | null = null;
  #lookedAtMs = -Infinity;

  constructor(options: JoinOptions, modules: JoinModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** Null unless joining. */
  get progress(): JoinProgress | null {
    return this.#progress;
  }

  /** May this node take a state in place of blocks, when others claim this height? */
  wants(targetHeight: number): boolean {
    const { mode, leastBlocks } = this.#options;
    const { height, clock } = this.#modules;
    if (height() > 0 || clock.monotonic() - this.#lookedAtMs < LOOK_AGAIN_MS) return false;
    return targetHeight > (mode === 'always' ? 1 : leastBlocks);
  }

  /**
   * Joins, or returns when there is no snapshot to be had: then blocks are the way.
   *
   * @throws NodeError CORRUPT | STORAGE of this node's own disk; the signal's reason
   */
  async run(network: ChainNetwork, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#modules;
    this.#lookedAtMs = clock.monotonic();
    this.#progress = { phase: 'finding', height: null, ...NOTHING };
    try {
      const tried = new Set<string>();
      for (let tries = 0; tries < MAX_TRIES && !signal.aborted && this.#modules.height() === 0; tries++) {
        const peers = new JoinPeers(network, log);
        const target = (await this.#resumed()) ?? (await this.#find(network, peers, tried, signal));
        if (!target) {
          log.info('no snapshot to be had: fetching blocks instead', { peers: network.peers().length });
          return;
        }
        this.#modules.onProven(target.manifest.height);
        if (await this.#fetch(network, peers, target, signal)) {
          await this.#adopt(target, signal);
          return;
        }
        signal.throwIfAborted();
        log.warn('nobody gives the rest of this snapshot: looking for another', { height: target.manifest.height });
        await this.#modules.folder.clear();
      }
    } finally {
      this.#progress = null;
    }
  }

  /** What an earlier run of this process had proven and begun to fetch. */
  async #resumed(): Promise<JoinTarget | null> {
    const { folder, log, crypto } = this.#modules;
    const target = await folder.target();
    if (!target || !equalBytes(manifestRoot(crypto, target.manifest), target.block.header.stateRoot)) return null;
    log.info('joining goes on where it was cut off', { height: target.manifest.height });
    return target;
  }

  // Finding

  async #find(
    network: ChainNetwork,
    peers: JoinPeers,
    tried: Set<string>,
    signal: AbortSignal,
  ): Promise<JoinTarget | null> {
    const { log, clock, folder } = this.#modules;
    for (const offer of await this.#offers(network, signal)) {
      const name = bytesKey(offer.hash);
      if (tried.has(name)) continue;
      for (const peer of offer.peers) {
        signal.throwIfAborted();
        try {
          const target = await this.#prove(network, peer, offer.manifest, signal);
          tried.add(name);
          for (const other of offer.peers) peers.add(other);
          await folder.begin(target);
          log.info('a snapshot is proven by its block', {
            height: offer.manifest.height,
            chunks: offer.manifest.chunks.length,
            peers: offer.peers.length,
          });
          return target;
        } catch (error) {
          const failure = toNodeError(error);
          if (signal.aborted || ['STORAGE', 'INTERNAL'].includes(failure.code)) throw failure;
          if (failure.code === 'OUT_OF_TRUST') log.error('cannot join by a snapshot', { peer, error: failure });
          else peers.failed(peer, 'snapshot', failure, clock.monotonic());
        }
      }
    }
    return null;
  }

  /** The highest first, of equal heights the one that more peers have. */
  async #offers(network: ChainNetwork, signal: AbortSignal): Promise<Offer[]> {
    const { crypto, log } = this.#modules;
    const offers = new Map<string, Offer>();
    await Promise.all(
      network
        .peers()
        .slice(0, MAX_ASKED)
        .map(async (peer) => {
          try {
            const manifest = await network.request(peer, 'snapshot', { below: Number.MAX_SAFE_INTEGER }, signal);
            if (!manifest || manifest.height < 1) return;
            const hash = crypto.hash(encodeManifest(manifest));
            const known = offers.get(bytesKey(hash));
            if (known) known.peers.push(peer);
            else offers.set(bytesKey(hash), { manifest, hash, peers: [peer] });
          } catch (error) {
            log.debug('no answer about snapshots', { peer, code: toNodeError(error).code });
          }
        }),
    );
    return [...offers.values()].sort(
      (a, b) => b.manifest.height - a.manifest.height || b.peers.length - a.peers.length,
    );
  }

  /** @throws NodeError BAD_PROOF | BAD_CERTIFICATE | BAD_BLOCK | of the requests */
  async #prove(network: ChainNetwork, peer: PeerId, manifest: StateManifest, signal: AbortSignal): Promise<JoinTarget> {
    const { crypto, genesis, clock } = this.#modules;
    const rules: LightRules = {
      crypto,
      chain: genesis.chain,
      trustingPeriodMs: DEFAULT_TRUSTING_PERIOD_MS,
      maxClockDriftMs: DEFAULT_MAX_CLOCK_DRIFT_MS,
    };
    const trust = {
      rules,
      genesis: genesisHead(crypto, genesis),
      trusted: this.#options.trusted,
      network,
      clock,
      signal,
    };
    const proven = await proveBlock(trust, peer, manifest.height);
    if (!equalBytes(manifestRoot(crypto, manifest), proven.header.stateRoot)) {
      throw badProof('the manifest of a snapshot does not have the root of its block', { height: manifest.height });
    }
    return { manifest, block: await this.#block(network, peer, proven, signal), certificate: proven.certificate };
  }

  async #block(network: ChainNetwork, peer: PeerId, proven: LightBlock, signal: AbortSignal): Promise<Block> {
    const { crypto } = this.#modules;
    const { height } = proven.header;
    const [found] = await network.request(peer, 'blocks', { from: height, count: 1 }, signal);
    if (!found)
      throw new NodeError('NOT_FOUND', 'the peer does not hold the block of its snapshot', { data: { height } });
    const { block } = found;
    if (!equalBytes(blockId(crypto, block.header), proven.blockId) || bodyFault(crypto, block) !== null) {
      throw new NodeError('BAD_BLOCK', 'the peer sent another block than that of its snapshot', { data: { height } });
    }
    return block;
  }

  // Fetching and writing

  /** @returns whether all chunks are here */
  async #fetch(network: ChainNetwork, peers: JoinPeers, target: JoinTarget, signal: AbortSignal): Promise<boolean> {
    const { crypto, folder, clock, log } = this.#modules;
    return fetchChunks(target.manifest, {
      ...{ crypto, folder, clock, log, network, peers, signal },
      onProgress: (progress) => {
        this.#progress = { phase: 'fetching', height: target.manifest.height, ...progress };
      },
    });
  }

  async #adopt(target: JoinTarget, signal: AbortSignal): Promise<void> {
    const { folder, adopt, log, clock } = this.#modules;
    const { height, chunks } = target.manifest;
    const startMs = clock.monotonic();
    this.#progress = { phase: 'writing', height, ...NOTHING, chunksTotal: chunks.length };
    try {
      await adopt(target, this.#entries(target, signal));
    } catch (error) {
      // Damaged since they were looked at, or together not the state: they are of no use.
      if (toNodeError(error).code === 'CORRUPT' || toNodeError(error).code === 'CODEC') await folder.clear();
      throw error;
    }
    await folder.clear();
    log.info('the state of a snapshot is in place', {
      height,
      seconds: Math.round((clock.monotonic() - startMs) / 1000),
    });
  }

  async *#entries({ manifest }: JoinTarget, signal: AbortSignal): AsyncGenerator<readonly HashedEntry[]> {
    const { folder, crypto } = this.#modules;
    for (const [index, { node }] of manifest.chunks.entries()) {
      signal.throwIfAborted();
      if (node.kind === 'empty') continue;
      yield readChunk(crypto, await folder.read(index));
      if (this.#progress) this.#progress = { ...this.#progress, chunksDone: index + 1 };
    }
  }
}
