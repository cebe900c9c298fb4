/** A long chain for a cluster that has not started yet. */
import { cpSync } from 'node:fs';
import type { PublicKey } from '../../src/bytes.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { NodeError } from '../../src/errors.ts';
import { createNativeSigner } from '../../src/native/crypto.ts';
import { openSignGuard } from '../../src/store/guard.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { loadSeedPath, nodeLayout, readSeed } from '../../testnet/layout.ts';
import { loadAccounts, roundRobin } from '../../testnet/load/transfers.ts';
import { ChainMaker, openFreshLedger } from './chain-maker.ts';

const HOUR_MS = 3_600_000;
/** Above the block interval of any template. */
const LONGEST_INTERVAL_MS = 2000;

export interface ChainSize {
  readonly blocks: number;
  readonly transfersABlock: number;
  /** The first of the cluster's load accounts. */
  readonly senders: number;
}

/** A genesis time for which all headers of such a chain lie in the past. */
export function timeOfChain(blocks: number): number {
  return Date.now() - HOUR_MS - blocks * LONGEST_INTERVAL_MS;
}

/** Makes the chain once, certified with all validators' keys, and gives every validator a copy of the database. */
export async function makeClusterChain(cluster: Cluster, size: ChainSize): Promise<void> {
  const { manifest, dataDir } = cluster;
  const genesis = clusterGenesis(dataDir);
  const layouts = manifest.nodes.map(({ home }) => nodeLayout(home, manifest.chain_id));
  const [first, ...others] = layouts;
  if (!first) return;
  const signers = layouts.map(({ validatorKey }) => createNativeSigner(readSeed(validatorKey)));
  const ledger = await openFreshLedger(first.database, genesis);
  const accounts = loadAccounts(readSeed(loadSeedPath(dataDir)), size.senders);
  const source = roundRobin(genesis.chain, genesis.params, accounts);
  const maker = new ChainMaker(ledger, signers);
  for (let block = 0; block < size.blocks; block++) {
    const txs = Array.from({ length: size.transfersABlock }, () => {
      const { value } = source.next();
      if (!value) throw new NodeError('INTERNAL', 'no load accounts');
      return value.tx;
    });
    await maker.next(txs);
  }
  await ledger.store.close();
  for (const layout of others) cpSync(first.database, layout.database, { recursive: true });
  for (const [i, { chain }] of layouts.entries()) {
    const publicKey = signers[i]?.publicKey;
    if (publicKey) await writeGuard(chain, genesis.chain, publicKey, size.blocks);
  }
}

/** Without a guard that knows of these signatures every validator would wait for the others to say what it signed. */
export async function writeGuard(
  folder: string,
  chain: ChainContext,
  publicKey: PublicKey,
  height: number,
): Promise<void> {
  const store = { sequence: 0, height };
  const guard = await openSignGuard({ folder, ...chain, publicKey, store });
  await guard.reset(height);
  await guard.close();
}
