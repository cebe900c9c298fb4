/** A miner with all about it in memory: a chain of its own making, rows that can be cut off, a scripted back end, clients. */
import assert from 'node:assert/strict';
import type { Address, Hash } from '../../../../src/bytes.ts';
import { bytesKey, compareBytes, equalBytes, keyBytes } from '../../../../src/bytes.ts';
import { getAccount } from '../../../../src/chain/accounts.ts';
import { openAgreement } from '../../../../src/chain/modules/compute/agreement-client.ts';
import type { Agreement } from '../../../../src/chain/modules/compute/agreement.ts';
import { getStake } from '../../../../src/chain/modules/compute/stake.ts';
import { leastFeeUait } from '../../../../src/chain/params.ts';
import type { SignedOffer } from '../../../../src/chain/market/offer.ts';
import type { Receipt } from '../../../../src/chain/receipt.ts';
import { decodeTransaction } from '../../../../src/chain/tx.ts';
import type { Transaction } from '../../../../src/chain/tx.ts';
import type { BlobShelf } from '../../../../src/compute/blobs/shelf.ts';
import { memoryShelf } from '../../../../src/compute/blobs/shelf.ts';
import type { Row, Rows } from '../../../../src/compute/coordinator/ports.ts';
import type {
  Capability,
  ExecutorIo,
  ExecutorJob,
  ExecutorOutcome,
} from '../../../../src/compute/executors/executor.ts';
import type { Miner } from '../../../../src/compute/miner/miner.ts';
import { createMiner } from '../../../../src/compute/miner/miner.ts';
import type { MinerBlobs, MinerChain, SeenOpening, MinerExecutors } from '../../../../src/compute/miner/ports.ts';
import { parsePrices } from '../../../../src/compute/miner/prices.ts';
import type { Refusal } from '../../../../src/compute/miner/refusal.ts';
import type { ErrorCode } from '../../../../src/errors.ts';
import { NodeError } from '../../../../src/errors.ts';
import { nopLogger } from '../../../../src/log.ts';
import { nopRegister } from '../../../../src/metrics.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { nativeSealing } from '../../../../src/native/sealing.ts';
import type { ManualClock } from '../../../net/manual-clock.ts';
import { manualClock } from '../../../net/manual-clock.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { InlineVerifier } from '../../../util/inline-verifier.ts';
import { waitFor } from '../../../util/wait.ts';
import { addressOfName, Market } from '../../chain/modules/compute/market.ts';

export const MINER = 'account-0';
export const CLIENT = 'account-1';
/** Fixed, a KiB of input, a KiB of output. */
export const PRICE = { fixedUait: 100, inputUaitPerKib: 1024, outputUaitPerKib: 1024 } as const;
/** One second's worth of a model that was not measured: a KiB. */
export const TICK_UAIT = 1024;

/** Rows as they would be on a disk, until they are cut off: then nothing is written and nobody is answered any more. */
export class MemoryRows implements Rows {
  readonly held: Map<string, Uint8Array>;
  calls = 0;
  /** That call and all after it never return; `isLost`: it is not written either. */
  cutAt = Infinity;
  isLost = false;
  fault: NodeError | null = null;

  constructor(held: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.held = new Map(held);
  }

  async *load(): AsyncGenerator<{ key: Uint8Array; value: Uint8Array }> {
    await Promise.resolve();
    const keys = [...this.held.keys()].map(keyBytes).sort(compareBytes);
    for (const key of keys) yield { key, value: this.held.get(bytesKey(key)) ?? assert.fail() };
  }

  async persist(rows: readonly Row[]): Promise<void> {
    if (this.fault) throw this.fault;
    this.calls += 1;
    const isCut = this.calls >= this.cutAt;
    if (this.calls < this.cutAt || (this.calls === this.cutAt && !this.isLost)) {
      for (const { key, value } of rows) {
        if (value) this.held.set(bytesKey(key), value.slice());
        else this.held.delete(bytesKey(key));
      }
    }
    await (isCut ? new Promise<never>(() => undefined) : Promise.resolve());
  }

  get isCut(): boolean {
    return this.calls >= this.cutAt;
  }
}

/** What the back end does with a job; by default it answers with its input in upper case, word by word. */
export type Script = (job: ExecutorJob, io: ExecutorIo) => Promise<ExecutorOutcome>;

const upper: Script = async (job, io) => {
  const text = job.parts
    .map(({ data }) => new TextDecoder().decode(data))
    .join(' ')
    .toUpperCase();
  for (const word of text.split(/(?<= )/)) await io.emit(new TextEncoder().encode(word));
  return { finish: 'stop', inputTokens: 3, outputTokens: 4 };
};

const CAPABILITY: Capability = {
  ...{ kind: 'llm.chat', model: 'echo', digest: null, contextTokens: 2048 },
  ...{ streams: true, deterministic: true, warm: true, tags: ['demo'] },
};

export class World {
  readonly market: Market;
  readonly clock: ManualClock;
  readonly verifier = new InlineVerifier();
  readonly pool: Transaction[];
  readonly name: string;
  readonly receipts: Receipt[] = [];
  readonly offers: SignedOffer[] = [];
  rows = new MemoryRows();
  script: Script = upper;
  capabilities: readonly Capability[] = [CAPABILITY];
  health: Refusal | null = null;
  running = 0;
  fatal: NodeError | null = null;
  slots = 2;
  /** What blocks are full of pays so much; an account's transactions wait for the first that pays less. */
  floodUait = 0;
  #miner: Miner | null = null;
  readonly #openings = new Set<(opening: SeenOpening) => void>();
  readonly #heads = new Set<() => void>();

  /** @param beside another miner on the same chain, by the same clock */
  constructor(name = MINER, beside?: World) {
    this.name = name;
    this.market = beside?.market ?? new Market();
    this.clock = beside?.clock ?? manualClock();
    this.pool = beside?.pool ?? [];
    this.shelf = memoryShelf(nativeCrypto, this.clock);
    this.market.stake(name);
  }

  /** Its shelf, kept over restarts, and what the clients' node gives. */
  readonly shelf: BlobShelf;
  readonly lies: string[] = [];
  ask: MinerBlobs['ask'] = () => Promise.reject(new NodeError('NOT_FOUND', 'no such blob'));

  get blobs(): MinerBlobs {
    return {
      shelf: this.shelf,
      ask: (...asked) => this.ask(...asked),
      onLie: (peer, reason) => void this.lies.push(`${peer}: ${reason}`),
    };
  }

  get miner(): Miner {
    return this.#miner ?? assert.fail('no miner was started');
  }

  async start(): Promise<Miner> {
    const executors: MinerExecutors = {
      probe: () => Promise.resolve(this.capabilities),
      prepare: () => Promise.resolve(),
      run: async (job, io) => {
        this.running += 1;
        try {
          return await this.script(job, io);
        } finally {
          this.running -= 1;
        }
      },
    };
    const prices = parsePrices(['* 100 1024 1024']);
    this.#miner = await createMiner(
      { name: 'm1', region: 'here', gpus: [], slots: this.slots, prices },
      {
        chain: this.chain(),
        net: {
          place: () => ({ peer: 'peer', addresses: ['/ip4/127.0.0.1/tcp/1'] }),
          announce: (offer) => void this.offers.push(offer),
        },
        rows: this.rows,
        executors,
        blobs: this.blobs,
        signer: signer(this.name),
        hasher: nativeCrypto,
        sealing: nativeSealing,
        verifier: this.verifier,
        clock: this.clock,
        random: () => 0,
        log: nopLogger,
        metrics: nopRegister,
        onFatal: (error) => {
          this.fatal = error;
        },
      },
    );
    return this.#miner;
  }

  /** As after kill -9: what is on the disk is all that is left. */
  async restart(): Promise<Miner> {
    this.#openings.clear();
    this.#heads.clear();
    this.rows = new MemoryRows(this.rows.held);
    return this.start();
  }

  /** Takes what is pending into a block. */
  mine(timeMs?: number): void {
    const { applied, txs } = this.#commit(timeMs);
    txs.forEach((_, i) => {
      const receipt = applied.receipts[i];
      if (receipt) this.receipts.push(receipt);
    });
    this.tellHead();
  }

  /** As the chain does after each block. */
  tellHead(): void {
    for (const listener of this.#heads) listener();
  }

  /** Until the miner has sent what it is about to send, in blocks. */
  async settle(): Promise<void> {
    for (let calm = 0; calm < 3; ) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      calm = this.pool.length === 0 ? calm + 1 : 0;
      if (this.pool.length > 0) this.mine();
    }
  }

  /** Opens an agreement with the miner. */
  open(client: string, capUait: number, termMs?: number): { readonly agreement: Hash; readonly open: Uint8Array } {
    const { market } = this;
    const { nonce } = getAccount(market.chain.tip.state, addressOfName(client));
    const agreement = market.open(client, MINER, capUait, termMs);
    const block = market.chain.entries;
    assert(block.size > 0);
    const payload = {
      signer: signer(`session-${client}`).publicKey,
      miner: addressOfName(MINER),
      capUait,
      expiresAtMs: market.agreement(agreement)?.expiresAtMs ?? 0,
    };
    const open = market.chain.tx(openAgreement, client, nonce, payload, 5_000).bytes;
    this.tellOpening(addressOfName(client), nativeCrypto.hash(open), true);
    for (const listener of this.#heads) listener();
    return { agreement, open };
  }

  /** As the pool does when one comes, and the chain when it is final. */
  tellOpening(client: Address, transaction: Hash, isFinal: boolean): void {
    for (const listener of this.#openings) listener({ client, transaction, isFinal });
  }

  agreement(id: Hash): Agreement {
    return this.market.agreement(id) ?? assert.fail('no such agreement');
  }

  chain(): MinerChain {
    const { market, pool } = this;
    const state = (): typeof market.chain.tip.state => market.chain.tip.state;
    return {
      context: market.chain.genesis.chain,
      head: () => ({ height: market.chain.tip.height, timeMs: market.nowMs }),
      unhealthy: () => this.health,
      agreement: (id) => market.agreement(id) ?? null,
      balanceUait: (account) => getAccount(state(), account).balanceUait,
      stakedUait: (miner) => getStake(state(), miner).stakedUait,
      terms: () => ({ minCapUait: 10_000, minStakeUait: 1_000_000, minBlockIntervalMs: 500 }),
      nonces: (account) => {
        const final = getAccount(state(), account).nonce;
        const own = pool.filter(({ senderAddress }) => equalBytes(senderAddress, account));
        return { final, next: Math.max(final, ...own.map(({ nonce }) => nonce + 1)) };
      },
      leastFeeUait: (bytes) => leastFeeUait(market.chain.genesis.params, bytes),
      submit: (bytes) => {
        const tx = decodeTransaction(nativeCrypto, bytes);
        const isKnown = pool.some(({ id }) => equalBytes(id, tx.id));
        const isUsed = tx.nonce < getAccount(state(), tx.senderAddress).nonce;
        const refused = (code: ErrorCode): Promise<Refusal> => Promise.resolve({ code, afterMs: 0, text: code });
        if (isUsed) return refused('BAD_NONCE');
        if (isKnown) return Promise.resolve(null);
        const isSame = (each: Transaction): boolean =>
          each.nonce === tx.nonce && equalBytes(each.senderAddress, tx.senderAddress);
        const replaced = pool.findIndex(isSame);
        if (replaced < 0) pool.push(tx);
        else if (tx.feeUait * 10 < (pool[replaced]?.feeUait ?? 0) * 11) return refused('UNDERPRICED');
        else pool[replaced] = tx;
        return Promise.resolve(null);
      },
      onOpening: (_miner, listener) => {
        this.#openings.add(listener);
        return () => this.#openings.delete(listener);
      },
      onHead: (listener) => {
        this.#heads.add(listener);
        return () => this.#heads.delete(listener);
      },
    };
  }

  /** What the miner's account has gained but for fees. */
  earnedUait(agreement: Hash): number {
    return this.market.agreement(agreement)?.paidUait ?? 0;
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await waitFor(what, condition, 5_000);
  }

  #commit(timeMs?: number): { readonly applied: ReturnType<Market['commit']>; readonly txs: readonly Transaction[] } {
    const pending = this.pool.splice(0).sort((a, b) => a.nonce - b.nonce);
    const isTaken = ({ feeUait }: Transaction): boolean => feeUait >= this.floodUait;
    const cheap = pending.findIndex((tx) => !isTaken(tx));
    const txs = cheap < 0 ? pending : pending.slice(0, cheap);
    this.pool.push(...pending.slice(txs.length));
    return { applied: this.market.commit(txs, timeMs), txs };
  }
}
