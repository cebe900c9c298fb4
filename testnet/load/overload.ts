/**
 * More transfers than a cluster can take, by clients that do not give up: a refused transfer is offered again when its
 * sender's turn comes, so that the chain is offered the same rate at all times and never lacks what it can execute.
 * Everything is signed beforehand.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex, toHex } from '../../src/bytes.ts';
import { formatAddress } from '../../src/chain/address.ts';
import type { ChainParams } from '../../src/chain/params.ts';
import { readSeed } from '../layout.ts';
import type { LoadSetup, OverloadResult, OverloadRun } from './protocol.ts';
import { accountNonce, blockSummary, headHeight, submitBatch } from './rpc.ts';
import { loadAccounts, nextTransfer } from './transfers.ts';

/** As of `LoadGenerator`. */
const TICK_MS = 50;
const WATCH_MS = 50;
/** Requests to one node that may be open at once; what is due meanwhile counts as lag. */
const MAX_OPEN = 64;

interface Sender {
  readonly target: string;
  readonly signed: readonly Uint8Array[];
  /** Next of `signed` to offer. */
  at: number;
  /** Of `signed`, how many are in blocks. */
  final: number;
}

interface Offer {
  readonly sender: Sender;
  readonly at: number;
}

interface Tally {
  offered: number;
  failedRequests: number;
  worstLagMs: number;
  readonly refused: Record<string, number>;
  readonly blocks: { readonly seenAt: number; readonly ours: number; readonly round: number }[];
}

export class OverloadGenerator {
  readonly #setup: LoadSetup;

  constructor(setup: LoadSetup) {
    this.#setup = setup;
  }

  async run({ rate, seconds, signed }: OverloadRun, onMeasuring: () => void): Promise<OverloadResult> {
    const { observer } = this.#setup;
    const byId = new Map<string, Offer>();
    const senders = await this.#sign(signed, byId);
    const tally: Tally = { offered: 0, failedRequests: 0, worstLagMs: 0, refused: {}, blocks: [] };
    const ended = new AbortController();
    const watching = watch(observer, await headHeight(observer), byId, tally, ended.signal);
    onMeasuring();
    const startedAt = performance.now();
    await offer(senders, rate, seconds * 1000, tally);
    const endedAt = performance.now();
    ended.abort();
    await watching;
    const inSpan = tally.blocks.filter(({ seenAt }) => seenAt >= startedAt && seenAt <= endedAt);
    const committed = inSpan.reduce((sum, { ours }) => sum + ours, 0);
    return {
      type: 'overloaded',
      offered: tally.offered,
      committed,
      committed_per_s: Math.round(committed / ((endedAt - startedAt) / 1000)),
      blocks: inSpan.length,
      rounds_above_0: inSpan.filter(({ round }) => round > 0).length,
      refused: tally.refused,
      failed_requests: tally.failedRequests,
      worst_lag_ms: Math.round(tally.worstLagMs),
      exhausted_senders: senders.filter(({ at, signed: all }) => at >= all.length).length,
    };
  }

  async #sign(count: number, byId: Map<string, Offer>): Promise<Sender[]> {
    const { chainId, genesisHash, loadSeedPath, senders, targets, observer, baseFeeUait, feePerByteUait } = this.#setup;
    const chain = { chainId, genesisHash: fromHex(genesisHash, 32) };
    const params = { baseFeeUait, feePerByteUait } as ChainParams;
    const accounts = loadAccounts(readSeed(loadSeedPath), senders);
    const each = Math.ceil(count / accounts.length);
    const made: Sender[] = [];
    for (const [i, account] of accounts.entries()) {
      const to = accounts[(i + 1) % accounts.length] ?? account;
      account.nonce = await accountNonce(observer, formatAddress(account.address));
      const txs = Array.from({ length: each }, () => nextTransfer(chain, params, account, to.address));
      const sender: Sender = {
        target: targets[i % targets.length] ?? '',
        signed: txs.map(({ bytes }) => bytes),
        at: 0,
        final: 0,
      };
      txs.forEach(({ id }, at) => byId.set(toHex(id), { sender, at }));
      made.push(sender);
    }
    return made;
  }
}

async function offer(senders: readonly Sender[], rate: number, forMs: number, tally: Tally): Promise<void> {
  const startedAt = performance.now();
  const open = new Map<string, Set<Promise<void>>>();
  let due = 0;
  let turn = 0;
  for (let now = startedAt; now - startedAt < forMs; now = performance.now()) {
    const target = Math.floor(((now - startedAt) * rate) / 1000);
    const batches = new Map<string, Offer[]>();
    for (let tried = 0; due < target && tried < senders.length; tried++) {
      const sender = senders[turn++ % senders.length];
      if (!sender || sender.at >= sender.signed.length) continue;
      const batch = batches.get(sender.target);
      if (batch) batch.push({ sender, at: sender.at });
      else batches.set(sender.target, [{ sender, at: sender.at }]);
      sender.at++;
      due++;
    }
    tally.worstLagMs = Math.max(tally.worstLagMs, ((target - due) * 1000) / rate);
    for (const [node, batch] of batches) {
      const requests = open.get(node) ?? new Set();
      open.set(node, requests);
      if (requests.size >= MAX_OPEN) {
        for (const { sender, at } of batch) sender.at = Math.min(sender.at, at);
        tally.failedRequests++;
        continue;
      }
      tally.offered += batch.length;
      const request = post(node, batch, tally).finally(() => requests.delete(request));
      requests.add(request);
    }
    await sleep(Math.max(1, TICK_MS - (performance.now() - now)));
  }
  await Promise.all([...open.values()].flatMap((requests) => [...requests]));
}

async function post(node: string, batch: readonly Offer[], tally: Tally): Promise<void> {
  let codes: readonly (string | null)[];
  try {
    const texts = batch.map(({ sender, at }) => toHex(sender.signed[at] ?? new Uint8Array()));
    codes = await submitBatch(node, texts);
  } catch {
    tally.failedRequests++;
    for (const { sender, at } of batch) sender.at = Math.min(sender.at, at);
    return;
  }
  codes.forEach((code, i) => {
    const offered = batch[i];
    if (code === null || !offered) return;
    tally.refused[code] = (tally.refused[code] ?? 0) + 1;
    const { sender, at } = offered;
    // Nonces before a gap were displaced after they had been taken: from the first that is in no block, all again.
    if (code === 'NONCE_GAP') sender.at = Math.min(sender.at, sender.final);
    else if (code !== 'BAD_NONCE') sender.at = Math.min(sender.at, at);
  });
}

/** Follows the head until `ended`. */
async function watch(
  observer: string,
  from: number,
  byId: Map<string, Offer>,
  tally: Tally,
  ended: AbortSignal,
): Promise<void> {
  let height = from;
  while (!ended.aborted) {
    const polledAt = performance.now();
    const head = await headHeight(observer).catch(() => height);
    for (; height < head; height++) {
      const block = await blockSummary(observer, height + 1);
      let ours = 0;
      for (const id of block.txIds) {
        const offered = byId.get(id);
        if (!offered) continue;
        byId.delete(id);
        offered.sender.final = Math.max(offered.sender.final, offered.at + 1);
        offered.sender.at = Math.max(offered.sender.at, offered.sender.final);
        ours++;
      }
      tally.blocks.push({ seenAt: performance.now(), ours, round: block.round });
    }
    await sleep(Math.max(1, WATCH_MS - (performance.now() - polledAt)));
  }
}
