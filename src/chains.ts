/**
 * One chain as it runs in a node: store, ledger, pool, agreement, sync, and their share of the network, put together in
 * order and taken apart in reverse. Everything about one chain is in here, so that chains never meet.
 */
import type { Hash, PublicKey } from './bytes.ts';
import type { BatchVerifier, Crypto, Signer } from './chain/crypto/types.ts';
import type { ExecutedBlock } from './chain/execute.ts';
import type { Genesis } from './chain/genesis.ts';
import type { JsonObject } from './chain/modules/types.ts';
import { getKeyRecord } from './chain/modules/validators-state.ts';
import type { Transaction } from './chain/tx.ts';
import { decodeTransaction } from './chain/tx.ts';
import { findValidator, hasQuorum } from './chain/validator-set.ts';
import type { Clock } from './clock.ts';
import type { Timeouts } from './consensus/types.ts';
import { Listeners } from './chains/listeners.ts';
import { createServing } from './chains/serving.ts';
import { syncTarget } from './chains/sync-target.ts';
import type { BlobShelf } from './compute/blobs/shelf.ts';
import type { MarketLink } from './compute/link.ts';
import { createMarketLink } from './compute/link.ts';
import { votesFrom } from './consensus/selectors.ts';
import { TxAdmission } from './engine/admission.ts';
import { Bodies } from './engine/bodies.ts';
import { CertificateChecker } from './engine/certificates.ts';
import { Engine } from './engine/engine.ts';
import { EvidencePool } from './engine/evidence-pool.ts';
import { Intake } from './engine/intake.ts';
import { Ledger } from './engine/ledger.ts';
import { createEngineMetrics } from './engine/metrics.ts';
import { Pruner } from './engine/pruner.ts';
import { Presence } from './engine/presence.ts';
import { Recall } from './engine/recall.ts';
import type { Way } from './engine/right-of-way.ts';
import { RightOfWay } from './engine/right-of-way.ts';
import { SigningGate } from './engine/signing-gate.ts';
import { Validator } from './engine/validator.ts';
import { isNodeError, NodeError, toNodeError } from './errors.ts';
import type { Logger } from './log.ts';
import type { MempoolLimits } from './mempool.ts';
import { Mempool } from './mempool.ts';
import type { MetricsRegister } from './metrics.ts';
import type { ChainHandlers, ChainNetwork, PeerId } from '../protocols/network.ts';
import type { SignGuard } from './store/guard.ts';
import { guardAdvice } from './store/guard-advice.ts';
import type { JoinFolder } from './store/join-folder.ts';
import type { Snapshots } from './store/snapshots.ts';
import type { ChainStore } from './store/types.ts';
import { Sync } from './sync.ts';
import type { JoinOptions } from './sync/join.ts';
import { SnapshotJoin } from './sync/join.ts';

/** Peers asked for votes after catching up. */
const MAX_ASKED = 16;

export interface ChainOptions {
  readonly timeouts: Timeouts;
  readonly mempool: MempoolLimits;
  /** How many blocks are kept, head included; Infinity: all. Not below what `retainedBlocks` says. */
  readonly retainedBlocks: number;
}

export interface ChainModules {
  readonly genesis: Genesis;
  readonly crypto: Crypto;
  readonly verifier: BatchVerifier;
  readonly store: ChainStore;
  /** Null on a follower. */
  readonly signing: { readonly signer: Signer; readonly guard: SignGuard } | null;
  /** Of the state, for nodes that join; null where none are made. */
  readonly snapshots: Snapshots | null;
  /** How, and where, a snapshot that others give is taken; null where none is. */
  readonly joining: (JoinOptions & { readonly folder: JoinFolder }) | null;
  /** What others join with; absent where none is kept. @throws NodeError NOT_FOUND | STORAGE */
  readonly joinDocument?: () => Promise<JsonObject>;
  /** Sealed inputs of jobs; absent: in memory. */
  readonly blobs?: BlobShelf;
  /** How many chains run on this node, this one included; one where it is not said. */
  readonly chains?: () => number;
  /** Among them; absent where there is one. */
  readonly way?: Way;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: MetricsRegister;
  /** The chain cannot go on, e.g. its disk is full. */
  readonly onFatal: (error: NodeError) => void;
}

export interface RunningChain {
  readonly genesis: Genesis;
  readonly snapshots: Snapshots | null;
  /** Null where no snapshot is taken. */
  readonly join: SnapshotJoin | null;
  readonly ledger: Ledger;
  readonly pool: Mempool;
  readonly admission: TxAdmission;
  readonly engine: Engine;
  readonly gate: SigningGate;
  readonly presence: Presence;
  readonly sync: Sync;
  /** Miners, and the way to them. */
  readonly market: MarketLink;
  /** Null on a follower. */
  readonly validatorKey: PublicKey | null;
  /** Called with every new head, after it is on disk, until the returned function is called. */
  onCommit(listener: (applied: readonly ExecutedBlock[]) => void): () => void;
  /** Called after every step of agreement; most leave `engine.machine` in its height, round and step. */
  onStep(listener: () => void): () => void;
  /** Called when a peer that shares the chain came or went, before the host's list need show it. */
  onPeers(listener: () => void): () => void;
  /** The last failure that stopped agreement; null while all is well. */
  readonly fault: NodeError | null;
  /** To be passed to the host. */
  readonly handlers: ChainHandlers;
  /** Begins to take part, on the network that the host made from `handlers`. */
  start(network: ChainNetwork): Promise<void>;
  stop(): Promise<void>;
}

/** Opens the store's chain and puts its parts together; nothing runs before `start`. */
export async function openChain(options: ChainOptions, modules: ChainModules): Promise<RunningChain> {
  const { genesis, crypto } = modules;
  const rules = { chain: genesis.chain, params: genesis.params, crypto };
  const ledger = await Ledger.open(rules, genesis, modules.store);
  return new ChainRuntime(options, modules, ledger);
}

class ChainRuntime implements RunningChain {
  readonly genesis: Genesis;
  readonly ledger: Ledger;
  readonly pool: Mempool;
  readonly admission: TxAdmission;
  readonly engine: Engine;
  readonly gate: SigningGate;
  readonly presence: Presence;
  readonly sync: Sync;
  readonly market: MarketLink;
  readonly validatorKey: PublicKey | null;
  readonly handlers: ChainHandlers;
  readonly snapshots: Snapshots | null;
  readonly join: SnapshotJoin | null;
  fault: NodeError | null = null;
  readonly #modules: ChainModules;
  readonly #bodies: Bodies;
  readonly #evidence: EvidencePool;
  readonly #intake: Intake;
  readonly #commits: Listeners<readonly ExecutedBlock[]>;
  readonly #steps: Listeners<void>;
  readonly #peerChanges: Listeners<void>;
  #network: ChainNetwork | null = null;
  readonly #recall: Recall | null;
  readonly #pruner: Pruner;
  #stopped = false;

  constructor(options: ChainOptions, modules: ChainModules, ledger: Ledger) {
    const { genesis, verifier, clock, log, metrics, signing, store } = modules;
    this.#modules = modules;
    this.#commits = new Listeners('blocks', log);
    this.#steps = new Listeners('steps', log);
    this.#peerChanges = new Listeners('peers', log);
    this.genesis = genesis;
    this.snapshots = modules.snapshots;
    this.ledger = ledger;
    this.pool = new Mempool(options.mempool);
    this.validatorKey = signing?.signer.publicKey ?? null;
    const validator = signing ? new Validator(genesis.chain, signing.signer, signing.guard) : null;
    this.gate = new SigningGate(() => {
      this.engine.regate();
    });
    this.admission = new TxAdmission({
      ledger,
      pool: this.pool,
      journal: store.journal,
      verifier,
      clock,
      metrics,
      chains: modules.chains,
      onPending: () => {
        this.engine.poke();
      },
    });
    this.#bodies = new Bodies({ ledger, admission: this.admission, verifier, clock, log });
    this.#evidence = new EvidencePool(ledger, verifier);
    const certificates = new CertificateChecker(genesis.chain, modules.crypto, verifier);
    this.#intake = new Intake({
      ledger,
      verifier,
      clock,
      log,
      engine: () => this.engine,
      onAhead: (peer, height) => {
        this.sync.hearsay(peer, height);
      },
      votesKnown: (round, limit) => votesFrom(this.engine.machine, round, limit),
      peerOf: (key) => this.presence.peerOf(key),
      ownKey: this.validatorKey,
      onOwn: (place) => {
        this.#recall?.onOwn(place);
      },
    });
    this.engine = new Engine(
      { timeouts: options.timeouts },
      {
        ledger,
        pool: this.pool,
        admission: this.admission,
        bodies: this.#bodies,
        evidence: this.#evidence,
        gate: this.gate,
        validator,
        verifyCertificate: (set, certificate) => certificates.verify(set, certificate),
        clock,
        way: modules.way ?? new RightOfWay(clock).share(),
        log: log.child('consensus'),
        metrics: createEngineMetrics(metrics),
        onCommit: (applied) => {
          this.#onCommit(applied);
        },
        onStep: () => {
          this.#steps.tell();
        },
        pull: () => {
          this.#intake.pull();
        },
        takeEarly: (height) => this.#intake.takeEarly(height),
        onFatal: (error) => {
          this.#onFatal(error);
        },
      },
    );
    this.presence = new Presence({
      ledger,
      verifier,
      clock,
      validator,
      signs: () => this.#takesPart(validator),
      onHead: (peer, height) => {
        this.sync.hearsay(peer, height);
        this.#recall?.consider();
      },
    });
    this.join = this.#createJoin();
    this.sync = new Sync({
      chain: syncTarget(this, certificates),
      clock,
      log: log.child('sync'),
      beforeBlocks: (targetHeight, peers, signal) => this.#joinFirst(targetHeight, peers, signal),
      onCaughtUp: () => {
        this.#pullVotes();
      },
    });
    this.#recall = validator && this.#createRecall(validator);
    this.#pruner = new Pruner(options.retainedBlocks, {
      store,
      clock,
      log: log.child('pruner'),
      metrics,
      neededFrom: () => modules.snapshots?.held[0]?.height ?? Infinity,
    });
    const market = { verifier, clock, metrics, log: log.child('market') };
    this.market = createMarketLink({
      ...ledger.rules,
      ...market,
      ...(modules.blobs && { blobs: modules.blobs }),
      state: () => ledger.tip.state,
    });
    this.handlers = this.#createHandlers();
  }

  async start(network: ChainNetwork): Promise<void> {
    const { crypto, log, signing } = this.#modules;
    this.#network = network;
    if (!signing) this.gate.set('follower', 'this node holds no validator key, or was told not to sign');
    else this.#checkGuard(signing.guard);
    this.#checkConviction();
    this.#recall?.connect(network);
    for (const part of [this.admission, this.#intake, this.sync, this.presence]) part.connect(network);
    await this.market.connect(network);
    this.engine.start(network);
    const restored = await this.admission.restore((bytes) => decodeTransaction(crypto, bytes));
    if (restored > 0) log.info('pending transactions restored', { count: restored });
    for (const peer of network.peers()) this.#onPeer(peer);
    this.#pruner.poke();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.market.stop();
    this.#recall?.stop();
    this.presence.stop();
    this.admission.close();
    await this.sync.stop();
    await this.engine.stop();
    await this.#modules.snapshots?.stop();
    await this.#pruner.stop();
    await this.#network?.close();
    await this.#modules.signing?.guard.close();
    await this.#modules.store.journal.flush().catch((error: unknown) => {
      this.#modules.log.warn('pending transactions not written', { error: toNodeError(error) });
    });
    await this.#modules.store.close();
  }

  onCommit(listener: (applied: readonly ExecutedBlock[]) => void): () => void {
    return this.#commits.add(listener);
  }

  onStep(listener: () => void): () => void {
    return this.#steps.add(listener);
  }

  onPeers(listener: () => void): () => void {
    return this.#peerChanges.add(listener);
  }

  // Signing

  #checkGuard(guard: SignGuard): void {
    const { status } = guard;
    if (status.kind === 'empty' || status.kind === 'uncertain') this.gate.floorHeight = guard.signAbove;
    const advice = guardAdvice(status, this.ledger.tip.height, this.#isAlone());
    if (advice !== undefined) {
      this.gate.set('guard', advice);
      this.#modules.log.error('not signing: the sign guard refuses', { status: status.kind, reason: advice });
    } else if (status.kind === 'uncertain') {
      this.#modules.log.warn('the sign guard is damaged: signing goes on above its height', {
        reason: status.reason,
        signAbove: guard.signAbove,
      });
    }
  }

  /** The own key is a quorum. */
  #isAlone(): boolean {
    const { current } = this.ledger.validators;
    const own = this.validatorKey && findValidator(current, this.validatorKey);
    return hasQuorum(current, own?.power ?? 0);
  }

  #createRecall(validator: Validator): Recall {
    const { crypto, clock, log } = this.#modules;
    const { ledger, gate, presence } = this;
    return new Recall({
      ledger,
      crypto,
      gate,
      presence,
      validator,
      clock,
      log: log.child('recall'),
      ask: (peer) => this.#ask(peer),
    });
  }

  /** Signs, or would as soon as others have answered; while all wait for each other, each counts. */
  #takesPart(validator: Validator | null): boolean {
    const next = this.ledger.tip.height + 1;
    if (!validator || next <= this.gate.floorHeight || !validator.maySign(next)) return false;
    return this.gate.awaitsAnswers;
  }

  /** The loss of power takes effect two blocks later; nothing that this key still signs would serve anyone. */
  #checkConviction(): void {
    if (this.validatorKey === null || this.gate.reasons.has('convicted')) return;
    if (!getKeyRecord(this.ledger.tip.state, this.validatorKey)?.convicted) return;
    const why =
      'this key signed two different things at one place and has lost its power for good: find out whether two nodes ' +
      'held it, make a new key, and have it approved as a validator';
    this.gate.set('convicted', why);
    this.#modules.log.error('convicted of signing twice: this node only follows from now on', { reason: why });
  }

  /** Compares heads, catches up, and takes what the peer holds of the height in work. */
  async #ask(peer: PeerId): Promise<number> {
    const height = await this.sync.greet(peer);
    await this.sync.reached(height);
    const { tip } = this.ledger;
    if (height > tip.height + 1) {
      throw new NodeError('NOT_FOUND', 'a peer names a height whose blocks are not to be had', {
        data: { height, own: tip.height },
      });
    }
    await this.#intake.pullFrom(peer);
    return height;
  }

  /** What others hold of the height in work, now that the blocks before it are here. */
  #pullVotes(): void {
    if (this.#stopped) return;
    for (const peer of this.#network?.peers().slice(0, MAX_ASKED) ?? []) {
      this.#intake.pullFrom(peer).catch((error: unknown) => {
        this.#modules.log.debug('votes not fetched', { peer, code: toNodeError(error).code });
      });
    }
  }

  #onPeer(peer: PeerId): void {
    const greet = async (): Promise<void> => {
      this.presence.greet();
      this.market.greet();
      const height = await this.#ask(peer).finally(() => {
        if (!this.#stopped) this.admission.regossip();
      });
      if (!this.#stopped) this.#recall?.onAnswer(peer, height);
    };
    greet().catch((error: unknown) => {
      const { code } = toNodeError(error);
      if (isNodeError(error)) this.#modules.log.debug('peer not greeted', { peer, code });
      else this.#modules.log.warn('greeting a peer failed', { peer, error });
    });
  }

  // What happens

  #onCommit(applied: readonly ExecutedBlock[]): void {
    const last = applied.at(-1);
    if (last) this.#modules.snapshots?.onCommit(last.block.header, this.ledger.tip.version.size, this.#modules.store);
    this.#commits.tell(applied);
    this.#checkConviction();
    this.#pruner.poke();
    this.#recall?.onCommit(applied.map(({ block }) => block));
    this.presence.announce();
  }

  #onFatal(error: NodeError): void {
    this.fault = error;
    this.gate.set('storage', error.message);
    this.#modules.onFatal(error);
  }

  // Joining by a snapshot

  #createJoin(): SnapshotJoin | null {
    const { genesis, crypto, joining, clock, log } = this.#modules;
    if (!joining) return null;
    const { ledger, gate } = this;
    return new SnapshotJoin(joining, {
      ...{ genesis, crypto, folder: joining.folder, clock, log: log.child('join') },
      height: () => ledger.tip.height,
      onProven: (height) => {
        gate.set('catching-up', `fetching the state of height ${height} from peers`);
      },
      adopt: async (target, chunks) => {
        const { fault } = await this.engine.adopt(() => ledger.adopt(target, chunks));
        if (fault) throw fault;
        this.#recall?.onAdopted();
      },
    });
  }

  async #joinFirst(targetHeight: number, network: ChainNetwork, signal: AbortSignal): Promise<void> {
    if (this.join?.wants(targetHeight) !== true) return;
    try {
      await this.join.run(network, signal);
    } finally {
      this.gate.clear('catching-up');
    }
  }

  // What peers ask

  #createHandlers(): ChainHandlers {
    const { snapshots, joinDocument } = this.#modules;
    return {
      gossip: {
        tx: (batch, from) => (this.sync.progress ? Promise.resolve('NOT_READY') : this.admission.onGossip(batch, from)),
        proposal: (message, from) => this.#intake.onProposal(message, from),
        vote: (batch, from) => this.#intake.onVotes(batch, from),
        evidence: async (evidence) => {
          const code = await this.#evidence.add(evidence);
          if (code === 'OK') this.engine.poke();
          return code;
        },
        status: (status, from) => this.presence.onStatus(status, from),
        offer: (offer, from) => (this.sync.progress ? Promise.resolve('NOT_READY') : this.market.onOffer(offer, from)),
      },
      requests: {
        status: (status, from) => {
          this.sync.hint(from, status);
          return Promise.resolve(this.sync.ownStatus());
        },
        ...createServing({ ledger: this.ledger, snapshots, find: (id) => this.#transaction(id), joinDocument }),
        votes: (request, from) => Promise.resolve(this.#intake.answer(request, from)),
        quote: (request, from) => this.market.onQuote(request, from),
        blob: (request) => this.market.onBlob(request),
      },
      onPeer: (peer) => {
        this.#peerChanges.tell();
        if (this.#network) this.#onPeer(peer);
      },
      onPeerGone: (peer) => {
        this.#peerChanges.tell();
        this.sync.forget(peer);
      },
    };
  }
  #transaction(id: Hash): Transaction | undefined {
    return this.pool.get(id) ?? this.#bodies.transaction(id);
  }
}
