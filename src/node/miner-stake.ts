/** Puts at stake what a miner must hold, as soon as its balance suffices. */
import type { Hasher, Signer } from '../chain/crypto/types.ts';
import { stake } from '../chain/modules/compute/stake.ts';
import { MIN_TX_BYTES, signTransaction } from '../chain/tx.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import type { Miner } from '../compute/miner/miner.ts';
import type { MinerChain } from '../compute/miner/ports.ts';
import type { Logger } from '../log.ts';

const VALID_BLOCKS = 1_000;
const LOOK_MS = 1_000;

export interface StakerModules {
  readonly chain: MinerChain;
  readonly miner: Miner;
  readonly signer: Signer;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly log: Logger;
  /** 0: the least that the chain asks for. */
  readonly stakeUait: number;
}

/** @returns ends it */
export function keepStaked(modules: StakerModules): () => void {
  let isSending = false;
  let told = '';
  const tell = (message: string, context: Record<string, unknown>): void => {
    if (told === message) return;
    told = message;
    modules.log.warn(message, context);
  };
  const look = async (): Promise<void> => {
    const { chain, miner, log } = modules;
    const missingUait = missing(modules);
    if (missingUait <= 0 || isSending || chain.unhealthy()) return;
    const { final, next } = chain.nonces(miner.address);
    // What is pending may be it.
    if (next !== final || miner.status().settlements > 0) return;
    const { bytes, feeUait } = signed(modules, missingUait, next);
    if (chain.balanceUait(miner.address) < missingUait + feeUait) {
      tell('the miner has too little at stake, and its balance does not cover it: it offers nothing', { missingUait });
      return;
    }
    isSending = true;
    try {
      const refused = await chain.submit(bytes);
      if (refused) tell('the stake was not taken', { code: refused.code, reason: refused.text });
      else log.info('put at stake', { stakeUait: missingUait });
    } finally {
      isSending = false;
    }
  };
  const run = (): void => {
    look().catch((error: unknown) => {
      modules.log.error('staking failed', { error });
    });
  };
  run();
  // An idle chain has no heads: what kept it from staking at first, such as a quorum not seen yet, passes unnoticed.
  const ends = [modules.chain.onHead(run), every(modules.clock, LOOK_MS, run)];
  return () => {
    for (const end of ends) end();
  };
}

function missing({ chain, miner, stakeUait }: StakerModules): number {
  return Math.max(stakeUait, chain.terms().minStakeUait) - chain.stakedUait(miner.address);
}

function signed(
  { chain, signer, hasher }: StakerModules,
  amountUait: number,
  nonce: number,
): { readonly bytes: Uint8Array; readonly feeUait: number } {
  const payload = stake.encode({ amountUait });
  const feeUait = chain.leastFeeUait(MIN_TX_BYTES + payload.length);
  const validUntilHeight = chain.head().height + VALID_BLOCKS;
  const { bytes } = signTransaction(hasher, chain.context, signer, {
    ...{ type: stake.type, nonce, feeUait, validUntilHeight, payload },
  });
  return { bytes, feeUait };
}
