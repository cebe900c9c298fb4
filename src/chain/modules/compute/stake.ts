/**
 * What a miner puts at stake. Without it nobody can open an agreement with the miner; what leaves cools down for longer
 * than any agreement that was opened on its word lasts, so that claims may reach it.
 */
import type { Address } from '../../../bytes.ts';
import { NodeError } from '../../../errors.ts';
import { addBalance, takeBalance } from '../../accounts.ts';
import { Reader, Writer } from '../../codec.ts';
import { checkKeys, jsonAmount } from '../../json.ts';
import { TxFailure } from '../../receipt.ts';
import type { StateAccess, StateReader } from '../../state.ts';
import type { TxType } from '../types.ts';
import { addDeadline, removeDeadline, wholeMinuteMs } from './deadlines.ts';
import type { Entry } from './id-list.ts';
import { stakeKey } from './keys.ts';
import { getComputeParams } from './params.ts';

export interface MinerStake {
  /** What counts; zero, or the least stake and more. */
  readonly stakedUait: number;
  /** On its way back to the account, as a whole at `coolsUntilMs`. */
  readonly coolingUait: number;
  /** Header time, a whole minute; 0 while nothing cools. */
  readonly coolsUntilMs: number;
}

export const NO_STAKE: MinerStake = { stakedUait: 0, coolingUait: 0, coolsUntilMs: 0 };

/** First byte of a miner's entry among the deadlines. */
export const STAKE_ENTRY = 2;

export interface StakeAmount {
  readonly amountUait: number;
}

/** Type 28. Payload: amount u64. */
export const stake: TxType<StakeAmount> = {
  ...amountType(28, 'miner.stake'),
  spends: ({ amountUait }) => amountUait,
  apply: ({ state, senderAddress }, { amountUait }) => {
    if (amountUait === 0) throw new TxFailure('LIMIT', 'nothing is no stake');
    const before = getStake(state, senderAddress);
    const stakedUait = before.stakedUait + amountUait;
    if (stakedUait < getComputeParams(state).minStakeUait) {
      throw new TxFailure('LIMIT', 'the stake would be below the least stake of a miner');
    }
    if (!takeBalance(state, senderAddress, amountUait)) {
      throw new TxFailure('INSUFFICIENT_FUNDS', 'the balance is below the stake');
    }
    setStake(state, senderAddress, { ...before, stakedUait });
  },
};

/** Type 29. Payload: amount u64. What cools already begins anew: all of it comes back together. */
export const unstake: TxType<StakeAmount> = {
  ...amountType(29, 'miner.unstake'),
  apply: ({ state, senderAddress, timeMs }, { amountUait }) => {
    if (amountUait === 0) throw new TxFailure('LIMIT', 'nothing cannot be taken out');
    const { minStakeUait, unstakeCooldownMs } = getComputeParams(state);
    const before = getStake(state, senderAddress);
    const stakedUait = before.stakedUait - amountUait;
    if (stakedUait < 0) throw new TxFailure('INSUFFICIENT_FUNDS', 'less is staked');
    if (stakedUait > 0 && stakedUait < minStakeUait) {
      throw new TxFailure('LIMIT', 'what stays would be below the least stake: leave that much, or take out all');
    }
    if (before.coolingUait > 0) removeDeadline(state, before.coolsUntilMs, entryOf(senderAddress));
    const coolsUntilMs = wholeMinuteMs(timeMs + unstakeCooldownMs);
    addDeadline(state, coolsUntilMs, entryOf(senderAddress));
    setStake(state, senderAddress, { stakedUait, coolingUait: before.coolingUait + amountUait, coolsUntilMs });
  },
};

/** The cooling of an entry is over: the money goes back. */
export function returnCooled(state: StateAccess, entry: Entry): void {
  const miner = entry.subarray(1);
  const { stakedUait, coolingUait, coolsUntilMs } = getStake(state, miner);
  if (coolingUait === 0) throw new NodeError('CORRUPT', 'stake is listed as cooling and is not');
  removeDeadline(state, coolsUntilMs, entry);
  addBalance(state, miner, coolingUait);
  setStake(state, miner, { stakedUait, coolingUait: 0, coolsUntilMs: 0 });
}

function entryOf(miner: Address): Entry {
  return Uint8Array.of(STAKE_ENTRY, ...miner);
}

export function getStake(state: StateReader, miner: Address): MinerStake {
  const bytes = state.get(stakeKey(miner));
  return bytes ? decodeStake(bytes) : NO_STAKE;
}

function setStake(state: StateAccess, miner: Address, record: MinerStake): void {
  const isEmpty = record.stakedUait === 0 && record.coolingUait === 0;
  state.set(stakeKey(miner), isEmpty ? undefined : encodeStake(record));
}

export function encodeStake({ stakedUait, coolingUait, coolsUntilMs }: MinerStake): Uint8Array {
  return new Writer(24).u64(stakedUait).u64(coolingUait).u64(coolsUntilMs).finish();
}

/** @throws NodeError CODEC */
export function decodeStake(bytes: Uint8Array): MinerStake {
  const reader = new Reader(bytes, 'stake');
  const record = { stakedUait: reader.u64(), coolingUait: reader.u64(), coolsUntilMs: reader.u64() };
  reader.end();
  return record;
}

function amountType(type: number, name: string): Omit<TxType<StakeAmount>, 'apply'> {
  return {
    type,
    name,
    encode: ({ amountUait }) => new Writer(8).u64(amountUait).finish(),
    decode: (bytes) => {
      const reader = new Reader(bytes, name);
      const amountUait = reader.u64();
      reader.end();
      return { amountUait };
    },
    toJson: ({ amountUait }) => ({ amount_uait: String(amountUait) }),
    fromJson: (json) => {
      checkKeys(json, ['amount_uait']);
      return { amountUait: jsonAmount(json['amount_uait'], 'amount_uait') };
    },
  };
}
