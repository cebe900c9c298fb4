/** The account that pays for the jobs of a node, over the chain that the node itself holds. */
import type { Hash } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import { getAccount } from '../chain/accounts.ts';
import { addressOf } from '../chain/address.ts';
import type { Crypto, Signer } from '../chain/crypto/types.ts';
import { agreementId, getAgreement } from '../chain/modules/compute/agreement.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../chain/modules/compute/agreement-client.ts';
import { getComputeParams } from '../chain/modules/compute/params.ts';
import { getStake } from '../chain/modules/compute/stake.ts';
import type { TxType } from '../chain/modules/types.ts';
import { leastFeeUait } from '../chain/params.ts';
import { receiptCodeName } from '../chain/receipt.ts';
import type { Transaction } from '../chain/tx.ts';
import { decodeTransaction, MIN_TX_BYTES, signTransaction } from '../chain/tx.ts';
import type { RunningChain } from '../chains.ts';
import type { Clock } from '../clock.ts';
import type { Money } from '../compute/coordinator/ports.ts';
import type { ErrorCode } from '../errors.ts';
import { NodeError } from '../errors.ts';

/** Of `agreement.open`. */
const OPEN_PAYLOAD_BYTES = 68;
const CLOSE_VALID_BLOCKS = 1_000;
const RENEWAL_PAYLOAD_BYTES = 40;
const RENEWAL_BLOCKS = 100;
/** A nonce that was given to a transaction which is not sent by then is given again. */
export const NONCE_KEPT_MS = 15_000;
/** A look at the pool where no block comes. */
const LOOK_EVERY_MS = 1_000;
/** Pass while the transaction is valid. */
const PASSING: ReadonlySet<string> = new Set<ErrorCode>(['ALREADY_KNOWN', 'POOL_FULL', 'NONCE_GAP', 'STORAGE']);

export interface MoneyModules {
  readonly chain: Pick<RunningChain, 'genesis' | 'ledger' | 'pool' | 'admission' | 'onCommit'>;
  readonly crypto: Crypto;
  readonly signer: Signer;
  readonly clock: Clock;
}

export function createNodeMoney({ chain, crypto, signer, clock }: MoneyModules): Money {
  const { genesis, ledger, pool } = chain;
  const client = addressOf(crypto, signer.publicKey);
  const state = () => ledger.tip.state;
  /** Nonces of what is signed and not in the pool yet, until when. */
  const given = new Map<number, number>();
  /** On their way, in the pool or not. */
  const sending = new Set<Transaction>();
  const isSending = (nonce: number): boolean => [...sending].some((tx) => tx.nonce === nonce);

  const nextNonce = (): number => {
    let nonce = pool.nextNonce(client, getAccount(state(), client).nonce);
    const nowMs = clock.monotonic();
    for (const [old, untilMs] of given) if (old < nonce || untilMs <= nowMs) given.delete(old);
    while (given.has(nonce) || isSending(nonce)) nonce++;
    given.set(nonce, nowMs + NONCE_KEPT_MS);
    return nonce;
  };
  const leastFee = (bytes: number): number => leastFeeUait(genesis.params, MIN_TX_BYTES + bytes);
  const openFee = (): number => Math.max(leastFee(OPEN_PAYLOAD_BYTES), getComputeParams(state()).minOpenFeeUait);
  const sign = <P>(
    txType: TxType<P>,
    content: P,
    limits: { feeUait: number; validUntilHeight: number },
  ): Transaction => {
    const payload = txType.encode(content);
    return signTransaction(crypto, genesis.chain, signer, {
      type: txType.type,
      nonce: nextNonce(),
      payload,
      ...limits,
    });
  };

  return {
    client,
    signAsAccount: (message) => ({ publicKey: signer.publicKey, signature: signer.sign(message) }),
    terms: () => {
      const { minCapUait, minStakeUait, maxTermMs } = getComputeParams(state());
      const renewFeeUait = leastFee(RENEWAL_PAYLOAD_BYTES);
      return Promise.resolve({ minCapUait, minStakeUait, maxTermMs, openFeeUait: openFee(), renewFeeUait });
    },
    balanceUait: () => Promise.resolve(getAccount(state(), client).balanceUait),
    stakedUait: (miner) => Promise.resolve(getStake(state(), miner).stakedUait),
    agreement: (id) => Promise.resolve(getAgreement(state(), id) ?? null),
    head: () => Promise.resolve({ height: ledger.tip.height, timeMs: ledger.tip.timeMs }),
    prepareOpen: async ({ validUntilHeight, ...content }) => {
      const feeUait = openFee();
      const { balanceUait } = getAccount(state(), client);
      if (balanceUait < content.capUait + feeUait) throw tooLittle(balanceUait, content.capUait + feeUait);
      const tx = sign(openAgreement, content, { feeUait, validUntilHeight });
      return { agreement: agreementId(crypto, genesis.chain, client, tx.nonce), transaction: tx.bytes };
    },
    prepareRenewal: async (agreement, renewal) => {
      const limits = { feeUait: leastFee(RENEWAL_PAYLOAD_BYTES), validUntilHeight: ledger.tip.height + RENEWAL_BLOCKS };
      if ('expiresAtMs' in renewal) return sign(extendAgreement, { agreement, ...renewal }, limits).bytes;
      const { balanceUait } = getAccount(state(), client);
      const needUait = renewal.amountUait + limits.feeUait;
      if (balanceUait < needUait) throw tooLittle(balanceUait, needUait);
      return sign(topupAgreement, { agreement, ...renewal }, limits).bytes;
    },
    prepareClose: async (agreement) => {
      const validUntilHeight = ledger.tip.height + CLOSE_VALID_BLOCKS;
      return sign(closeAgreement, { agreement }, { feeUait: leastFee(32), validUntilHeight }).bytes;
    },
    send: async (bytes, signal) => {
      const tx = decodeTransaction(crypto, bytes);
      sending.add(tx);
      try {
        return await sendUntilFinal({ chain, clock }, tx, signal);
      } finally {
        sending.delete(tx);
      }
    },
  };
}

/** @throws NodeError why it is not final and will not be; the signal's reason */
async function sendUntilFinal(
  { chain, clock }: Pick<MoneyModules, 'chain' | 'clock'>,
  tx: Transaction,
  signal: AbortSignal,
): Promise<{ readonly height: number }> {
  const { ledger, pool, admission } = chain;
  for (;;) {
    signal.throwIfAborted();
    const found = ledger.store.transaction(tx.id);
    if (found) return outcome(chain, tx.id, found);
    if (ledger.tip.height >= tx.validUntilHeight) throw refused('EXPIRED', 'no block took it in time', tx.id);
    if (!pool.get(tx.id)) {
      const [refusal] = await admission.submit([tx], 'client');
      const isOver = refusal && !PASSING.has(refusal.code) && !ledger.store.transaction(tx.id);
      if (isOver) throw refused(refusal.code, refusal.message, tx.id);
    }
    await nextCommit({ chain, clock }, signal);
  }
}

function outcome(
  { ledger }: MoneyModules['chain'],
  id: Hash,
  { height, index }: { readonly height: number; readonly index: number },
): { readonly height: number } {
  const receipt = ledger.store.receiptAt({ height, index });
  // Of a pruned block: what it did is in the state.
  if (!receipt || receipt.code === 0) return { height };
  const name = receiptCodeName(receipt.code) ?? String(receipt.code);
  throw refused(name === 'INSUFFICIENT_FUNDS' ? name : 'TX_REJECTED', `it failed with ${name}`, id);
}

/** After the next block, or a while. */
function nextCommit({ chain, clock }: Pick<MoneyModules, 'chain' | 'clock'>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      stop();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(LOOK_EVERY_MS, end);
    const stop = chain.onCommit(end);
    signal.addEventListener('abort', end);
  });
}

function refused(code: ErrorCode, why: string, id: Hash): NodeError {
  return new NodeError(code, `the transaction of an agreement was not taken: ${why}`, { data: { hash: toHex(id) } });
}

function tooLittle(balanceUait: number, neededUait: number): NodeError {
  return new NodeError('INSUFFICIENT_FUNDS', 'the wallet of this node has too little for the job', {
    data: { balance_uait: String(balanceUait), needed_uait: String(neededUait) },
    hint: 'its operator sends money to the account that market.wallet or market.key_file names',
  });
}
