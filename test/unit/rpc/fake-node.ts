/** A node without network and disk: real blocks, state, proofs and pool behind the interface the RPC asks for. */
import { bytesKey } from '../../../src/bytes.ts';
import { accountAt, getAccount } from '../../../src/chain/accounts.ts';
import type { AppliedBlock, Tip } from '../../../src/chain/execute.ts';
import { buildBlock, forkTree } from '../../../src/chain/execute.ts';
import type { Signer } from '../../../src/chain/crypto/types.ts';
import type { Genesis } from '../../../src/chain/genesis.ts';
import { genesisBlockId, genesisState, parseGenesis } from '../../../src/chain/genesis.ts';
import { joinDocumentToJson } from '../../../src/chain/join-document-json.ts';
import type { JsonObject } from '../../../src/chain/modules/types.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import { statePath } from '../../../src/chain/state.ts';
import type { StateChanges, StateKey } from '../../../src/chain/state.ts';
import { StateTree } from '../../../src/chain/tree.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { txCheck } from '../../../src/chain/tx.ts';
import { findValidator, proposerOf, validatorSetHash } from '../../../src/chain/validator-set.ts';
import type { Certificate } from '../../../src/chain/votes.ts';
import { certificateFromVotes, voteSignBytes } from '../../../src/chain/votes.ts';
import { NodeError } from '../../../src/errors.ts';
import type { PoolView, Refusal } from '../../../src/mempool.ts';
import { Mempool } from '../../../src/mempool.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type {
  ChainApi,
  ConsensusPlace,
  ConsensusStatus,
  FinalBlock,
  MarketApi,
  ChainSummary,
  NodeApi,
  NodeStatus,
  OfferedSnapshot,
  PeerInfo,
  PoolListener,
  ReadinessCheck,
  RefusedPeer,
} from '../../../src/rpc/api.ts';
import type { FixtureOptions } from '../../util/chain-fixture.ts';
import { genesisJson, joinDocument, signer } from '../../util/chain-fixture.ts';
import { memoryShelf } from '../../../src/compute/blobs/shelf.ts';
import { systemClock } from '../../../src/clock.ts';

/** A node with these chains, the first of them the default one. */
export function fakeNode(...chains: readonly FakeNode[]): NodeApi & { readonly acts: string[] } {
  const acts: string[] = [];
  const summaries = (): ChainSummary[] =>
    chains.map((api, i) => {
      const { chainId } = api.genesis.chain;
      const { failure } = api;
      return {
        chainId,
        isDefault: i === 0,
        state: failure ? 'failed' : 'running',
        error: failure,
        api: failure ? null : api,
      };
    });
  const act = async (verb: string, id: string): Promise<void> => {
    if (!summaries().some(({ chainId }) => chainId === id)) throw new NodeError('UNKNOWN_CHAIN', `no chain ${id}`);
    acts.push(`${verb} ${id}`);
  };
  return {
    name: 'n1',
    version: '0.0.0',
    peerId: '12D3KooFake',
    acts,
    chains: summaries,
    chain: (chainId) => {
      const held = summaries().find((summary) => chainId === undefined || summary.chainId === chainId);
      if (held?.api) return held.api;
      throw new NodeError(held ? 'CHAIN_STOPPED' : 'UNKNOWN_CHAIN', `no chain ${String(chainId)}`);
    },
    startChain: (chainId) => act('start', chainId),
    stopChain: (chainId) => act('stop', chainId),
  };
}

export class FakeNode implements ChainApi {
  readonly closing = new AbortController();
  readonly closed = this.closing.signal;
  /** Why the chain does not run. */
  failure: NodeError | null = null;
  readonly crypto = nativeCrypto;
  readonly genesis: Genesis;
  readonly genesisJson;
  readonly node = { name: 'n1', version: '0.0.0', peerId: '12D3KooFake', validator: signer('validator-0').publicKey };
  readonly mempool = new Mempool();
  readonly applied: AppliedBlock[] = [];
  readonly certificates: Certificate[] = [];
  readonly #state = new Map<StateKey, Uint8Array>();
  readonly #tree: StateTree;
  readonly #listeners = new Set<(blocks: readonly FinalBlock[]) => void>();
  readonly #powers: number;
  /** Consensus keys whose validators sign blocks; those of genesis at first. */
  readonly keys: Signer[];
  /** While set, submissions wait for it: verification that takes its time. */
  verification: Promise<void> = Promise.resolve();
  submitted = 0;
  /** Every accepted transaction is final at once. */
  autoCommit = false;
  fault: Error | null = null;
  reach: Partial<NodeStatus> = {};
  checks: ReadinessCheck[] = [{ name: 'quorum', ok: true, detail: '3 of 3 validators reachable, 2 needed' }];

  constructor(options: FixtureOptions = {}) {
    this.genesisJson = genesisJson(options);
    this.genesis = parseGenesis(nativeCrypto, this.genesisJson);
    this.#powers = (options.powers ?? [1, 1, 1]).length;
    this.keys = Array.from({ length: this.#powers }, (_, i) => signer(`validator-${i}`));
    this.#tree = StateTree.load(nativeCrypto, []);
    this.#commit(genesisState(nativeCrypto, this.genesis), null);
  }

  /** Lowest height that is kept. */
  base = 1;
  faucet: ChainApi['faucet'] = null;
  jobs: ChainApi['jobs'] = null;

  get listeners(): number {
    return this.#listeners.size + this.#stepListeners.size + this.#peerListeners.size + this.#poolListeners.size;
  }

  readonly #stepListeners = new Set<() => void>();
  readonly #peerListeners = new Set<() => void>();
  readonly #poolListeners = new Set<PoolListener>();
  at: Partial<ConsensusPlace> = {};
  others: PeerInfo[] = [this.peer('12D3KooOther')];

  peer(peerId: string): PeerInfo {
    const addresses = ['/ip4/127.0.0.1/tcp/1'];
    const validator = signer('validator-1').publicKey;
    const known = {
      name: 'n2',
      agent: 'aitbc/0.0.0',
      isNamed: true,
      path: 'direct',
      rttMs: 1.25,
      clockOffsetMs: -3,
    } as const;
    return { peerId, addresses, direction: 'outbound', score: 1, height: 0, validator, ...known };
  }

  /** Agreement goes on. */
  step(at: Partial<ConsensusPlace>): void {
    this.at = at;
    for (const listener of this.#stepListeners) listener();
  }

  connect(others: PeerInfo[]): void {
    this.others = others;
    for (const listener of this.#peerListeners) listener();
  }

  onStep(listener: () => void): () => void {
    this.#stepListeners.add(listener);
    return () => this.#stepListeners.delete(listener);
  }

  onPeers(listener: () => void): () => void {
    this.#peerListeners.add(listener);
    return () => this.#peerListeners.delete(listener);
  }

  /** Why it has none to give. */
  joinFault: NodeError | null = null;

  readonly #madeAtMs = Date.now();

  async joinDocument(): Promise<JsonObject> {
    if (this.joinFault) throw this.joinFault;
    return joinDocumentToJson({
      ...joinDocument(this.genesis, this.#powers, this.#madeAtMs),
      genesis: this.genesisJson,
    });
  }

  place(): ConsensusPlace {
    const proposer = signer('validator-0').publicKey;
    return { height: this.applied.length + 1, round: 0, step: 'idle', proposer, ...this.at };
  }

  readonly chain: ChainApi['chain'] = {
    tip: () => {
      if (this.fault) throw this.fault;
      return {
        height: this.applied.length,
        state: this.#reader,
        prove: (key) => this.#tree.prove(this.#tree.head, statePath(nativeCrypto, key)),
      };
    },
    base: () => this.base,
    block: (height) => this.applied[height - 1]?.block,
    certificate: (height) => this.certificates[height - 1],
    receipts: (height) => this.applied[height - 1]?.receipts,
    transactionAt: ({ height, index }) => this.applied[height - 1]?.block.txs[index],
    receiptAt: ({ height, index }) => this.applied[height - 1]?.receipts[index],
    heightOf: (id) => {
      const at = this.applied.findIndex(({ blockId }) => bytesKey(blockId) === bytesKey(id));
      return at < 0 ? undefined : at + 1;
    },
    transaction: (id) => {
      for (const [at, { block }] of this.applied.entries()) {
        const index = block.txs.findIndex((tx) => bytesKey(tx.id) === bytesKey(id));
        if (index >= 0) return { height: at + 1, index };
      }
      return undefined;
    },
    validatorSet: (hash) => {
      const states = [genesisState(nativeCrypto, this.genesis), ...this.applied.map(({ changes }) => changes)];
      for (const changes of states) {
        const { current } = getSets({ get: (key) => changes.get(key) });
        if (bytesKey(validatorSetHash(nativeCrypto, current)) === bytesKey(hash)) return current;
      }
      return undefined;
    },
    onCommit: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
  };

  readonly pool: ChainApi['pool'] = this.#createPool();

  snapshots(): readonly OfferedSnapshot[] {
    return [{ height: 1_000, chunks: 3, bytes: 600_000, manifestHash: new Uint8Array(32).fill(5) }];
  }

  status(): NodeStatus {
    return {
      state: 'synced',
      validatorsReachable: this.#powers,
      validatorsTotal: this.#powers,
      quorum: Math.ceil((2 * this.#powers) / 3),
      signing: true,
      notSigning: [],
      targetHeight: null,
      sync: null,
      snapshot: null,
      ...this.reach,
    };
  }

  consensus(): ConsensusStatus {
    const blockId = new Uint8Array(32).fill(7);
    return {
      ...this.place(),
      lockedRound: -1,
      validRound: -1,
      prevotes: [
        { validator: signer('validator-0').publicKey, blockId },
        { validator: signer('validator-1').publicKey, blockId: null },
      ],
      precommits: [],
      reachable: [signer('validator-0').publicKey],
      reasons: ['nothing to do'],
    };
  }

  peers(): PeerInfo[] {
    return this.others;
  }

  refused: RefusedPeer[] = [];

  refusedPeers(): RefusedPeer[] {
    return this.refused;
  }

  /** Miners that can be found and reached; a test replaces what it needs. */
  readonly market: { -readonly [K in keyof MarketApi]: MarketApi[K] } = {
    blobs: memoryShelf(nativeCrypto, systemClock),
    offers: () => [],
    quote: () => Promise.reject(new NodeError('NO_MINER', 'no such miner')),
    openWork: () => Promise.reject(new NodeError('NO_MINER', 'no such miner')),
  };

  readiness(): ReadinessCheck[] {
    return this.checks;
  }

  /** Makes what is pending final. */
  produce(txs: readonly Transaction[] = [...this.mempool.pending()]): AppliedBlock {
    const tip = this.#tip();
    const rules = { chain: this.genesis.chain, params: this.genesis.params, crypto: nativeCrypto };
    const timeMs = tip.timeMs + this.genesis.params.minBlockIntervalMs;
    const proposer = proposerOf(getSets(tip.state).current, 0).publicKey;
    const lastCommit = this.certificates.at(-1) ?? null;
    const applied = buildBlock(rules, tip, { timeMs, proposer, lastCommit, evidence: [], txs });
    const set = getSets(tip.state).current;
    const vote = { type: 'precommit', height: tip.height + 1, round: 0, blockId: applied.blockId } as const;
    const votes = this.keys
      .filter((key) => findValidator(set, key.publicKey))
      .map((key) => ({
        ...vote,
        validator: key.publicKey,
        signature: key.sign(voteSignBytes(this.genesis.chain, vote)),
      }));
    this.certificates.push(certificateFromVotes(set, votes));
    this.#commit(applied.changes, applied);
    this.#tellLeft([...applied.block.txs, ...this.mempool.onCommitted(applied.block.txs, this.poolView)]);
    for (const listener of this.#listeners) listener([applied]);
    return applied;
  }

  drop(tx: Transaction): void {
    this.#tellLeft(this.mempool.expire({ ...this.poolView, nextHeight: tx.validUntilHeight + 1 }));
  }

  #tellLeft(txs: readonly Transaction[]): void {
    for (const { left } of this.#poolListeners) left(txs);
  }

  readonly #reader = { get: (key: StateKey) => this.#state.get(key) };

  #tip(): Tip {
    const last = this.applied.at(-1);
    return {
      height: this.applied.length,
      blockId: last?.blockId ?? genesisBlockId(this.genesis),
      timeMs: last?.block.header.timeMs ?? this.genesis.timeMs,
      state: this.#reader,
      tree: this.#tree,
      version: this.#tree.head,
    };
  }

  #commit(changes: StateChanges, applied: AppliedBlock | null): void {
    this.#tree.commit(applied?.version ?? forkTree(nativeCrypto, this.#tree, this.#tree.head, changes));
    for (const [key, value] of changes) {
      if (value === undefined) this.#state.delete(key);
      else this.#state.set(key, value);
    }
    if (applied) this.applied.push(applied);
  }

  get poolView(): PoolView {
    return {
      params: this.genesis.params,
      nextHeight: this.applied.length + 1,
      nowMs: 0,
      account: (key) => accountAt(this.#reader, key),
    };
  }

  #createPool(): ChainApi['pool'] {
    const { mempool } = this;
    return {
      get size() {
        return mempool.size;
      },
      get bytes() {
        return mempool.bytes;
      },
      get: (id) => mempool.get(id),
      pending: (limit) => mempool.oldest(limit),
      onChange: (listener) => {
        this.#poolListeners.add(listener);
        return () => this.#poolListeners.delete(listener);
      },
      rejection: (id) => mempool.rejection(id),
      nextNonce: (address) => mempool.nextNonce(address, getAccount(this.#reader, address).nonce),
      check: (txs) => txs.map((tx) => mempool.check(tx, this.poolView)),
      submit: async (txs) => {
        this.submitted += txs.length;
        await this.verification;
        const results = txs.map((tx) => this.#admit(tx));
        if (this.autoCommit && this.mempool.size > 0) this.produce();
        return results;
      },
    };
  }

  #admit(tx: Transaction): Refusal | null {
    const refusal = this.mempool.check(tx, this.poolView);
    if (refusal) return refusal;
    const { message, signature, publicKey } = txCheck(this.genesis.chain, tx);
    if (nativeCrypto.verify(message, signature, publicKey)) {
      const full = this.mempool.add(tx, this.poolView);
      if (full === null) for (const { came } of this.#poolListeners) came(tx);
      this.#tellLeft(this.mempool.takeDisplaced());
      return full;
    }
    const bad: Refusal = { code: 'BAD_SIGNATURE', message: 'the signature does not verify', data: {} };
    this.mempool.reject(tx.id, bad);
    return bad;
  }
}
