/** The chain as its miner sees it: MinerChain over a running chain. */
import type { Address } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import { getAccount } from '../chain/accounts.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import { getAgreement } from '../chain/modules/compute/agreement.ts';
import { openAgreement } from '../chain/modules/compute/agreement-client.ts';
import { getComputeParams } from '../chain/modules/compute/params.ts';
import { getStake } from '../chain/modules/compute/stake.ts';
import { leastFeeUait } from '../chain/params.ts';
import type { Transaction } from '../chain/tx.ts';
import { decodeTransaction } from '../chain/tx.ts';
import type { RunningChain } from '../chains.ts';
import type { MinerChain } from '../compute/miner/ports.ts';
import type { Refusal } from '../compute/miner/refusal.ts';

/** When to ask again a miner whose node cannot tell what is true. */
const UNHEALTHY_MS = 5_000;

export function createMinerChain(chain: RunningChain, crypto: Crypto): MinerChain {
  const { ledger, pool, admission, genesis } = chain;
  const state = (): (typeof ledger.tip)['state'] => ledger.tip.state;
  return {
    context: genesis.chain,
    head: () => ({ height: ledger.tip.height, timeMs: ledger.tip.timeMs }),
    unhealthy: () => unhealthy(chain),
    agreement: (id) => getAgreement(state(), id) ?? null,
    balanceUait: (account) => getAccount(state(), account).balanceUait,
    stakedUait: (miner) => getStake(state(), miner).stakedUait,
    terms: () => {
      const { minCapUait, minStakeUait } = getComputeParams(state());
      return { minCapUait, minStakeUait, minBlockIntervalMs: genesis.params.minBlockIntervalMs };
    },
    nonces: (account) => {
      const { nonce } = getAccount(state(), account);
      return { final: nonce, next: pool.nextNonce(account, nonce) };
    },
    leastFeeUait: (bytes) => leastFeeUait(genesis.params, bytes),
    submit: async (bytes) => {
      const [refused] = await admission.submit([decodeTransaction(crypto, bytes)], 'client');
      if (!refused || refused.code === 'ALREADY_KNOWN') return null;
      return { code: refused.code, text: refused.message, afterMs: UNHEALTHY_MS };
    },
    onOpening: (miner, listener) => onOpening(chain, miner, listener),
    onHead: (listener) => chain.onCommit(listener),
  };
}

function unhealthy({ gate, fault, presence }: RunningChain): Refusal | null {
  if (fault) return { code: 'STORAGE', text: 'the node of this miner cannot write', afterMs: 0 };
  if (gate.reasons.has('catching-up') || gate.reasons.has('starting')) {
    return { code: 'SYNCING', text: 'the node of this miner is catching up', afterMs: UNHEALTHY_MS };
  }
  if (presence.reach().hasQuorum) return null;
  return { code: 'NO_QUORUM', text: 'the node of this miner sees no quorum', afterMs: UNHEALTHY_MS };
}

function onOpening(chain: RunningChain, miner: Address, listener: Parameters<MinerChain['onOpening']>[1]): () => void {
  const look = (tx: Transaction, isFinal: boolean): void => {
    if (tx.type !== openAgreement.type || !equalBytes(openAgreement.decode(tx.payload).miner, miner)) return;
    listener({ client: tx.senderAddress, transaction: tx.id, isFinal });
  };
  /** What waits beyond a missing nonce is in no block before that comes: it holds no slot. */
  const isNext = ({ senderAddress, nonce }: Transaction): boolean =>
    nonce < chain.pool.nextNonce(senderAddress, getAccount(chain.ledger.tip.state, senderAddress).nonce);
  const ends = [
    chain.admission.onAdmitted((tx) => {
      if (isNext(tx)) look(tx, false);
    }),
    chain.onCommit((applied) => {
      for (const { block, receipts } of applied) {
        for (const [i, tx] of block.txs.entries()) if (receipts[i]?.code === 0) look(tx, true);
      }
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}
