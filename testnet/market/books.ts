/** The money, as a stopped node has it: every agreement that ever was, and whether all adds up. */
import { toHex } from '../../src/bytes.ts';
import { decodeAccount, isAccountKey } from '../../src/chain/accounts.ts';
import { formatAddress } from '../../src/chain/address.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { Agreement } from '../../src/chain/modules/compute/agreement.ts';
import {
  agreementId,
  decodeAgreement,
  getAgreement,
  heldInAgreement,
} from '../../src/chain/modules/compute/agreement.ts';
import { openAgreement } from '../../src/chain/modules/compute/agreement-client.ts';
import { isAgreementKey, isStakeKey } from '../../src/chain/modules/compute/keys.ts';
import { decodeStake } from '../../src/chain/modules/compute/stake.ts';
import { checkInvariants } from '../../src/chain/modules/table.ts';
import type { StateKey } from '../../src/chain/state.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { openChainStore } from '../../src/store/chain-store.ts';
import type { ChainStore } from '../../src/store/types.ts';
import { nodeLayout } from '../layout.ts';
import type { Manifest } from '../manifest.ts';

export interface BookedAgreement {
  readonly id: string;
  /** Address. */
  readonly client: string;
  readonly openedAtHeight: number;
  readonly agreement: Agreement;
}

export interface Books {
  readonly height: number;
  readonly agreements: readonly BookedAgreement[];
  readonly feesUait: number;
  /** What is wrong, one line each. */
  readonly faults: readonly string[];
}

/** @param manifest of a cluster that is down; its first node is read */
export async function readBooks({ nodes, accounts }: Manifest, genesis: Genesis): Promise<Books> {
  const { chainId, genesisHash } = genesis.chain;
  const [node] = nodes;
  if (!node) throw new Error('a cluster without nodes');
  const folder = nodeLayout(node.home, chainId).database;
  const store = await openChainStore({ folder, chainId, genesisHash, hasher: nativeCrypto });
  try {
    const entries = new Map<StateKey, Uint8Array>();
    for await (const [key, value] of store.stateEntries()) entries.set(key, value);
    const faults = [...checkInvariants(entries)];
    const { agreements, feesUait } = readBlocks(store, genesis);
    const givenUait = accounts.reduce((sum, { balance_uait: uait }) => sum + Number(uait), 0);
    const heldUait = sumOf(entries);
    if (heldUait !== givenUait - feesUait) {
      faults.push(`balances, stakes and agreements hold ${heldUait} uait; supply less fees is ${givenUait - feesUait}`);
    }
    return { height: store.head()?.height ?? 0, agreements, feesUait, faults };
  } finally {
    await store.close();
  }
}

function sumOf(entries: ReadonlyMap<StateKey, Uint8Array>): number {
  let sumUait = 0;
  for (const [key, value] of entries) {
    if (isAccountKey(key)) sumUait += decodeAccount(value).balanceUait;
    else if (isAgreementKey(key)) sumUait += heldInAgreement(decodeAgreement(value));
    else if (isStakeKey(key)) sumUait += decodeStake(value).stakedUait + decodeStake(value).coolingUait;
  }
  return sumUait;
}

function readBlocks(
  store: ChainStore,
  genesis: Genesis,
): { readonly agreements: BookedAgreement[]; readonly feesUait: number } {
  const agreements: BookedAgreement[] = [];
  let feesUait = 0;
  for (let height = 1; height <= (store.head()?.height ?? 0); height++) {
    const receipts = store.receipts(height) ?? [];
    for (const [index, tx] of (store.block(height)?.txs ?? []).entries()) {
      const receipt = receipts[index];
      feesUait += receipt?.feeUait ?? 0;
      if (tx.type !== openAgreement.type || receipt?.code !== 0) continue;
      const id = agreementId(nativeCrypto, genesis.chain, tx.senderAddress, tx.nonce);
      const agreement = getAgreement(store.state, id);
      if (!agreement) continue;
      agreements.push({ id: toHex(id), client: formatAddress(tx.senderAddress), openedAtHeight: height, agreement });
    }
  }
  return { agreements, feesUait };
}
