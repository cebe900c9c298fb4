/**
 * Catching up: who may be ahead, when to fetch what they claim to have, and handing it to the engine in order, which
 * alone decides. A height that a peer announces is a hint and never believed: only certified blocks move the head, a
 * claim without blocks is dropped, and one honest peer is enough.
 */
import type { NodeError } from './errors.ts';
import { toNodeError } from './errors.ts';
import type { Clock } from './clock.ts';
import type { Hash } from './bytes.ts';
import type { Certificate } from './chain/votes.ts';
import type { LinkedRange } from './chain/linked-range.ts';
import type { Logger } from './log.ts';
import type { CertifiedBlock, PeerStatus } from '../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../protocols/network.ts';
import type { Claim } from './sync/claims.ts';
import { Claims } from './sync/claims.ts';
import { PeerPace } from './sync/peer-pace.ts';
import type { RangeSteps } from './sync/pipeline.ts';
import { HEDGE_MS, Pipeline } from './sync/pipeline.ts';
import type { SyncProgress } from './sync/progress.ts';
import { Stretch } from './sync/progress.ts';

/**
 * One block behind is normal for a moment: agreement itself delivers it to who is in step. Who is not has missed what was
 * said of that block, and with every block that it waits for it misses what is said of the next.
 */
const PATIENCE_MS = 400;
/** So many blocks fetched without a pause are catching up; fewer are what agreement brings anyway. */
const CATCHING_UP_BLOCKS = 2;
const REPORT_EVERY_MS = 5_000;

/** What catching up needs of the chain, and all it may do to it. */
export interface SyncTarget {
  readonly genesisHash: Hash;
  /** Lowest height whose block is held. */
  base(): number;
  head(): { readonly height: number; readonly blockId: Hash; readonly certificate: Certificate | null };
  /** @throws NodeError BAD_BLOCK | BAD_CERTIFICATE when the blocks do not prove each other */
  link(blocks: readonly CertifiedBlock[]): LinkedRange;
  /**
   * Verifies, off this thread, the signatures of transactions and of the certificates that prove the range. Judges
   * nothing: `import` does.
   *
   * @throws NodeError POOL_FULL when too much waits to be verified
   */
  check(range: LinkedRange): Promise<void>;
  /** Commits blocks that follow the head. @returns why one of them was refused, null when none was */
  import(range: LinkedRange): Promise<{ readonly fault: NodeError | null }>;
  /** While true nothing is signed. True only while blocks keep coming: what peers claim must not silence a validator. */
  catchingUp: boolean;
}

export interface SyncModules {
  readonly chain: SyncTarget;
  readonly clock: Clock;
  readonly log: Logger;
  /** Done before blocks are fetched: takes a state in their place where that is wanted and to be had. */
  readonly beforeBlocks?: (targetHeight: number, network: ChainNetwork, signal: AbortSignal) => Promise<void>;
  /** The head is what it is going to be: time to ask what others hold of the height in work. */
  readonly onCaughtUp: () => void;
}

export class Sync {
  readonly #modules: SyncModules;
  readonly #claims = new Claims();
  readonly #pace = new PeerPace();
  #network: ChainNetwork | null = null;
  #running: Promise<void> | null = null;
  #cancelPatience: (() => void) | null = null;
  readonly #abort = new AbortController();
  #stretch = new Stretch(0);
  #progress: SyncProgress | null = null;
  #reportedAtMs = 0;
  /** The last head at which this node was out of step: agreement had brought nothing since. */
  #outOfStepAt = 0;
  /** Called at every step of catching up, and when it stands still or ends. */
  readonly #watchers = new Set<(comesMore: boolean) => void>();
  /** This node can take no more blocks, whoever sends them. */
  #isOver = false;
  #gapReported = false;

  constructor(modules: SyncModules) {
    this.#modules = modules;
  }

  connect(network: ChainNetwork): void {
    this.#network = network;
    this.#outOfStepAt = this.#height();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#cancelPatience?.();
    await this.idle();
  }

  /** Null while not catching up. */
  get progress(): SyncProgress | null {
    return this.#progress;
  }

  /** Resolves when nothing is being fetched. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Resolves when the head is at this height, when nothing is being fetched, or when nothing comes any more. */
  async reached(height: number): Promise<void> {
    let comesMore = this.#running !== null;
    while (comesMore && this.#height() < height) {
      comesMore = await new Promise<boolean>((resolve) => this.#watchers.add(resolve));
    }
  }

  ownStatus(): PeerStatus {
    const { chain } = this.#modules;
    return { genesisHash: chain.genesisHash, baseHeight: chain.base(), ...chain.head() };
  }

  /** Exchanges heads with a peer. @returns the height it names. @throws NodeError of the request */
  async greet(peer: PeerId): Promise<number> {
    const status = await this.#network?.request(peer, 'status', this.ownStatus(), this.#abort.signal);
    if (status) this.hint(peer, status);
    return status?.height ?? 0;
  }

  /** A peer says of itself that it has these heights. */
  hint(peer: PeerId, claim: Claim): void {
    this.#claims.add(peer, claim);
    this.#kick();
  }

  /**
   * Somebody's message says that this peer has that height. The message may lie and the peer be honest, so the peer is
   * asked before anything is expected of it.
   */
  hearsay(peer: PeerId, height: number): void {
    if (this.#isOver || height <= this.#height() || !this.#claims.addRumour(peer, height)) return;
    if (height > this.#height() + 1 || !this.#isInStep()) this.#inquire();
    else this.#wait();
  }

  forget(peer: PeerId): void {
    this.#claims.forget(peer);
    this.#pace.forget(peer);
  }

  #height(): number {
    return this.#modules.chain.head().height;
  }

  /** Agreement delivered the newest block. */
  #isInStep(): boolean {
    return this.#height() > this.#outOfStepAt;
  }

  #target(): number {
    return this.#claims.target(this.#height());
  }

  // When to fetch

  #kick(): void {
    if (this.#running || this.#abort.signal.aborted) return;
    const lag = this.#target() - this.#height();
    if (lag > 1 || (lag > 0 && !this.#isInStep())) this.#begin();
    else if (lag > 0) this.#wait();
    else this.#reportGap();
  }

  /** Says once that whoever is ahead has pruned the next block of this node. */
  #reportGap(): void {
    const ahead = this.#claims.above(this.#height());
    if (ahead.length === 0 || this.#gapReported) return;
    this.#gapReported = true;
    this.#modules.log.warn('no peer keeps the next block: connect one that keeps all', {
      height: this.#height() + 1,
      lowest: Math.min(...ahead.map(({ baseHeight }) => baseHeight)),
      peers: ahead.length,
    });
  }

  #wait(): void {
    if (this.#abort.signal.aborted) return;
    const height = this.#height();
    this.#cancelPatience ??= this.#modules.clock.after(PATIENCE_MS, () => {
      this.#cancelPatience = null;
      if (this.#height() === height) this.#outOfStepAt = height;
      this.#inquire();
      if (this.#target() > this.#height()) this.#begin();
    });
  }

  /** Asks those of whom others say that they are ahead, each at most once a second. */
  #inquire(): void {
    this.#claims.retain(new Set(this.#network?.peers() ?? []));
    const { peers, later } = this.#claims.takeDue(this.#height(), this.#modules.clock.monotonic());
    if (later) this.#wait();
    this.#ask(peers);
  }

  #ask(peers: readonly PeerId[]): void {
    for (const peer of peers) {
      this.greet(peer).catch((error: unknown) => {
        this.#modules.log.debug('peer not asked for its head', { peer, code: toNodeError(error).code });
      });
    }
  }

  #begin(): void {
    if (this.#running || this.#isOver || this.#abort.signal.aborted) return;
    this.#gapReported = false;
    this.#running = this.#run()
      .catch((error: unknown) => {
        this.#modules.log.error('catching up failed', { error: toNodeError(error) });
      })
      .finally(() => {
        this.#running = null;
        this.#pause();
        // It ended short of its target because nobody could be asked just now: at once again would spin.
        if (this.#target() > this.#height()) this.#wait();
      });
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#modules;
    const network = this.#network;
    if (!network) return;
    await this.#modules.beforeBlocks?.(this.#target(), network, this.#abort.signal);
    const before = this.#height();
    const startMs = clock.monotonic();
    this.#stretch = new Stretch(startMs);
    this.#reportedAtMs = startMs;
    const { signal } = this.#abort;
    await new Pipeline({ claims: this.#claims, pace: this.#pace, network, clock, signal }, this.#steps(network)).run();
    const blocks = this.#height() - before;
    if (blocks <= 1) return;
    const ms = Math.max(1, Math.round(clock.monotonic() - startMs));
    log.info('caught up', { height: this.#height(), blocks, ms, blocksPerSecond: Math.round((blocks * 1000) / ms) });
  }

  #steps(network: ChainNetwork): RangeSteps<LinkedRange> {
    const { chain, clock } = this.#modules;
    return {
      height: () => this.#height(),
      target: () => this.#target(),
      link: (blocks) => chain.link(blocks),
      check: (range) => chain.check(range),
      import: async (range) => (await chain.import(range)).fault,
      failed: (peer, from, error) => this.#failed(peer, from, error),
      came: (blocks) => {
        this.#came(blocks);
      },
      delivered: (peer, isUseful) => {
        if (isUseful) network.report(peer, 'useful', 'blocks');
        else this.#shelve(peer);
      },
      stoodStill: () => {
        if (clock.monotonic() - this.#stretch.lastMs >= HEDGE_MS) this.#pause();
      },
    };
  }

  // Blocks that come, or do not

  #came(blocks: number): void {
    const { chain, clock, log } = this.#modules;
    const nowMs = clock.monotonic();
    this.#stretch.came(blocks, nowMs);
    this.#outOfStepAt = this.#height();
    this.#progress = this.#stretch.progress(this.#height(), this.#target());
    if (this.#stretch.blocks >= CATCHING_UP_BLOCKS) chain.catchingUp = true;
    this.#tellWatchers(true);
    if (nowMs - this.#reportedAtMs < REPORT_EVERY_MS) return;
    this.#reportedAtMs = nowMs;
    log.info('catching up', { height: this.#height(), ...this.#progress });
  }

  /** Nothing comes now: this node is as far as anyone proved to it, and takes part again. */
  #pause(): void {
    const { chain, onCaughtUp, clock } = this.#modules;
    this.#progress = null;
    const came = this.#stretch.blocks > 0;
    this.#stretch = new Stretch(clock.monotonic());
    if (came) {
      chain.catchingUp = false;
      onCaughtUp();
      // What was decided while the last blocks came. Only certified blocks lead here, so nobody keeps this node asking.
      this.#ask(this.#claims.takeFollowUps(this.#height(), clock.monotonic()));
    }
    this.#tellWatchers(false);
  }

  #tellWatchers(comesMore: boolean): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const tell of watchers) tell(comesMore);
  }

  // Whose fault it is

  /**
   * Blames a peer for what it did, and for nothing else: a full queue or a fault of this node is not its lie.
   *
   * @returns whether it lied
   */
  #failed(peer: PeerId, from: number, error: NodeError): boolean {
    const { log } = this.#modules;
    const { code, message } = error;
    switch (code) {
      case 'BAD_BLOCK':
      case 'BAD_CERTIFICATE':
      case 'CODEC':
        log.warn('a peer sent an invalid block', { peer, from, error });
        this.#claims.drop(peer);
        this.#network?.report(peer, 'lie', message);
        return true;
      case 'UPGRADE_NEEDED':
        log.error('the network makes blocks that this program does not know', { from, error });
        this.#end();
        return false;
      case 'STORAGE':
      case 'CORRUPT':
      case 'FORK':
        log.error('catching up ends: this node cannot take what a quorum decided', { from, error });
        this.#end();
        return false;
      case 'NOT_FOUND':
        this.#network?.report(peer, 'timeout', message);
        break;
      case 'PRUNED':
      case 'RATE_LIMITED':
      case 'PEER_QUOTA':
        break;
      default:
        // What the peer did to a request, the network has judged.
        this.#pace.stalled(peer);
    }
    log.info('range not fetched', { peer, from, code });
    this.#shelve(peer);
    return false;
  }

  #end(): void {
    this.#isOver = true;
    this.#claims.clear();
  }

  #shelve(peer: PeerId): void {
    this.#claims.shelve(peer);
    this.#wait();
  }
}
