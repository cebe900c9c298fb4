/**
 * What one chain has for its subscribers: the event of each topic at each height, read from the store or kept from the
 * commit, and the changes of agreement and peers since the last turn. It exists while someone subscribes to the chain.
 */
import { bytesKey, toHex } from '../../bytes.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi, FinalBlock } from '../api.ts';
import { jobView } from '../jobs/views.ts';
import { storedBlock } from '../proofs.ts';
import { peerView, placeView } from '../views.ts';
import { MAX_JOB_CHANGES } from './limits.ts';
import type { BlockFacts, Topic, TopicKind } from './topics.ts';
import { eventOf } from './topics.ts';
import { PendingChanges } from './pending.ts';
import { WatchedAccounts } from './watched.ts';

/** Blocks kept from commits, so that they need not be read again. */
const RECENT_BLOCKS = 8;
/** Events kept for further subscribers of the same topic, in characters. */
const CACHE_CHARS = 16 * 1024 * 1024;
/** Changes of agreement between two turns of the event loop; older ones give way. */
const MAX_PLACES = 64;
/** A peer that came is in the host's list only after its greeting; one that went leaves with its connection. */
const PEERS_SETTLE_MS = 200;

export interface StateChange {
  readonly kind: TopicKind;
  readonly text: string;
  /** Whom alone it is told; everybody when absent. */
  readonly owner?: string;
}

interface Subscriber {
  readonly topics: readonly Topic[];
}

export interface FeedHooks {
  /** There may be something to send. */
  wake(): void;
  after(ms: number, fn: () => void): () => void;
  onClosed(error: NodeError): void;
}

export class ChainFeed {
  readonly api: ChainApi;
  readonly chainId: string;
  readonly genesisHash: string;
  readonly #subscribers = new Set<Subscriber>();
  readonly #watched = new WatchedAccounts();
  /** Topics that anyone subscribes to, and how often. */
  readonly #wanted = new Map<TopicKind, number>();
  readonly #pending: PendingChanges;
  readonly #hooks: FeedHooks;
  readonly #recent = new Map<number, FinalBlock>();
  readonly #cache = new Map<string, string | null>();
  #cachedChars = 0;
  /** By id, those that changed since the last turn, as they are now. */
  readonly #jobs = new Map<string, JobView>();
  #endJobs: (() => void) | null = null;
  #places: string[] = [];
  #lastPlace: string;
  #peers: ReadonlyMap<string, object>;
  #peersChanged = false;
  #cancelPeers: (() => void) | null = null;
  readonly #ends: (() => void)[];

  constructor(api: ChainApi, hooks: FeedHooks) {
    this.api = api;
    this.chainId = api.genesis.chain.chainId;
    this.genesisHash = toHex(api.genesis.chain.genesisHash);
    this.#hooks = hooks;
    this.#lastPlace = JSON.stringify(placeView(api.place()));
    this.#peers = this.#peerList();
    const onClosed = (): void => {
      hooks.onClosed(stopped(this.chainId));
    };
    api.closed.addEventListener('abort', onClosed, { once: true });
    this.#pending = new PendingChanges(api, hooks, () => this.#isWanted('txs'));
    this.#ends = [
      () => {
        this.#pending.close();
      },
      () => {
        api.closed.removeEventListener('abort', onClosed);
      },
      api.chain.onCommit((blocks) => {
        this.#keep(blocks);
        hooks.wake();
      }),
      api.onStep(() => {
        this.#onStep();
      }),
      api.onPeers(() => {
        this.#onPeers();
      }),
    ];
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end();
    this.#cancelPeers?.();
    this.#leaveJobs();
  }

  get isIdle(): boolean {
    return this.#subscribers.size === 0;
  }

  add(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
    for (const { kind, address } of subscriber.topics) {
      this.#wanted.set(kind, (this.#wanted.get(kind) ?? 0) + 1);
      if (kind === 'jobs') this.#listenToJobs();
      if (address) this.#watched.add(address);
    }
  }

  remove(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return;
    for (const { kind, address } of subscriber.topics) {
      this.#wanted.set(kind, (this.#wanted.get(kind) ?? 0) - 1);
      if (kind === 'jobs' && !this.#isWanted('jobs')) this.#leaveJobs();
      if (address) this.#watched.remove(address);
    }
  }

  get head(): number {
    return this.api.chain.tip().height;
  }

  /**
   * The event of a topic at a final height as JSON, or null when the block holds nothing of it.
   *
   * @throws NodeError PRUNED | CORRUPT
   */
  textAt(topic: Topic, height: number): string | null {
    // An account's event tells its balance of now.
    if (topic.address) {
      const facts = this.#facts(height);
      return textOf(eventOf(this.api, topic, facts, this.#watched.transactionsOf(topic.address, facts)));
    }
    const key = `${topic.kind} ${height}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const text = textOf(eventOf(this.api, topic, this.#facts(height)));
    this.#remember(key, text);
    return text;
  }

  /** What changed since this was last called. Several changes of the peers come as one. */
  takeChanges(): StateChange[] {
    const changes: StateChange[] = this.#places.map((text) => ({ kind: 'consensus', text }));
    this.#places = [];
    if (this.#peersChanged) {
      this.#peersChanged = false;
      const text = this.#peerChange();
      if (text !== null) changes.push({ kind: 'peers', text });
    }
    for (const job of this.#jobs.values()) {
      changes.push({ kind: 'jobs', text: JSON.stringify(jobView(job)), owner: job.owner });
    }
    this.#jobs.clear();
    const pending = this.#pending.take();
    if (pending !== null) changes.push({ kind: 'txs', text: pending });
    return changes;
  }

  /** What is pending, for who missed how it changed. */
  pendingText(): string {
    return this.#pending.all();
  }

  #facts(height: number): BlockFacts {
    const recent = this.#recent.get(height);
    const certificate = recent && this.api.chain.certificate(height);
    if (recent && certificate) {
      return { ...recent, certificate, hash: recent.blockId };
    }
    const stored = storedBlock(this.api, height);
    const receipts = this.api.chain.receipts(height);
    if (stored && receipts) return { ...stored, receipts };
    throw new NodeError('CORRUPT', 'the store lacks a final block', { data: { height } });
  }

  #keep(blocks: readonly FinalBlock[]): void {
    for (const final of blocks.slice(-RECENT_BLOCKS)) this.#recent.set(final.block.header.height, final);
    for (const height of this.#recent.keys()) {
      if (this.#recent.size <= RECENT_BLOCKS) break;
      this.#recent.delete(height);
    }
  }

  #remember(key: string, text: string | null): void {
    this.#cache.set(key, text);
    this.#cachedChars += sizeOf(text);
    for (const [oldest, old] of this.#cache) {
      if (this.#cachedChars <= CACHE_CHARS) break;
      this.#cache.delete(oldest);
      this.#cachedChars -= sizeOf(old);
    }
  }

  #onStep(): void {
    if (!this.#isWanted('consensus')) return;
    const text = JSON.stringify(placeView(this.api.place()));
    if (text === this.#lastPlace) return;
    this.#lastPlace = text;
    this.#places.push(text);
    if (this.#places.length > MAX_PLACES) this.#places.shift();
    this.#hooks.wake();
  }

  #onPeers(): void {
    if (!this.#isWanted('peers')) return;
    this.#cancelPeers ??= this.#hooks.after(PEERS_SETTLE_MS, () => {
      this.#cancelPeers = null;
      this.#peersChanged = true;
      this.#hooks.wake();
    });
  }

  #listenToJobs(): void {
    this.#endJobs ??=
      this.api.jobs?.coordinator.onChange((job) => {
        const key = bytesKey(job.id);
        this.#jobs.delete(key);
        this.#jobs.set(key, job);
        for (const oldest of this.#jobs.keys()) {
          if (this.#jobs.size <= MAX_JOB_CHANGES) break;
          this.#jobs.delete(oldest);
        }
        this.#hooks.wake();
      }) ?? null;
  }

  #leaveJobs(): void {
    this.#endJobs?.();
    this.#endJobs = null;
    this.#jobs.clear();
  }

  /** Who subscribes now was told this; changes from before are not news to it. */
  refresh(kind: TopicKind): void {
    if (this.#isWanted(kind)) return;
    if (kind === 'consensus') this.#lastPlace = JSON.stringify(placeView(this.api.place()));
    if (kind === 'peers') this.#peers = this.#peerList();
    if (kind === 'txs') this.#pending.clear();
  }

  #isWanted(kind: TopicKind): boolean {
    return (this.#wanted.get(kind) ?? 0) > 0;
  }

  #peerChange(): string | null {
    const before = this.#peers;
    this.#peers = this.#peerList();
    const joined = [...this.#peers].flatMap(([id, view]) => (before.has(id) ? [] : [view]));
    const left = [...before.keys()].filter((id) => !this.#peers.has(id));
    if (joined.length === 0 && left.length === 0) return null;
    return JSON.stringify({ joined, left, count: this.#peers.size });
  }

  #peerList(): Map<string, object> {
    return new Map(this.api.peers().map((peer) => [peer.peerId, peerView(peer)]));
  }
}

function textOf(event: object | null): string | null {
  return event && JSON.stringify(event);
}

/** A height with nothing counts too: there may be many. */
function sizeOf(text: string | null): number {
  return 64 + (text?.length ?? 0);
}

function stopped(chainId: string): NodeError {
  return new NodeError('CHAIN_STOPPED', `chain ${chainId} was stopped on this node`, {
    data: { chain_id: chainId },
    hint: 'subscribe again from the height after the last one received, when the chain runs again',
  });
}
