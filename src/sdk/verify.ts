/**
 * Checking a node's answer with no node trusted: certificate → header → state root → value. What must be known before is
 * the chain's genesis hash and the validator set of the height.
 */
import type { Address } from '../bytes.ts';
import { equalBytes, fromHex } from '../bytes.ts';
import type { Account } from '../chain/accounts.ts';
import { accountKey, decodeAccount, EMPTY_ACCOUNT } from '../chain/accounts.ts';
import { parseAddress } from '../chain/address.ts';
import type { Header } from '../chain/block.ts';
import { blockId, decodeHeader } from '../chain/block.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import { genesisState, parseGenesis } from '../chain/genesis.ts';
import { jsonAmount } from '../chain/json.ts';
import type { Json } from '../chain/modules/types.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import type { ChainContext } from '../chain/signing.ts';
import { memoryState, statePath } from '../chain/state.ts';
import { decodeStateProof, verifyStateProof } from '../chain/tree-proof.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { createValidatorSet, validatorSetHash } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import { decodeCertificate, verifyCertificate } from '../chain/votes.ts';
import { NodeError } from '../errors.ts';
import type { AccountResponse, ValidatorSetResponse } from './types.ts';

/** What the checker knows by itself. */
export interface TrustedChain {
  readonly crypto: Crypto;
  readonly chain: ChainContext;
  /** Of the height in question. */
  readonly validatorSet: ValidatorSet;
}

export interface VerifiedAccount {
  readonly address: Address;
  readonly account: Account;
  readonly height: number;
  readonly header: Header;
}

/** @throws NodeError BAD_PROOF | BAD_CERTIFICATE | CODEC saying which step fails */
export function verifyAccountProof(trusted: TrustedChain, response: AccountResponse): VerifiedAccount {
  const { proof } = response;
  if (!proof) throw badProof('the answer has no proof: ask with ?proof=1');
  const header = verifyHeader(trusted, fromHex(proof.header), decodeCertificate(fromHex(proof.certificate)));
  if (header.height !== proof.height || header.height !== response.height) {
    throw badProof('the header is of another height');
  }
  const address = parseAddress(response.address);
  const value = proof.value === null ? null : fromHex(proof.value);
  const path = statePath(trusted.crypto, accountKey(address));
  const stateProof = decodeStateProof(fromHex(proof.state_proof));
  if (!verifyStateProof(trusted.crypto, header.stateRoot, path, value, stateProof)) {
    throw badProof('the state root does not hold this value');
  }
  const account = value === null ? EMPTY_ACCOUNT : decodeAccount(value);
  if (account.balanceUait !== jsonAmount(response.balance_uait, 'balance_uait') || account.nonce !== response.nonce) {
    throw badProof('the proven account is another one than the answer tells');
  }
  return { address, account, height: header.height, header };
}

/** A header that a quorum of the set committed. @throws NodeError BAD_PROOF | BAD_CERTIFICATE | CODEC */
export function verifyHeader(
  { crypto, chain, validatorSet }: TrustedChain,
  headerBytes: Uint8Array,
  certificate: Certificate,
): Header {
  const header = decodeHeader(headerBytes);
  if (header.chainId !== chain.chainId) throw badProof('the header is of another chain');
  if (!equalBytes(header.validatorsHash, validatorSetHash(crypto, validatorSet))) {
    throw badProof('the header names another validator set than the one trusted');
  }
  const committed =
    certificate.type === 'precommit' &&
    certificate.height === header.height &&
    equalBytes(certificate.blockId, blockId(crypto, header));
  if (!committed) throw badProof('the certificate is not for this header');
  verifyCertificate(crypto, chain, validatorSet, certificate);
  return header;
}

/** Chain and first validator set of a genesis, whose hash is recomputed. @throws NodeError BAD_GENESIS | WRONG_GENESIS */
export function trustGenesis(crypto: Crypto, genesisJson: Json, expectedHash?: Uint8Array): TrustedChain {
  const genesis = parseGenesis(crypto, genesisJson);
  if (expectedHash && !equalBytes(genesis.chain.genesisHash, expectedHash)) {
    throw new NodeError('WRONG_GENESIS', 'the genesis has another hash than expected');
  }
  const { current } = getSets(memoryState(genesisState(crypto, genesis)));
  return { crypto, chain: genesis.chain, validatorSet: current };
}

/** The set that a trusted node tells. @throws NodeError INVALID_PARAMS | BAD_BLOCK */
export function validatorSetOf(response: ValidatorSetResponse): ValidatorSet {
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

function badProof(reason: string): NodeError {
  return new NodeError('BAD_PROOF', reason, { hint: 'do not rely on this answer; ask another node' });
}
