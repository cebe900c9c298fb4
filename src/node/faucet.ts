/** Money for whoever tries a chain of development: plain transfers from an account of the node, so much an address and hour. */
import type { Address } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import { getAccount } from '../chain/accounts.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Crypto, Signer } from '../chain/crypto/types.ts';
import { isDevnet } from '../chain/genesis.ts';
import { transfer } from '../chain/modules/bank.ts';
import { leastFeeUait } from '../chain/params.ts';
import { MIN_TX_BYTES, signTransaction } from '../chain/tx.ts';
import type { RunningChain } from '../chains.ts';
import type { Clock } from '../clock.ts';
import type { NodeConfig } from '../config.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createNativeSigner, nativeCrypto } from '../native/crypto.ts';
import type { FaucetApi } from '../rpc/api.ts';
import { readKeyFile } from '../store/key-file.ts';

/** Addresses remembered; with so many paid within the wait, all others wait. */
export const MAX_PAID = 1_000;
const VALID_BLOCKS = 100;

export interface FaucetModules {
  readonly chain: Pick<RunningChain, 'genesis' | 'ledger' | 'pool' | 'admission'>;
  readonly crypto: Crypto;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly amountUait: number;
  /** Between two payments to one address. */
  readonly waitMs: number;
}

export function createFaucet({ chain, crypto, signer, clock, amountUait, waitMs }: FaucetModules): FaucetApi {
  const { genesis, ledger, pool, admission } = chain;
  const own = addressOf(crypto, signer.publicKey);
  /** Until when each address waits, the oldest first. */
  const paid = new Map<string, number>();

  const requireTurn = (key: string): void => {
    const nowMs = clock.monotonic();
    for (const [old, untilMs] of paid) {
      if (untilMs > nowMs) break;
      paid.delete(old);
    }
    const untilMs = paid.get(key) ?? (paid.size < MAX_PAID ? nowMs : Math.min(...paid.values()));
    if (untilMs <= nowMs) return;
    const seconds = Math.ceil((untilMs - nowMs) / 1_000);
    throw new NodeError('RATE_LIMITED', paid.has(key) ? 'this address was given money already' : 'many were before', {
      data: { retry_after_s: seconds },
      hint: `try again in ${seconds} s`,
    });
  };

  const pay = async (to: Address): Promise<Uint8Array> => {
    const payload = transfer.encode({ to, amountUait, memo: new Uint8Array() });
    const feeUait = leastFeeUait(genesis.params, MIN_TX_BYTES + payload.length);
    const account = getAccount(ledger.tip.state, own);
    if (account.balanceUait < amountUait + feeUait) {
      throw new NodeError('INSUFFICIENT_FUNDS', 'the faucet is empty', {
        data: { faucet: formatAddress(own), balance_uait: String(account.balanceUait) },
        hint: 'its operator sends it money, or lowers faucet.amount_uait',
      });
    }
    const tx = signTransaction(crypto, genesis.chain, signer, {
      ...{ type: transfer.type, payload, feeUait, nonce: pool.nextNonce(own, account.nonce) },
      validUntilHeight: ledger.tip.height + VALID_BLOCKS,
    });
    const [refusal] = await admission.submit([tx], 'client');
    if (refusal) throw new NodeError(refusal.code, `the payment was not taken: ${refusal.message}`);
    return tx.id;
  };

  // One after the other: a nonce is known to be used once its transaction is in the pool.
  let last: Promise<unknown> = Promise.resolve();
  return {
    address: own,
    amountUait,
    pay: async (to) => {
      const key = bytesKey(to);
      requireTurn(key);
      paid.set(key, clock.monotonic() + waitMs);
      const payment = last.then(() => pay(to));
      last = payment.catch(() => paid.delete(key));
      return payment;
    },
  };
}

/** The faucet of the chain that a node configured one for. @throws NodeError KEY_FILE | DEV_KEY */
export async function openFaucet(
  chain: RunningChain,
  { faucet: { keyFile, amountUait, waitMs } }: NodeConfig,
  clock: Clock,
  log: Logger,
): Promise<FaucetApi | null> {
  const { chainId } = chain.genesis.chain;
  if (keyFile === '') return null;
  if (!isDevnet(chainId)) {
    log.warn('faucet.key_file gives nothing on this chain: money is given away on chains of development alone');
    return null;
  }
  try {
    const signer = createNativeSigner(await readKeyFile(keyFile));
    const faucet = createFaucet({ chain, crypto: nativeCrypto, signer, clock, amountUait, waitMs });
    log.info('this node gives money to whoever asks', { account: formatAddress(faucet.address), amountUait });
    return faucet;
  } catch (error) {
    log.error('this node gives no money: its faucet has no key', { error: toNodeError(error) });
    return null;
  }
}
