/** Signed transfers of a fixed size between the load accounts of a cluster. */
import type { Address } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import { transfer } from '../../src/chain/modules/bank.ts';
import type { ChainParams } from '../../src/chain/params.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { MIN_TX_BYTES, signTransaction } from '../../src/chain/tx.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { loadAccountSeed } from '../accounts.ts';

/** Size of a load transfer; a memo fills what a plain one lacks. */
export const LOAD_TX_BYTES = 250;
const PLAIN_PAYLOAD_BYTES = 20 + 8 + 2;
const AMOUNT_UAIT = 1;

/** Never reached in a test, so that no load transfer expires. */
const NO_EXPIRY = Number.MAX_SAFE_INTEGER;

export interface LoadAccount {
  readonly signer: Signer;
  readonly address: Address;
  nonce: number;
}

export function loadAccounts(loadSeed: Uint8Array, count: number): LoadAccount[] {
  return Array.from({ length: count }, (_, i) => {
    const signer = createNativeSigner(loadAccountSeed(loadSeed, i));
    return { signer, address: addressOf(nativeCrypto, signer.publicKey), nonce: 0 };
  });
}

/** Signs the account's next transfer and counts its nonce up. */
export function nextTransfer(
  chain: ChainContext,
  params: ChainParams,
  from: LoadAccount,
  to: Address,
  txBytes = LOAD_TX_BYTES,
): Transaction {
  const memo = new Uint8Array(Math.max(0, txBytes - MIN_TX_BYTES - PLAIN_PAYLOAD_BYTES));
  const payload = transfer.encode({ to, amountUait: AMOUNT_UAIT, memo });
  const size = MIN_TX_BYTES + payload.length;
  return signTransaction(nativeCrypto, chain, from.signer, {
    type: transfer.type,
    nonce: from.nonce++,
    feeUait: leastFeeUait(params, size),
    validUntilHeight: NO_EXPIRY,
    payload,
  });
}

/** Every account in turn pays the one after it. */
export function* roundRobin(
  chain: ChainContext,
  params: ChainParams,
  accounts: readonly LoadAccount[],
): Generator<{ readonly account: number; readonly tx: Transaction }, undefined> {
  for (let turn = 0; ; turn++) {
    const account = turn % accounts.length;
    const from = accounts[account];
    const to = accounts[(account + 1) % accounts.length];
    if (!from || !to) return undefined;
    yield { account, tx: nextTransfer(chain, params, from, to.address) };
  }
}
