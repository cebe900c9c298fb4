/** The payer's account as a coordinator has it, over a node's RPC and with the payer's own key. */
import { addressOf, formatAddress } from '../chain/address.ts';
import { agreementId } from '../chain/modules/compute/agreement.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../chain/modules/compute/agreement-client.ts';
import type { ComputeParams } from '../chain/modules/compute/params.ts';
import type { TxType } from '../chain/modules/types.ts';
import { leastFeeUait } from '../chain/params.ts';
import type { Transaction } from '../chain/tx.ts';
import { MIN_TX_BYTES } from '../chain/tx.ts';
import type { Money } from '../compute/coordinator/ports.ts';
import type { SigningContext, TxOptions } from './build.ts';
import { buildTransaction, DEFAULT_VALIDITY_BLOCKS } from './build.ts';
import type { Client } from './client.ts';
import type { MarketReads } from './market-reads.ts';
import { sendUntilFinal } from './market-send.ts';
import { createTurns } from './market-turns.ts';

/** Encoded `agreement.open`: signer, miner, cap, expiry. */
const OPEN_PAYLOAD_BYTES = 68;
const RENEWAL_PAYLOAD_BYTES = 40;

export interface ClientMoneyOptions {
  readonly client: Pick<Client, 'nonce' | 'sendTransaction' | 'transaction'>;
  readonly reads: MarketReads;
  /** Chain, fees, and the payer's account as signer. */
  readonly signing: SigningContext;
  /** Keeps other processes of the account out: see `createTurns`. */
  readonly exclusive?: () => Promise<() => void>;
}

export interface ClientMoney extends Money {
  /** Lets others have the account. */
  close(): void;
}

export function createClientMoney({ client, reads, signing, exclusive }: ClientMoneyOptions): ClientMoney {
  const { hasher, chain, signer, params } = signing;
  const payer = addressOf(hasher, signer.publicKey);
  const turns = createTurns(exclusive);
  let terms: ComputeParams | null = null;
  // Set in genesis: they never change.
  const market = async (): Promise<ComputeParams> => (terms ??= await reads.terms());

  /** The account's turn lasts until the transaction is sent. */
  const prepare = async <P>(txType: TxType<P>, payload: P, limits: Omit<TxOptions, 'nonce'>): Promise<Transaction> => {
    const turn = await turns.take();
    try {
      const { next_nonce: nonce } = await client.nonce(formatAddress(payer));
      const transaction = buildTransaction(signing, { ...limits, nonce }, txType, payload);
      turn.keepFor(transaction.id);
      return transaction;
    } catch (error) {
      turn.end();
      throw error;
    }
  };

  return {
    client: payer,
    signAsAccount: (message) => ({ publicKey: signer.publicKey, signature: signer.sign(message) }),
    terms: async () => {
      const { minCapUait, minStakeUait, minOpenFeeUait, maxTermMs } = await market();
      const openFeeUait = Math.max(minOpenFeeUait, leastFeeUait(params, MIN_TX_BYTES + OPEN_PAYLOAD_BYTES));
      const renewFeeUait = leastFeeUait(params, MIN_TX_BYTES + RENEWAL_PAYLOAD_BYTES);
      return { minCapUait, minStakeUait, openFeeUait, renewFeeUait, maxTermMs };
    },
    balanceUait: () => reads.balanceUait(payer),
    stakedUait: (miner) => reads.stakedUait(miner),
    agreement: (id) => reads.agreement(id),
    head: () => reads.head(),
    prepareOpen: async ({ validUntilHeight, ...payload }) => {
      const { minOpenFeeUait } = await market();
      const limits = { validUntilHeight, leastFeeUait: minOpenFeeUait };
      const { bytes, nonce } = await prepare(openAgreement, payload, limits);
      return { agreement: agreementId(hasher, chain, payer, nonce), transaction: bytes };
    },
    prepareRenewal: async (agreement, renewal) => {
      const { height } = await reads.head();
      const limits = { validUntilHeight: height + DEFAULT_VALIDITY_BLOCKS };
      if ('expiresAtMs' in renewal) return (await prepare(extendAgreement, { agreement, ...renewal }, limits)).bytes;
      return (await prepare(topupAgreement, { agreement, ...renewal }, limits)).bytes;
    },
    prepareClose: async (agreement) => {
      const { height } = await reads.head();
      return (await prepare(closeAgreement, { agreement }, { validUntilHeight: height + DEFAULT_VALIDITY_BLOCKS }))
        .bytes;
    },
    send: async (bytes, signal) => {
      const id = hasher.hash(bytes);
      const over = (): void => {
        turns.end(id);
      };
      try {
        return await sendUntilFinal({ client, reads }, { id, bytes }, signal, over);
      } finally {
        over();
      }
    },
    close: () => {
      turns.close();
    },
  };
}
