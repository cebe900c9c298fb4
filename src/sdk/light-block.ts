/** What nodes answer to a light client, read strictly; the rules by which it is believed are in src/chain/light.ts. */
import { fromHex } from '../bytes.ts';
import { parseAddress } from '../chain/address.ts';
import { decodeHeader } from '../chain/block.ts';
import type { LightBlock, LightRules } from '../chain/light.ts';
import { ASK_ANOTHER, badProof, lightBlock } from '../chain/light.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { createValidatorSet, MAX_VALIDATORS } from '../chain/validator-set.ts';
import { decodeCertificate } from '../chain/votes.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { LightBlockResponse, ValidatorSetResponse } from './types.ts';

/** Decodes an answer and checks all that needs no trust, see `lightBlock`. @throws NodeError BAD_PROOF | BAD_CERTIFICATE | UPGRADE_NEEDED */
export function readLightBlock(rules: LightRules, response: LightBlockResponse): LightBlock {
  return readAnswer('light block', () => {
    const header = decodeHeader(fromHex(response.header));
    const validators = validatorSetOf(response.validators);
    const block = lightBlock(rules, {
      header,
      certificate: decodeCertificate(fromHex(response.certificate)),
      validators,
      nextValidators: response.next_validators === null ? validators : validatorSetOf(response.next_validators),
    });
    if (response.height !== header.height) throw badProof('the answer tells another height than its header');
    return block;
  });
}

/** The set that an answer tells: as good as who tells it, or as the header that names its hash. @throws NodeError PARSE_ERROR | BAD_BLOCK | BAD_PROOF */
export function validatorSetOf(response: ValidatorSetResponse): ValidatorSet {
  if (response.validators.length > MAX_VALIDATORS) throw badProof('the validator set is too large');
  return createValidatorSet(
    response.validators.map(({ public_key, power, operator, name }) => ({
      publicKey: fromHex(public_key, 32),
      power,
      operator: parseAddress(operator),
      name,
      priority: 0,
      demoted: false,
    })),
  );
}

/** Whatever is wrong with an answer is a proof that does not verify; what it is stands in the message. */
export function readAnswer<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    const error = toNodeError(thrown);
    if (['BAD_PROOF', 'BAD_CERTIFICATE', 'UPGRADE_NEEDED'].includes(error.code)) throw error;
    const reason = error.code === 'INTERNAL' ? 'it does not have the form of one' : error.message;
    throw new NodeError('BAD_PROOF', `not a ${what}: ${reason}`, { hint: ASK_ANOTHER, cause: error });
  }
}
