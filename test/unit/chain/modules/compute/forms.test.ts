import assert from 'node:assert/strict';
import type { Json, JsonObject } from '../../../../../src/chain/modules/types.ts';
import { compute } from '../../../../../src/chain/modules/compute/compute.ts';
import {
  computeParamsFromJson,
  computeParamsToJson,
  decodeComputeParams,
  encodeComputeParams,
  getComputeParams,
} from '../../../../../src/chain/modules/compute/params.ts';
import { decodeStake, encodeStake } from '../../../../../src/chain/modules/compute/stake.ts';
import { isNodeError } from '../../../../../src/errors.ts';
import { addressText, genesisJson } from '../../../../util/chain-fixture.ts';
import { Market } from './market.ts';

const agreement = '0a'.repeat(32);
const root = '0b'.repeat(32);
const voucher = { credit_uait: '7', seen: '0c'.repeat(32), signer: '0d'.repeat(32), signature: '0e'.repeat(64) };
const open = { signer: '0f'.repeat(32), miner: addressText('account-1'), cap_uait: '10000', expires_at_ms: 60_000 };
const taking = { total_uait: '5', voucher };

/** Of every type, with its size in bytes. */
const PAYLOADS: Readonly<Record<string, readonly [JsonObject, number][]>> = {
  'agreement.open': [[open, 68]],
  'agreement.topup': [[{ agreement, amount_uait: '1' }, 40]],
  'agreement.extend': [[{ agreement, expires_at_ms: 60_000 }, 40]],
  'agreement.settle': [[{ agreement, receipts_root: root, ...taking }, 208]],
  'agreement.release': [
    [{ agreement, receipts_root: root }, 65],
    [{ agreement, receipts_root: root, ...taking }, 209],
  ],
  'agreement.close': [[{ agreement }, 32]],
  'miner.stake': [[{ amount_uait: '1' }, 8]],
  'miner.unstake': [[{ amount_uait: '1' }, 8]],
};

const isCode =
  (...codes: readonly string[]) =>
  (error: unknown): boolean =>
    isNodeError(error) && codes.includes(error.code);

describe('forms of the market', () => {
  it('each payload has one JSON form and one encoding', () => {
    assert.deepEqual(
      compute.txTypes.map(({ name }) => name),
      Object.keys(PAYLOADS),
    );
    for (const txType of compute.txTypes) {
      for (const [json, size] of PAYLOADS[txType.name] ?? []) {
        const bytes = txType.encode(txType.fromJson(json));
        assert.equal(bytes.length, size, txType.name);
        assert.deepEqual(txType.toJson(txType.decode(bytes)), json);
        for (const wrong of [bytes.subarray(1), bytes.subarray(0, -1), Uint8Array.of(...bytes, 0)]) {
          assert.throws(() => txType.decode(wrong), isCode('CODEC'), txType.name);
        }
        for (const key of Object.keys(json)) {
          const { [key]: _left, ...rest } = json;
          assert.throws(() => txType.fromJson(rest), isCode('INVALID_PARAMS'), `${txType.name} without ${key}`);
        }
        assert.throws(() => txType.fromJson({ ...json, surprise: 1 }), isCode('INVALID_PARAMS'));
      }
    }
    const release = compute.txTypes.find(({ name }) => name === 'agreement.release');
    const bytes = release?.encode(release.fromJson({ agreement, receipts_root: root })) ?? new Uint8Array();
    bytes[64] = 2;
    assert.throws(() => release?.decode(bytes), isCode('CODEC'));
  });

  it('parameters come from genesis, lie in the state, and are refused when they make no sense', () => {
    const section = ((genesisJson() as JsonObject)['modules'] as JsonObject)['compute'] as JsonObject;
    const params = computeParamsFromJson(section);
    assert.deepEqual(computeParamsToJson(params), section);
    assert.deepEqual(decodeComputeParams(encodeComputeParams(params)), params);
    assert.deepEqual(getComputeParams(new Market().chain.tip.state), params);
    const wrong: [string, Json][] = [
      ['min_cap_uait', '0'],
      ['min_cap_uait', 10_000],
      ['min_open_fee_uait', '-1'],
      ['min_stake_uait', '0'],
      ['max_term_ms', 59_999],
      ['max_term_ms', 367 * 86_400_000],
      ['unstake_cooldown_ms', 3_600_000 + 119_999],
      ['closed_kept_ms', -1],
      ['surprise', 1],
    ];
    for (const [key, value] of wrong) {
      const json = { ...section, [key]: value };
      assert.throws(() => computeParamsFromJson(json), isCode('INVALID_PARAMS', 'BAD_GENESIS'), key);
    }
  });

  it('a stake has one encoding', () => {
    const stake = { stakedUait: 5, coolingUait: 6, coolsUntilMs: 60_000 };
    assert.deepEqual(decodeStake(encodeStake(stake)), stake);
    assert.throws(() => decodeStake(Uint8Array.of(...encodeStake(stake), 0)), isCode('CODEC'));
  });
});
