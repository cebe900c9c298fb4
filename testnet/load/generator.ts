/**
 * Open-loop load: transfers arrive on a fixed schedule whether or not earlier ones are final, so that a stall shows in
 * the latencies instead of thinning out the load. They are signed beforehand and sent in one batch a tick and node. What is
 * refused for the moment is offered again, as any client does, and its latency still counts from its scheduled time.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex, toHex } from '../../src/bytes.ts';
import { formatAddress } from '../../src/chain/address.ts';
import type { ChainParams } from '../../src/chain/params.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { readSeed } from '../layout.ts';
import { percentiles } from './percentiles.ts';
import type { LoadResult, LoadRun, LoadSetup } from './protocol.ts';
import { accountNonce, blockSummary, headHeight, submitBatch } from './rpc.ts';
import { HeldTransfers } from './held.ts';
import type { LoadAccount } from './transfers.ts';
import { loadAccounts, roundRobin } from './transfers.ts';

/** What falls due meanwhile goes to each node in one request, as clients with many senders do; latencies include it. */
const TICK_MS = 50;
const WATCH_MS = 20;
/** What is refused for the moment is offered again after this long: what `Retry-After` says. */
const RETRY_MS = 1_000;
const FOR_NOW: ReadonlySet<string> = new Set(['POOL_FULL', 'RATE_LIMITED', 'OVERLOADED', 'NONCE_GAP']);
/** Requests at once while nonces are read. */
const NONCE_READS = 16;

interface Scheduled {
  /** Its place in the plan. */
  readonly order: number;
  /** Index of its sender. */
  readonly sender: number;
  readonly hex: string;
  readonly id: string;
  readonly target: string;
}

/** One run's bookkeeping. Times are ms of performance.now(). */
interface Run {
  readonly startedAt: number;
  readonly measureFrom: number;
  readonly measureTo: number;
  /** Scheduled time by transaction id, of transfers not yet seen in a block. */
  readonly waiting: Map<string, number>;
  readonly held: HeldTransfers<Scheduled>;
  readonly latencies: number[];
  readonly refused: Record<string, number>;
  readonly blocks: { readonly seenAt: number; readonly ours: number; readonly round: number }[];
  failedRequests: number;
  worstLagMs: number;
}

export class LoadGenerator {
  readonly #setup: LoadSetup;
  readonly #chain: ChainContext;
  readonly #accounts: readonly LoadAccount[];

  private constructor(setup: LoadSetup, accounts: readonly LoadAccount[]) {
    this.#setup = setup;
    this.#chain = { chainId: setup.chainId, genesisHash: fromHex(setup.genesisHash, 32) };
    this.#accounts = accounts;
  }

  static async create(setup: LoadSetup): Promise<LoadGenerator> {
    return Promise.resolve(new LoadGenerator(setup, loadAccounts(readSeed(setup.loadSeedPath), setup.senders)));
  }

  async run(request: LoadRun, onMeasuring: () => void): Promise<LoadResult> {
    await this.#readNonces();
    const plan = this.#sign(Math.ceil((request.rate * (request.warmUpMs + request.measureMs)) / 1000));
    const startedAt = performance.now() + TICK_MS;
    const measureFrom = startedAt + request.warmUpMs;
    const run: Run = {
      startedAt,
      measureFrom,
      measureTo: measureFrom + request.measureMs,
      waiting: new Map(),
      held: new HeldTransfers(RETRY_MS),
      latencies: [],
      refused: {},
      blocks: [],
      failedRequests: 0,
      worstLagMs: 0,
    };
    const sending = this.#send(plan, request, run, onMeasuring);
    const watching = this.#watch(run, sending, request.drainMs);
    await sending;
    await watching;
    return summarise(request.rate, plan.length, run);
  }

  /** Nonces as the chain has them: what an earlier run lost is not waited for. */
  async #readNonces(): Promise<void> {
    const { observer } = this.#setup;
    for (let at = 0; at < this.#accounts.length; at += NONCE_READS) {
      await Promise.all(
        this.#accounts.slice(at, at + NONCE_READS).map(async (account) => {
          account.nonce = await accountNonce(observer, formatAddress(account.address));
        }),
      );
    }
  }

  #sign(count: number): Scheduled[] {
    const { targets, baseFeeUait, feePerByteUait } = this.#setup;
    const params = { baseFeeUait, feePerByteUait } as ChainParams;
    const source = roundRobin(this.#chain, params, this.#accounts);
    const plan: Scheduled[] = [];
    while (plan.length < count) {
      const { value } = source.next();
      if (!value) break;
      const { account, tx } = value;
      // One sender always goes to one node, so that its transfers arrive in order.
      const target = targets[account % targets.length] ?? '';
      plan.push({ order: plan.length, sender: account, hex: toHex(tx.bytes), id: toHex(tx.id), target });
    }
    return plan;
  }

  async #send(plan: readonly Scheduled[], request: LoadRun, run: Run, onMeasuring: () => void): Promise<void> {
    const { rate, drainMs } = request;
    const endAt = run.measureTo + drainMs;
    let sent = 0;
    let measuring = false;
    const requests = new Set<Promise<void>>();
    while (sent < plan.length || ((run.held.size > 0 || requests.size > 0) && performance.now() < endAt)) {
      const now = performance.now();
      if (!measuring && now >= run.measureFrom) {
        measuring = true;
        onMeasuring();
      }
      const due = Math.min(plan.length, Math.floor(((now - run.startedAt) * rate) / 1000) + 1);
      const offered = run.held.takeRipe(now);
      for (; sent < due; sent++) {
        const item = plan[sent];
        if (!item) break;
        const scheduledAt = run.startedAt + (sent * 1000) / rate;
        run.worstLagMs = Math.max(run.worstLagMs, now - scheduledAt);
        run.waiting.set(item.id, scheduledAt);
        if (!run.held.follow(item)) offered.push(item);
      }
      for (const [target, batch] of Map.groupBy(offered, (item) => item.target)) {
        const request = this.#post(target, batch, run).finally(() => requests.delete(request));
        requests.add(request);
      }
      await sleep(Math.max(1, TICK_MS - (performance.now() - now)));
    }
    await Promise.all(requests);
  }

  async #post(target: string, batch: readonly Scheduled[], run: Run): Promise<void> {
    try {
      const codes = await submitBatch(
        target,
        batch.map(({ hex }) => hex),
      );
      codes.forEach((code, i) => {
        const item = batch[i];
        if (!item) return;
        if (code !== null) run.refused[code] = (run.refused[code] ?? 0) + 1;
        if (code !== null && FOR_NOW.has(code)) run.held.add(item, performance.now());
        else run.held.settled(item, performance.now());
      });
    } catch {
      run.failedRequests++;
      for (const item of batch) run.held.add(item, performance.now());
    }
  }

  /** Follows the head until all transfers are final, or until `drainMs` after the last was sent. */
  async #watch(run: Run, sending: Promise<void>, drainMs: number): Promise<void> {
    const { observer } = this.#setup;
    let height = await headHeight(observer);
    let deadline = Infinity;
    void sending.then(() => {
      deadline = performance.now() + drainMs;
    });
    while (performance.now() < deadline && (deadline === Infinity || run.waiting.size > 0)) {
      const polledAt = performance.now();
      const head = await headHeight(observer).catch(() => height);
      const seenAt = performance.now();
      while (height < head) {
        const block = await blockSummary(observer, height + 1);
        height++;
        let ours = 0;
        for (const id of block.txIds) {
          const scheduledAt = run.waiting.get(id);
          if (scheduledAt === undefined) continue;
          run.waiting.delete(id);
          ours++;
          if (scheduledAt >= run.measureFrom && scheduledAt < run.measureTo) run.latencies.push(seenAt - scheduledAt);
        }
        run.blocks.push({ seenAt, ours, round: block.round });
      }
      await sleep(Math.max(1, WATCH_MS - (performance.now() - polledAt)));
    }
  }
}

function summarise(rate: number, planned: number, run: Run): LoadResult {
  const measured = (run.measureTo - run.measureFrom) / 1000;
  const offered = Math.min(planned, Math.round(rate * measured));
  const endless = Array.from({ length: Math.max(0, offered - run.latencies.length) }, () => Infinity);
  const { p50, p99, max } = percentiles([...run.latencies, ...endless]);
  const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
  const inSpan = run.blocks.filter(({ seenAt }) => seenAt >= run.measureFrom && seenAt <= run.measureTo);
  return {
    type: 'result',
    rate,
    offered,
    committed: run.latencies.length,
    committed_per_s: Math.round(committedPerSecond(inSpan, measured)),
    submit_to_final_ms: { p50: finite(p50), p99: finite(p99), max: finite(max) },
    blocks: inSpan.length,
    rounds_above_0: inSpan.filter(({ round }) => round > 0).length,
    refused: run.refused,
    failed_requests: run.failedRequests,
    worst_lag_ms: Math.round(run.worstLagMs),
  };
}

/** From the first block of the span to the last, so that the span's ends do not cut blocks in two. */
function committedPerSecond(blocks: Run['blocks'], spanSeconds: number): number {
  const [first] = blocks;
  const last = blocks.at(-1);
  const ours = blocks.reduce((sum, block) => sum + block.ours, 0);
  if (!first || !last || last.seenAt <= first.seenAt) return ours / spanSeconds;
  return (ours - first.ours) / ((last.seenAt - first.seenAt) / 1000);
}
