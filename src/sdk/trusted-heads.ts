/** Trusted heads as JSON, to be kept between two runs of a light client. Whoever may change them decides what it trusts. */
import { fromHex, toHex } from '../bytes.ts';
import { formatAddress } from '../chain/address.ts';
import { checkKeys, jsonArray, jsonHex, jsonInteger, jsonObject, jsonString } from '../chain/json.ts';
import type { Json, JsonObject } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { NodeError } from '../errors.ts';
import type { TrustedHead } from '../chain/light.ts';
import { validatorSetOf } from './light-block.ts';

const VERSION = 1;

export function headsToJson({ chainId, genesisHash }: ChainContext, heads: readonly TrustedHead[]): JsonObject {
  return {
    version: VERSION,
    chain_id: chainId,
    genesis_hash: toHex(genesisHash),
    heads: heads.map(({ height, blockId, timeMs, validators, nextValidators }) => ({
      height,
      hash: toHex(blockId),
      time_ms: timeMs,
      validators: validators && setToJson(validators),
      next_validators: setToJson(nextValidators),
    })),
  };
}

/** @throws NodeError INVALID_PARAMS | WRONG_GENESIS | BAD_BLOCK when it is not what `headsToJson` gives for this chain */
export function headsFromJson({ genesisHash }: ChainContext, json: Json): TrustedHead[] {
  const object = jsonObject(json, 'trusted heads');
  checkKeys(object, ['version', 'chain_id', 'genesis_hash', 'heads']);
  if (jsonInteger(object['version'], 'version') !== VERSION || object['genesis_hash'] !== toHex(genesisHash)) {
    throw new NodeError('WRONG_GENESIS', 'the trusted heads are of another genesis or version');
  }
  return jsonArray(object['heads'], 'heads').map((item) => {
    const head = jsonObject(item, 'head');
    checkKeys(head, ['height', 'hash', 'time_ms', 'validators', 'next_validators']);
    return {
      height: jsonInteger(head['height'], 'height'),
      blockId: jsonHex(head['hash'], 'hash', 32),
      timeMs: jsonInteger(head['time_ms'], 'time_ms'),
      validators: head['validators'] === null ? null : setFromJson(head['validators']),
      nextValidators: setFromJson(head['next_validators']),
    };
  });
}

function setToJson({ validators }: ValidatorSet): Json {
  return validators.map(({ publicKey, power, operator, name }) => ({
    public_key: toHex(publicKey),
    power,
    operator: formatAddress(operator),
    name,
  }));
}

function setFromJson(json: Json | undefined): ValidatorSet {
  const validators = jsonArray(json, 'validators').map((item) => {
    const validator = jsonObject(item, 'validator');
    return {
      public_key: toHex(fromHex(jsonString(validator['public_key'], 'public_key'), 32)),
      power: jsonInteger(validator['power'], 'power'),
      operator: jsonString(validator['operator'], 'operator'),
      name: jsonString(validator['name'], 'name'),
    };
  });
  return validatorSetOf({ total_power: 0, validators });
}
