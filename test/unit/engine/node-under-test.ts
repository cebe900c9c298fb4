/** One chain of a node with everything around it scripted: clock, network, disk, signatures, and the other validators. */
import { bytesKey } from '../../../src/bytes.ts';
import { blockId } from '../../../src/chain/block.ts';
import type { Signer } from '../../../src/chain/crypto/types.ts';
import type { AppliedBlock } from '../../../src/chain/execute.ts';
import type { Genesis } from '../../../src/chain/genesis.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import { proposerOf } from '../../../src/chain/validator-set.ts';
import type { Certificate, Vote } from '../../../src/chain/votes.ts';
import { proposalSignBytes } from '../../../src/chain/votes.ts';
import type { ChainModules, RunningChain } from '../../../src/chains.ts';
import { openChain } from '../../../src/chains.ts';
import { RightOfWay } from '../../../src/engine/right-of-way.ts';
import type { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { DEFAULT_MEMPOOL_LIMITS } from '../../../src/mempool.ts';
import type { MempoolLimits } from '../../../src/mempool.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import { statusSignBytes } from '../../../protocols/codec.ts';
import type { ProposalMessage } from '../../../protocols/messages.ts';
import { manualClock } from '../../net/manual-clock.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import type { FixtureOptions } from '../../util/chain-fixture.ts';
import { fixtureGenesis, signer } from '../../util/chain-fixture.ts';
import { InlineVerifier } from '../../util/inline-verifier.ts';
import { MemoryStore } from '../../util/memory-store.ts';
import { ScriptedNetwork } from '../../util/scripted-network.ts';
import { MemoryDisk } from '../store/memory-disk.ts';

export const TIMEOUTS = { proposeMs: 300, proposeDeltaMs: 100, voteMs: 150, voteDeltaMs: 100, capMs: 2000 };
const GENESIS_TIME_MS = 900_000;

/** Lets everything run that waits for nothing but its turn. */
export async function settle(turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Who lets others have a turn waits for no time to pass. */
function withTurns(clock: ManualClock): ManualClock {
  const { after } = clock;
  return Object.assign(clock, {
    after: (ms: number, fn: () => void) => {
      if (ms > 0) return after(ms, fn);
      const turn = setImmediate(fn);
      return () => {
        clearImmediate(turn);
      };
    },
  });
}

export interface NodeOptions extends FixtureOptions {
  /** Index of the validator that the node under test is; null: a follower. */
  readonly self?: number | null;
  readonly mempool?: Partial<MempoolLimits>;
  /** It may begin with a snapshot. */
  readonly joining?: ChainModules['joining'];
  /** Made and served by it. */
  readonly snapshots?: ChainModules['snapshots'];
  /** How many blocks it keeps. */
  readonly retainedBlocks?: number;
  /** It hears of no other validator. */
  readonly alone?: boolean;
}

export class NodeUnderTest {
  readonly genesis: Genesis;
  readonly names: readonly string[];
  /** The chain as the other validators know it. */
  readonly driver: ChainDriver;
  readonly clock: ManualClock = withTurns(manualClock());
  /** Among this chain and others of the same node. */
  readonly rightOfWay = new RightOfWay(this.clock);
  readonly verifier = new InlineVerifier();
  readonly network = new ScriptedNetwork();
  readonly store = new MemoryStore();
  readonly fatal: NodeError[] = [];
  readonly #options: NodeOptions;
  disk = new MemoryDisk();
  #chain: RunningChain | null = null;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.genesis = fixtureGenesis({ timeMs: GENESIS_TIME_MS, ...options });
    this.names = (options.powers ?? [1, 1, 1]).map((_, i) => `validator-${i}`);
    this.driver = new ChainDriver(this.genesis, this.names);
  }

  get chain(): RunningChain {
    if (!this.#chain) throw new Error('not started');
    return this.#chain;
  }

  /** Begins, and waits until the node would sign: it meets no peer unless one is scripted before. */
  async start(): Promise<RunningChain> {
    const { self = 0, mempool, alone, retainedBlocks = Infinity, snapshots = null } = this.#options;
    const { genesis, store, clock, verifier } = this;
    const identity = { chainId: genesis.chain.chainId, genesisHash: genesis.chain.genesisHash };
    let signing = null;
    if (self !== null) {
      const key = signer(`validator-${self}`);
      const witness = { sequence: store.guardSequence(key.publicKey), height: store.head()?.height ?? 0 };
      const guard = await openSignGuard({
        folder: '/memory',
        ...identity,
        publicKey: key.publicKey,
        store: witness,
        disk: this.disk,
      });
      signing = { signer: key, guard };
    }
    const chain = await openChain(
      { timeouts: TIMEOUTS, retainedBlocks, mempool: { ...DEFAULT_MEMPOOL_LIMITS, ...mempool } },
      {
        genesis,
        crypto: nativeCrypto,
        verifier,
        store,
        signing,
        snapshots,
        joining: this.#options.joining ?? null,
        way: this.rightOfWay.share(),
        clock,
        log: nopLogger,
        metrics: nopRegister,
        onFatal: (error) => this.fatal.push(error),
      },
    );
    this.#chain = chain;
    await chain.start(this.network);
    await settle();
    // A validator signs nothing before a quorum is there.
    if (self !== null && alone !== true) {
      for (let i = 0; i < this.names.length; i++) if (i !== self) await this.hearStatus(i);
    }
    clock.advance(2_000);
    await settle();
    return chain;
  }

  /** The sign of life of a validator, whose peer id is its name. */
  async hearStatus(i: number): Promise<void> {
    // Long before anything that a test says about time.
    const timeMs = this.clock.now() - 50_000;
    const unsigned = { height: 0, blockId: this.chain.ledger.tip.blockId, timeMs, peerId: `validator-${i}` };
    const signature = this.key(i).sign(statusSignBytes(this.genesis.chain, unsigned));
    await this.chain.handlers.gossip.status({ ...unsigned, validator: this.key(i).publicKey, signature }, 'peer');
    await settle();
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await settle();
  }

  async stop(): Promise<void> {
    const chain = this.#chain;
    this.#chain = null;
    await chain?.stop();
  }

  /** Index of the validator that this node is; −1 for a follower. */
  get self(): number {
    const { self = 0 } = this.#options;
    return self ?? -1;
  }

  key(i: number): Signer {
    return signer(`validator-${i}`);
  }

  /** Index of the validator whose turn a round of the driver's next height is. */
  proposerAt(round: number): number {
    const { publicKey } = proposerOf(getSets(this.driver.tip.state).current, round);
    return this.names.findIndex((name) => bytesKey(signer(name).publicKey) === bytesKey(publicKey));
  }

  /** The first round from `from` on that is the turn of that validator. */
  roundOf(validator: number, from = 0): number {
    let round = from;
    while (this.proposerAt(round) !== validator) round++;
    return round;
  }

  /** A fresh one bears the name of who proposes it. */
  propose(
    applied: AppliedBlock,
    round = 0,
    { polRound = -1, polka = null }: { polRound?: number; polka?: Certificate | null } = {},
  ): ProposalMessage {
    const { lastCommit, evidence, txs } = applied.block;
    const key = this.key(this.proposerAt(round));
    const header = polRound < 0 ? { ...applied.block.header, proposer: key.publicKey } : applied.block.header;
    const core = { height: header.height, round, polRound, blockId: blockId(nativeCrypto, header) };
    const signature = key.sign(proposalSignBytes(this.genesis.chain, core));
    const proposal = { ...core, proposer: key.publicKey, signature };
    return { attempt: 0, proposal, header, lastCommit, evidence, txIds: txs.map((tx) => tx.id), polka };
  }

  vote(
    i: number,
    type: Vote['type'],
    round: number,
    blockId: Uint8Array | null,
    height = this.driver.tip.height + 1,
  ): Vote {
    return this.driver.vote(this.key(i), height, round, blockId, type);
  }

  async hear(votes: readonly Vote[], from = 'peer'): Promise<string> {
    const code = await this.chain.handlers.gossip.vote({ attempt: 0, votes }, from);
    await settle();
    return code;
  }

  async hearProposal(message: ProposalMessage, from = 'peer'): Promise<string> {
    const code = await this.chain.handlers.gossip.proposal(message, from);
    await settle();
    return code;
  }

  /** What this node voted for, by (type, round), in the order it published. */
  ownVotes(): Vote[] {
    const own = this.key(this.#options.self ?? 0).publicKey;
    const votes = this.network
      .of('vote')
      .flatMap((batch) => batch.votes)
      .filter((vote) => bytesKey(vote.validator) === bytesKey(own));
    const seen = new Set<string>();
    return votes.filter((vote) => {
      const key = bytesKey(vote.signature);
      return !seen.has(key) && seen.add(key);
    });
  }
}
