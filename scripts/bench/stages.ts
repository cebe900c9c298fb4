/**
 * What each stage of a transfer costs alone, on one thread, beside the least that its dearest primitive costs: what could
 * be won at most by writing the stage better. All stages see the same transfers, in blocks of 1,000.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeTxBatch, encodeTxBatch } from '../../protocols/codec.ts';
import { bytesKey, fromHex, toHex } from '../../src/bytes.ts';
import { accountAt } from '../../src/chain/accounts.ts';
import type { Crypto } from '../../src/chain/crypto/types.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { decodeTransaction, txCheck } from '../../src/chain/tx.ts';
import type { PoolView } from '../../src/mempool.ts';
import { Mempool } from '../../src/mempool.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { Ledger } from '../../src/engine/ledger.ts';
import { percentile } from '../../testnet/load/percentiles.ts';
import { loadAccounts, roundRobin } from '../../testnet/load/transfers.ts';
import { ChainMaker, chainRules, openStore } from './chain-maker.ts';
import { genesisOfOne } from './parts-alone.ts';
import type { Check } from './result.ts';
import { invariant } from './result.ts';

const SENDERS = 1000;
const BLOCK_TXS = 1000;
const BLOCKS = 40;
const WARM_UP_BLOCKS = 10;
/** Of a gossiped batch under load. */
const GOSSIP_TXS = 64;

/** ms for a block of transfers, by stage. */
type Stopwatch = (stage: string, work: () => void) => void;

export interface StageCost {
  readonly us_per_transfer: number;
  readonly primitive: string;
  readonly primitive_us_per_transfer: number;
  readonly ratio: number;
}

/** What each stage is held against. */
const PRIMITIVES: Readonly<Record<string, string>> = {
  rpc: 'JSON.parse of the body',
  decode: 'one SHA-256 of the bytes, which is the id',
  verify: 'libsodium alone, the message made beforehand',
  gossip: 'one copy of the bytes each way, and the decoding above',
  pool: 'the id put into a Map, found, and deleted',
  execute: 'the hashes of roots and tree alone',
  store: 'one synced write of as many bytes to a file',
};

export async function stages(
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const folder = mkdtempSync(join(tmpdir(), 'aitbc-stages-'));
  const accounts = loadAccounts(randomBytes(32), SENDERS);
  const validator = createNativeSigner(randomBytes(32));
  const genesis = genesisOfOne(accounts, validator);
  const hashing = { ms: 0 };
  const rules = { ...chainRules(genesis), crypto: countingCrypto(hashing) };
  const ledger = await Ledger.open(rules, genesis, await openStore(join(folder, 'chain'), genesis));
  const plain = openSync(join(folder, 'plain'), 'w');
  const times = new Map<string, number[]>();
  const add = (stage: string, ms: number): void => {
    times.set(stage, [...(times.get(stage) ?? []), ms]);
  };
  const watch: Stopwatch = (stage, work) => {
    const startedAt = performance.now();
    work();
    add(stage, performance.now() - startedAt);
  };
  try {
    const source = roundRobin(genesis.chain, genesis.params, accounts);
    const maker = new ChainMaker(ledger, [validator]);
    for (let block = 0; block < WARM_UP_BLOCKS + BLOCKS; block++) {
      if (block === WARM_UP_BLOCKS) times.clear();
      const texts = Array.from({ length: BLOCK_TXS }, () => toHex(source.next().value?.tx.bytes ?? new Uint8Array()));
      const txs = intake(texts, watch);
      verify(ledger, txs, watch);
      gossip(txs, watch);
      const chosen = pool(ledger, txs, watch);
      hashing.ms = 0;
      const executedAt = performance.now();
      const built = await ledger.build({
        timeMs: ledger.tip.timeMs + 1000,
        proposer: validator.publicKey,
        lastCommit: maker.lastCommit,
        evidence: [],
        txs: chosen,
      });
      add('execute', performance.now() - executedAt);
      add('execute/primitive', hashing.ms);
      const certificate = maker.certify(built);
      const storedAt = performance.now();
      await ledger.commit(built.blockId, certificate, null);
      add('store', performance.now() - storedAt);
      maker.follow(certificate);
      const bytesStored = [...built.changes].reduce((sum, [key, value]) => sum + key.length + (value?.length ?? 0), 0);
      const written = randomBytes(bytesStored + txs.length * 300);
      const plainAt = performance.now();
      writeSync(plain, written);
      fdatasyncSync(plain);
      add('store/primitive', performance.now() - plainAt);
    }
    const costs = costsOf(times);
    for (const [stage, cost] of Object.entries(costs)) {
      tell(
        `  ${stage.padEnd(8)} ${cost.us_per_transfer.toFixed(2).padStart(7)} µs, ${cost.ratio.toFixed(2)} x ` +
          `${cost.primitive_us_per_transfer.toFixed(2)} µs of ${cost.primitive}`,
      );
    }
    return {
      checks: [invariant('every transfer was executed', ledger.tip.height === WARM_UP_BLOCKS + BLOCKS)],
      figures: { stages: costs },
    };
  } finally {
    closeSync(plain);
    await ledger.store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As a client's request brings them: JSON with the bytes in hex. */
function intake(texts: readonly string[], watch: Stopwatch): Transaction[] {
  const body = JSON.stringify({ txs: texts });
  let read: readonly string[] = [];
  watch('rpc/primitive', () => {
    read = (JSON.parse(body) as { txs: string[] }).txs;
  });
  let encoded: Uint8Array[] = [];
  watch('rpc', () => {
    encoded = (JSON.parse(body) as { txs: string[] }).txs.map((text) => fromHex(text));
  });
  watch('decode/primitive', () => {
    for (const bytes of encoded) nativeCrypto.hash(bytes);
  });
  let txs: Transaction[] = [];
  watch('decode', () => {
    txs = encoded.map((bytes) => decodeTransaction(nativeCrypto, bytes));
  });
  return read.length === txs.length ? txs : [];
}

function verify({ rules }: Ledger, txs: readonly Transaction[], watch: Stopwatch): void {
  const checks = txs.map((tx) => txCheck(rules.chain, tx));
  watch('verify/primitive', () => {
    for (const { message, signature, publicKey } of checks) nativeCrypto.verify(message, signature, publicKey);
  });
  watch('verify', () => {
    for (const tx of txs) {
      const { message, signature, publicKey } = txCheck(rules.chain, tx);
      nativeCrypto.verify(message, signature, publicKey);
    }
  });
}

function gossip(txs: readonly Transaction[], watch: Stopwatch): void {
  const batches: (readonly Transaction[])[] = [];
  for (let at = 0; at < txs.length; at += GOSSIP_TXS) batches.push(txs.slice(at, at + GOSSIP_TXS));
  watch('gossip/primitive', () => {
    for (const batch of batches) {
      for (const { bytes } of batch) decodeTransaction(nativeCrypto, new Uint8Array(new Uint8Array(bytes)));
    }
  });
  watch('gossip', () => {
    for (const batch of batches) decodeTxBatch(nativeCrypto, encodeTxBatch({ attempt: 0, origin: 'n1', txs: batch }));
  });
}

function pool(ledger: Ledger, txs: readonly Transaction[], watch: Stopwatch): Transaction[] {
  const { tip, rules } = ledger;
  const view: PoolView = {
    params: rules.params,
    nextHeight: tip.height + 1,
    nowMs: tip.timeMs,
    account: (key) => accountAt(tip.state, key),
  };
  const { maxBlockTxs, maxBlockBytes } = rules.params;
  let chosen: Transaction[] = [];
  watch('pool/primitive', () => {
    const map = new Map<string, Transaction>();
    for (const tx of txs) map.set(bytesKey(tx.id), tx);
    for (const tx of txs) map.get(bytesKey(tx.id));
    for (const tx of txs) map.delete(bytesKey(tx.id));
  });
  watch('pool', () => {
    const mempool = new Mempool();
    for (const tx of txs) if (mempool.check(tx, view) === null) mempool.add(tx, view);
    chosen = mempool.select(view, maxBlockTxs, maxBlockBytes);
    mempool.onCommitted(chosen, view);
  });
  return chosen;
}

function countingCrypto(spent: { ms: number }): Crypto {
  const timed = <T>(work: () => T): T => {
    const startedAt = performance.now();
    const result = work();
    spent.ms += performance.now() - startedAt;
    return result;
  };
  return {
    ...nativeCrypto,
    hash: (bytes) => timed(() => nativeCrypto.hash(bytes)),
    hashKey: (bytes) => timed(() => nativeCrypto.hashKey(bytes)),
    hashPairs: (input, out) => {
      timed(() => {
        nativeCrypto.hashPairs(input, out);
      });
    },
  };
}

/** Medians of all blocks. */
function costsOf(times: ReadonlyMap<string, readonly number[]>): Record<string, StageCost> {
  const us = (name: string): number => {
    const sorted = [...(times.get(name) ?? [])].sort((a, b) => a - b);
    return (percentile(sorted, 0.5) * 1000) / BLOCK_TXS;
  };
  return Object.fromEntries(
    Object.entries(PRIMITIVES).map(([stage, primitive]) => {
      const [cost, least] = [us(stage), us(`${stage}/primitive`)];
      const rounded = (value: number): number => Math.round(value * 100) / 100;
      return [
        stage,
        {
          us_per_transfer: rounded(cost),
          primitive,
          primitive_us_per_transfer: rounded(least),
          ratio: rounded(cost / least),
        },
      ];
    }),
  );
}
