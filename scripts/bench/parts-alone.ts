/**
 * The ceiling without network and agreement: decode, verify on two threads, apply, tree and one synced write a block, in
 * one process, of the same transfers that the throughput measurement sends. All by the product's own code.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAddress } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { decodeTransaction, txCheck } from '../../src/chain/tx.ts';
import { NodeError } from '../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import type { VerifyPool } from '../../src/native/verify-pool.ts';
import { createVerifyPool } from '../../src/native/verify-pool.ts';
import { LOAD_BALANCE_UAIT } from '../../testnet/accounts.ts';
import { buildGenesis } from '../../src/cli/network/genesis-template.ts';
import type { LoadAccount } from '../../testnet/load/transfers.ts';
import { loadAccounts, roundRobin } from '../../testnet/load/transfers.ts';
import { ChainMaker, openFreshLedger } from './chain-maker.ts';

const WORKERS = 2;
const BLOCK_TXS = 1000;
const BLOCKS = 30;
const WARM_UP_BLOCKS = 5;
/** Blocks whose signatures are checked ahead of execution. */
const AHEAD = 3;

export interface PartsAlone {
  readonly transfers_per_s: number;
  readonly transfers: number;
  readonly workers: number;
}

export async function measurePartsAlone(senders = 1000): Promise<PartsAlone> {
  const folder = mkdtempSync(join(tmpdir(), 'aitbc-parts-'));
  const pool = createVerifyPool({ workers: WORKERS });
  const accounts = loadAccounts(randomBytes(32), senders);
  const validator = createNativeSigner(randomBytes(32));
  const genesis = genesisOfOne(accounts, validator);
  const ledger = await openFreshLedger(folder, genesis);
  try {
    const source = roundRobin(genesis.chain, genesis.params, accounts);
    const blocks = Array.from({ length: WARM_UP_BLOCKS + BLOCKS }, () => takeBytes(source, BLOCK_TXS));
    const maker = new ChainMaker(ledger, [validator]);
    await run(maker, pool, blocks.slice(0, WARM_UP_BLOCKS));
    const startedAt = performance.now();
    await run(maker, pool, blocks.slice(WARM_UP_BLOCKS));
    const seconds = (performance.now() - startedAt) / 1000;
    const transfers = BLOCKS * BLOCK_TXS;
    return { transfers_per_s: Math.round(transfers / seconds), transfers, workers: WORKERS };
  } finally {
    await Promise.all([pool.close(), ledger.store.close()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A chain of one validator on which these accounts have money. */
export function genesisOfOne(accounts: readonly LoadAccount[], validator: Signer): Genesis {
  return buildGenesis(
    'ait-devnet',
    Date.now(),
    accounts.map(({ address }) => ({ address: formatAddress(address), balanceUait: String(LOAD_BALANCE_UAIT) })),
    [
      {
        name: 'n1',
        publicKey: validator.publicKey,
        operator: formatAddress(accounts[0]?.address ?? new Uint8Array(20)),
      },
    ],
  ).genesis;
}

function takeBytes(source: ReturnType<typeof roundRobin>, count: number): Uint8Array[] {
  return Array.from({ length: count }, () => {
    const { value } = source.next();
    if (!value) throw new NodeError('INTERNAL', 'no load accounts');
    return value.tx.bytes;
  });
}

async function run(maker: ChainMaker, pool: VerifyPool, blocks: readonly Uint8Array[][]): Promise<void> {
  const verifying: Promise<Transaction[]>[] = [];
  let at = 0;
  for (let done = 0; done < blocks.length; done++) {
    while (at < blocks.length && at < done + AHEAD) {
      const block = verify(maker, pool, blocks[at++] ?? []);
      block.catch(() => undefined);
      verifying.push(block);
    }
    await maker.next((await verifying.shift()) ?? []);
  }
}

async function verify(maker: ChainMaker, pool: VerifyPool, encoded: readonly Uint8Array[]): Promise<Transaction[]> {
  const txs = encoded.map((bytes) => decodeTransaction(nativeCrypto, bytes));
  const good = await pool.verifyBatch(txs.map((tx) => txCheck(maker.ledger.rules.chain, tx)));
  if (!good.every(Boolean)) throw new NodeError('INTERNAL', 'a signature of the load does not verify');
  return txs;
}
