/** A state of many accounts for a cluster that has not started yet, made by blocks as a chain makes it. */
import { cpSync } from 'node:fs';
import { addressOf } from '../../src/chain/address.ts';
import { NodeError } from '../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { nodeLayout, readSeed } from '../../testnet/layout.ts';
import type { LoadAccount } from '../../testnet/load/transfers.ts';
import { nextTransfer } from '../../testnet/load/transfers.ts';
import { ChainMaker, openFreshLedger } from './chain-maker.ts';
import { writeGuard } from './cluster-chain.ts';

const TRANSFERS_A_BLOCK = 8_000;
const PLAIN_TX_BYTES = 0;

export function blocksForAccounts(accounts: number): number {
  return Math.ceil(accounts / TRANSFERS_A_BLOCK);
}

/** Every transfer pays a new account; certified by all validators, and copied to each. */
export async function makeAccounts(cluster: Cluster, accounts: number, senders: readonly LoadAccount[]): Promise<void> {
  const { manifest, dataDir } = cluster;
  const genesis = clusterGenesis(dataDir);
  const layouts = manifest.nodes.map(({ home }) => nodeLayout(home, manifest.chain_id));
  const [first, ...others] = layouts;
  if (!first) return;
  const signers = layouts.map(({ validatorKey }) => createNativeSigner(readSeed(validatorKey)));
  const ledger = await openFreshLedger(first.database, genesis);
  const maker = new ChainMaker(ledger, signers);
  const seed = new Uint8Array(32);
  const view = new DataView(seed.buffer);
  for (let made = 0; made < accounts; ) {
    const count = Math.min(TRANSFERS_A_BLOCK, accounts - made);
    const txs = Array.from({ length: count }, (_, i) => {
      view.setUint32(0, made + i);
      const from = senders[(made + i) % senders.length];
      if (!from) throw new NodeError('INTERNAL', 'no load accounts');
      return nextTransfer(genesis.chain, genesis.params, from, addressOf(nativeCrypto, seed.slice()), PLAIN_TX_BYTES);
    });
    await maker.next(txs);
    made += count;
  }
  await ledger.store.close();
  for (const layout of others) cpSync(first.database, layout.database, { recursive: true });
  for (const [i, { chain }] of layouts.entries()) {
    const publicKey = signers[i]?.publicKey;
    if (publicKey) await writeGuard(chain, genesis.chain, publicKey, blocksForAccounts(accounts));
  }
}
