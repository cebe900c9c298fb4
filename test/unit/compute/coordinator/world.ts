/** A market in one process: a chain of agreements, rows that can crash, and miners by script. */
import assert from 'node:assert/strict';
import type { Hash } from '../../../../src/bytes.ts';
import { bytesKey, concatBytes, equalBytes } from '../../../../src/bytes.ts';
import type { SignedOffer } from '../../../../src/chain/market/offer.ts';
import type { Agreement } from '../../../../src/chain/modules/compute/agreement.ts';
import type { Coordinator, JobRequest, JobView } from '../../../../src/compute/coordinator/coordinator.ts';
import { createCoordinator } from '../../../../src/compute/coordinator/create-coordinator.ts';
import type { CoordinatorLimits } from '../../../../src/compute/coordinator/limits.ts';
import type { ReplayOptions } from '../../../../src/compute/coordinator/replays.ts';
import type { Blobs, Miners, Money, OpenFields, Row, Rows } from '../../../../src/compute/coordinator/ports.ts';
import type { Renewal } from '../../../../src/compute/coordinator/renewal.ts';
import { NodeError } from '../../../../src/errors.ts';
import { nopLogger } from '../../../../src/log.ts';
import { nopRegister } from '../../../../src/metrics.ts';
import { createNativeSigner, nativeCrypto } from '../../../../src/native/crypto.ts';
import type { ManualClock } from '../../../net/manual-clock.ts';
import { manualClock } from '../../../net/manual-clock.ts';
import { ACCOUNT, CHAIN, CLIENT, plainSealing } from './fixtures.ts';
import type { TestMiner } from './test-miner.ts';

class MemoryRows implements Rows {
  readonly kept = new Map<string, Row>();
  writes = 0;
  /** Before that write, and at each after it, the process is gone: nothing is kept, nothing answers. */
  crashAt = Infinity;
  onCrash: () => void = () => undefined;

  async *load(): AsyncGenerator<{ key: Uint8Array; value: Uint8Array }> {
    const rows = [...this.kept.values()].sort((a, b) => Buffer.compare(a.key, b.key));
    for (const { key, value } of rows) if (value) yield await Promise.resolve({ key, value });
  }

  async persist(rows: readonly Row[]): Promise<void> {
    await Promise.resolve();
    this.writes++;
    if (this.writes >= this.crashAt) {
      this.onCrash();
      return new Promise(() => undefined);
    }
    for (const row of rows) {
      if (row.value === null) this.kept.delete(bytesKey(row.key));
      else this.kept.set(bytesKey(row.key), { key: row.key.slice(), value: row.value.slice() });
    }
    return Promise.resolve();
  }

  ofTable(table: number): Uint8Array[] {
    return [...this.kept.values()].filter(({ key }) => key[0] === table).map(({ value }) => value ?? new Uint8Array());
  }
}

export interface WorldOptions {
  readonly limits?: Partial<CoordinatorLimits>;
  readonly replay?: ReplayOptions;
  readonly blobs?: Blobs;
}

export class World {
  readonly clock: ManualClock = manualClock();
  readonly rows = new MemoryRows();
  readonly agreements = new Map<string, { id: Hash; agreement: Agreement; fields: OpenFields; open: Uint8Array }>();
  readonly miners = new Map<string, TestMiner>();
  readonly #listeners = new Set<() => void>();
  readonly #options: WorldOptions;
  readonly #renewals = new Map<string, { id: Hash; renewal: Renewal }>();
  readonly #prepared = new Map<string, { id: Hash; fields: OpenFields }>();
  readonly closed: Hash[] = [];
  readonly renewals: Renewal[] = [];
  /** Openings whose nonce another program of the account uses first, for an agreement of its own. */
  outrun = 0;
  coordinator!: Coordinator;
  balanceUait = 1_000_000_000;
  sent = 0;
  #nonce = 0;
  #random = 0;
  /** Of the coordinator's process: what is left of an earlier one reaches nobody. */
  life = 0;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
  }

  add(miner: TestMiner): TestMiner {
    this.miners.set(bytesKey(miner.signer.publicKey), miner);
    for (const listener of this.#listeners) listener();
    return miner;
  }

  remove(miner: TestMiner): void {
    this.miners.delete(bytesKey(miner.signer.publicKey));
    for (const listener of this.#listeners) listener();
  }

  async start(): Promise<Coordinator> {
    this.life++;
    this.coordinator = await createCoordinator({
      chain: CHAIN,
      crypto: nativeCrypto,
      createSigner: createNativeSigner,
      sealing: plainSealing,
      miners: this.#minersOf(this.life),
      money: this.#money(),
      rows: this.rows,
      clock: this.clock,
      random: (bytes) => nativeCrypto.hash(new TextEncoder().encode(`random ${this.#random++}`)).slice(0, bytes),
      log: nopLogger,
      metrics: nopRegister,
      ...this.#options,
    });
    return this.coordinator;
  }

  /** As kill -9 does: rows stay, streams break. */
  async crash(): Promise<void> {
    this.life++;
    for (const miner of this.miners.values()) miner.breakStreams();
    const old = this.coordinator;
    this.rows.crashAt = Infinity;
    await this.start();
    old.close().catch(() => undefined);
  }

  /** Lets all run that waits for nothing but its turn, and time go on when nothing does. */
  async until(what: string, condition: () => boolean, stepMs = 50): Promise<void> {
    for (let turns = 0; turns < 4_000; turns++) {
      await settle();
      if (condition()) return;
      if (stepMs > 0) this.clock.advance(stepMs);
    }
    assert.fail(`never came: ${what}`);
  }

  async ended(id: Hash, stepMs = 50): Promise<JobView> {
    await this.until('the end of the job', () => this.view(id).endedAtMs !== null, stepMs);
    return this.view(id);
  }

  view(id: Hash): JobView {
    const view = this.coordinator.job(id);
    assert.ok(view, 'the job is known');
    return view;
  }

  async run(request: Partial<JobRequest> = {}): Promise<JobView> {
    const { id } = await this.coordinator.submit(requestOf(request));
    return this.ended(id);
  }

  async output(id: Hash): Promise<string> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.coordinator.output(id, 0, new AbortController().signal)) pieces.push(piece);
    return new TextDecoder().decode(concatBytes(pieces));
  }

  #minersOf(life: number): Miners {
    const alive = (): void => {
      if (this.life !== life) throw new NodeError('UNREACHABLE', 'of an earlier process');
    };
    const find = (key: Uint8Array): TestMiner => {
      alive();
      const miner = this.miners.get(bytesKey(key));
      if (!miner || miner.isDown) throw new NodeError('UNREACHABLE', 'nobody there');
      return miner;
    };
    return {
      offers: (): readonly SignedOffer[] => [...this.miners.values()].map((miner) => miner.offer()),
      onOffers: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      quote: async (offer, request) => find(offer.miner).quote(request),
      open: async (offer) => find(offer.miner).open(alive),
    };
  }

  #money(): Money {
    return {
      client: CLIENT,
      signAsAccount: (message) => ({ publicKey: ACCOUNT.publicKey, signature: ACCOUNT.sign(message) }),
      terms: () =>
        Promise.resolve({
          ...{ minCapUait: 1_000, minStakeUait: 100, maxTermMs: 30 * 24 * 3_600_000 },
          ...{ openFeeUait: 10, renewFeeUait: 3 },
        }),
      balanceUait: () => Promise.resolve(this.balanceUait),
      stakedUait: (miner) =>
        Promise.resolve([...this.miners.values()].find((each) => equalBytes(each.address, miner))?.stakedUait ?? 0),
      agreement: (id) => Promise.resolve(this.agreements.get(bytesKey(id))?.agreement ?? null),
      head: () => Promise.resolve({ height: Math.floor(this.clock.now() / 1_000), timeMs: this.clock.now() }),
      prepareOpen: (fields) => {
        if (fields.capUait > this.balanceUait) {
          return Promise.reject(new NodeError('INSUFFICIENT_FUNDS', 'the account has too little'));
        }
        const nonce = ++this.#nonce;
        const id = nativeCrypto.hash(new TextEncoder().encode(`agreement ${nonce}`));
        const transaction = new TextEncoder().encode(`open ${nonce}`);
        this.#prepared.set(bytesKey(transaction), { id, fields });
        return Promise.resolve({ agreement: id, transaction });
      },
      send: (transaction) => this.#send(transaction),
      prepareRenewal: (id, renewal) => {
        const transaction = new TextEncoder().encode(`renew ${++this.#nonce}`);
        this.#renewals.set(bytesKey(transaction), { id, renewal });
        return Promise.resolve(transaction);
      },
      prepareClose: (id) => {
        this.closed.push(id);
        return Promise.resolve(concatBytes([new Uint8Array([0]), id]));
      },
    };
  }

  #renewed(id: Hash, renewal: Renewal): { height: number } {
    const held = this.agreements.get(bytesKey(id)) ?? assert.fail('an agreement that was opened');
    this.renewals.push(renewal);
    const { capUait } = held.agreement;
    if ('amountUait' in renewal) {
      assert.ok(renewal.amountUait <= this.balanceUait, 'money that is there');
      this.balanceUait -= renewal.amountUait;
      held.agreement = { ...held.agreement, capUait: capUait + renewal.amountUait };
    } else held.agreement = { ...held.agreement, ...renewal };
    return { height: 1 };
  }

  async #send(transaction: Uint8Array): Promise<{ height: number }> {
    await Promise.resolve();
    if (transaction[0] === 0) {
      const held = this.agreements.get(bytesKey(transaction.subarray(1)));
      if (held) held.agreement = { ...held.agreement, state: { name: 'closing', sinceHeight: 1, sinceMs: 1 } };
      return { height: 1 };
    }
    const renewed = this.#renewals.get(bytesKey(transaction));
    if (renewed) return this.#renewed(renewed.id, renewed.renewal);
    const prepared = this.#prepared.get(bytesKey(transaction));
    assert.ok(prepared, 'a transaction that was signed');
    const isOutrun = this.outrun > 0;
    if (isOutrun) this.outrun--;
    const signer = isOutrun ? new Uint8Array(32).fill(9) : prepared.fields.signer;
    const key = bytesKey(prepared.id);
    if (!this.agreements.has(key)) {
      this.sent++;
      const { fields } = prepared;
      this.balanceUait -= fields.capUait;
      const agreement: Agreement = {
        ...{ client: CLIENT, signer, miner: fields.miner, capUait: fields.capUait, paidUait: 0 },
        ...{ expiresAtMs: fields.expiresAtMs, receiptsRoot: new Uint8Array(32), state: { name: 'open' } },
      };
      this.agreements.set(key, { id: prepared.id, agreement, fields, open: transaction });
    }
    if (isOutrun) throw new NodeError('BAD_NONCE', 'the nonce is used');
    return { height: 1 };
  }
}

export function requestOf(fields: Partial<JobRequest> = {}): JobRequest {
  const data = new TextEncoder().encode('What is the capital of Austria?');
  return {
    kind: 'llm.chat',
    model: '',
    params: [],
    parts: [{ role: 'user', mediaType: 'text/plain', data }],
    maxOutputBytes: 4_096,
    maxPriceUait: 100_000,
    queueMs: 60_000,
    executionMs: 60_000,
    totalMs: 600_000,
    owner: '',
    idempotencyKey: null,
    agreement: 'session',
    ...fields,
  };
}

/** All that is due at once has run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}
