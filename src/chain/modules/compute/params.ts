/** The market's parameters: set in genesis, kept in the state, so that rules and light clients read them there. */
import { NodeError } from '../../../errors.ts';
import { Reader, Writer } from '../../codec.ts';
import { checkKeys, jsonAmount, jsonInteger } from '../../json.ts';
import type { StateReader } from '../../state.ts';
import type { JsonObject } from '../types.ts';
import { PARAMS_KEY } from './keys.ts';

export interface ComputeParams {
  /** Least deposit of an agreement. */
  readonly minCapUait: number;
  /** Least fee of the transaction that opens one: what blocks of deadlines alone may cost the chain is paid for. */
  readonly minOpenFeeUait: number;
  /** Longest time from a header to the expiry that an agreement is given in its block. */
  readonly maxTermMs: number;
  /** Least stake of a miner. */
  readonly minStakeUait: number;
  /** From `miner.unstake` to the return of the money; longer than any term, so that stake outlasts agreements. */
  readonly unstakeCooldownMs: number;
  /** How long a closed agreement stays readable in the state. */
  readonly closedKeptMs: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MAX_TERM_MS = 366 * DAY_MS;
const MAX_SPAN_MS = 400 * DAY_MS;
/** An expiry is rounded up by less than a minute, and closing takes one. */
const LEAST_COOLDOWN_BEYOND_TERM_MS = 2 * MINUTE_MS;

/** @throws NodeError INVALID_PARAMS | BAD_GENESIS */
export function computeParamsFromJson(section: JsonObject): ComputeParams {
  checkKeys(section, [
    'min_cap_uait',
    'min_open_fee_uait',
    'max_term_ms',
    'min_stake_uait',
    'unstake_cooldown_ms',
    'closed_kept_ms',
  ]);
  const params = {
    minCapUait: jsonAmount(section['min_cap_uait'], 'min_cap_uait'),
    minOpenFeeUait: jsonAmount(section['min_open_fee_uait'], 'min_open_fee_uait'),
    maxTermMs: jsonInteger(section['max_term_ms'], 'max_term_ms', MAX_TERM_MS),
    minStakeUait: jsonAmount(section['min_stake_uait'], 'min_stake_uait'),
    unstakeCooldownMs: jsonInteger(section['unstake_cooldown_ms'], 'unstake_cooldown_ms', MAX_SPAN_MS),
    closedKeptMs: jsonInteger(section['closed_kept_ms'], 'closed_kept_ms', MAX_SPAN_MS),
  };
  if (params.minCapUait === 0 || params.minStakeUait === 0 || params.maxTermMs < MINUTE_MS) {
    throw new NodeError(
      'BAD_GENESIS',
      'compute: least cap and stake are above zero, the longest term is a minute or more',
    );
  }
  if (params.unstakeCooldownMs < params.maxTermMs + LEAST_COOLDOWN_BEYOND_TERM_MS) {
    throw new NodeError('BAD_GENESIS', 'compute: unstake_cooldown_ms must exceed max_term_ms by two minutes', {
      data: { unstakeCooldownMs: params.unstakeCooldownMs, maxTermMs: params.maxTermMs },
      hint: 'stake must outlast the agreements that rely on it',
    });
  }
  return params;
}

export function computeParamsToJson(params: ComputeParams): JsonObject {
  return {
    min_cap_uait: String(params.minCapUait),
    min_open_fee_uait: String(params.minOpenFeeUait),
    max_term_ms: params.maxTermMs,
    min_stake_uait: String(params.minStakeUait),
    unstake_cooldown_ms: params.unstakeCooldownMs,
    closed_kept_ms: params.closedKeptMs,
  };
}

export function encodeComputeParams(params: ComputeParams): Uint8Array {
  return new Writer(48)
    .u64(params.minCapUait)
    .u64(params.minOpenFeeUait)
    .u64(params.maxTermMs)
    .u64(params.minStakeUait)
    .u64(params.unstakeCooldownMs)
    .u64(params.closedKeptMs)
    .finish();
}

export function decodeComputeParams(bytes: Uint8Array): ComputeParams {
  const reader = new Reader(bytes, 'compute parameters');
  const params = {
    minCapUait: reader.u64(),
    minOpenFeeUait: reader.u64(),
    maxTermMs: reader.u64(),
    minStakeUait: reader.u64(),
    unstakeCooldownMs: reader.u64(),
    closedKeptMs: reader.u64(),
  };
  reader.end();
  return params;
}

export function getComputeParams(state: StateReader): ComputeParams {
  const bytes = state.get(PARAMS_KEY);
  if (!bytes) throw new NodeError('CORRUPT', 'the state has no compute parameters');
  return decodeComputeParams(bytes);
}
