/**
 * Checking a node's answer with no node trusted: certificate → header → root → value. Which validator set belongs to a
 * height is found out by src/sdk/light-client.ts; here it is given.
 */
import type { Address, Hash } from '../bytes.ts';
import { equalBytes, fromHex, toHex } from '../bytes.ts';
import type { Account } from '../chain/accounts.ts';
import { accountKey, decodeAccount, EMPTY_ACCOUNT } from '../chain/accounts.ts';
import { parseAddress } from '../chain/address.ts';
import type { Header } from '../chain/block.ts';
import { blockId, decodeHeader } from '../chain/block.ts';
import type { Crypto, Hasher } from '../chain/crypto/types.ts';
import type { Genesis } from '../chain/genesis.ts';
import { parseGenesis } from '../chain/genesis.ts';
import { jsonAmount } from '../chain/json.ts';
import { verifyListProof } from '../chain/list-root.ts';
import type { Json } from '../chain/modules/types.ts';
import type { Receipt } from '../chain/receipt.ts';
import { decodeReceipt } from '../chain/receipt.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { StateKey } from '../chain/state.ts';
import { statePath } from '../chain/state.ts';
import { decodeStateProof, verifyStateProof } from '../chain/tree-proof.ts';
import type { Transaction } from '../chain/tx.ts';
import { decodeTransaction } from '../chain/tx.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { validatorSetHash } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import { decodeCertificate, verifyCertificate } from '../chain/votes.ts';
import { NodeError } from '../errors.ts';
import { badProof, checkCertificateIsFor, checkHeader, genesisHead } from '../chain/light.ts';
import { readAnswer } from './light-block.ts';
import type { AccountResponse, StateProofResponse, TransactionProofResponse } from './types.ts';

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

export interface VerifiedTransaction {
  readonly transaction: Transaction;
  readonly receipt: Receipt;
  readonly height: number;
  readonly index: number;
}

// From a validator set

/** A header that a quorum of the set committed. @throws NodeError BAD_PROOF | BAD_CERTIFICATE | CODEC */
export function verifyHeader(
  { crypto, chain, validatorSet }: TrustedChain,
  headerBytes: Uint8Array,
  certificate: Certificate,
): Header {
  const header = decodeHeader(headerBytes);
  checkHeader(chain, header);
  if (!equalBytes(header.validatorsHash, validatorSetHash(crypto, validatorSet))) {
    throw badProof('the header names another validator set than the one trusted');
  }
  checkCertificateIsFor(certificate, header.height, blockId(crypto, header));
  verifyCertificate(crypto, chain, validatorSet, certificate);
  return header;
}

/** @throws NodeError BAD_PROOF | BAD_CERTIFICATE | PARSE_ERROR | CODEC saying which step fails */
export function verifyAccountProof(trusted: TrustedChain, response: AccountResponse): VerifiedAccount {
  const { proof } = response;
  if (!proof) throw badProof('the answer has no proof: ask with ?proof=1');
  const header = verifyHeader(trusted, fromHex(proof.header), decodeCertificate(fromHex(proof.certificate)));
  const address = parseAddress(response.address);
  const account = provenAccount(trusted.crypto, header, address, response);
  return { address, account, height: header.height, header };
}

// From a header that is trusted

/** The value of a key, null when the state holds none. @throws NodeError BAD_PROOF */
export function provenValue(
  hasher: Hasher,
  header: Header,
  key: StateKey,
  proof: Pick<StateProofResponse, 'value' | 'state_proof' | 'height'>,
): Uint8Array | null {
  return readAnswer('state proof', () => {
    if (header.height !== proof.height) throw badProof('the header is of another height');
    const value = proof.value === null ? null : fromHex(proof.value);
    const stateProof = decodeStateProof(fromHex(proof.state_proof));
    if (!verifyStateProof(hasher, header.stateRoot, statePath(hasher, key), value, stateProof)) {
      throw badProof('the state root does not hold this value', { height: header.height });
    }
    return value;
  });
}

/** Unknown accounts are empty, and proven to be. @throws NodeError BAD_PROOF */
export function provenAccount(hasher: Hasher, header: Header, address: Address, response: AccountResponse): Account {
  return readAnswer('proof of an account', () => {
    const { proof } = response;
    if (!proof) throw badProof('the answer has no proof: ask with ?proof=1');
    if (response.height !== proof.height) throw badProof('the answer is of another height than its proof');
    if (!equalBytes(parseAddress(response.address), address)) throw badProof('the answer is about another account');
    const value = provenValue(hasher, header, accountKey(address), proof);
    const account = value === null ? EMPTY_ACCOUNT : decodeAccount(value);
    const told = jsonAmount(response.balance_uait, 'balance_uait');
    if (account.balanceUait !== told || account.nonce !== response.nonce) {
      throw badProof('the proven account is another one than the answer tells');
    }
    return account;
  });
}

/** That a block holds this transaction, and what it did. @throws NodeError BAD_PROOF */
export function provenTransaction(
  hasher: Hasher,
  header: Header,
  id: Hash,
  proof: TransactionProofResponse,
): VerifiedTransaction {
  return readAnswer('proof of a transaction', () => {
    const { height, index, count } = proof;
    if (header.height !== height) throw badProof('the header is of another height');
    const transaction = decodeTransaction(hasher, fromHex(proof.transaction));
    if (!equalBytes(transaction.id, id)) throw badProof('the answer is about another transaction', { height });
    const place = { index, count, siblings: siblings(proof.transaction_siblings) };
    if (!verifyListProof(hasher, header.txRoot, id, place)) {
      throw badProof('the block does not hold this transaction', { height, transaction: toHex(id) });
    }
    const receiptBytes = fromHex(proof.receipt);
    const receiptPlace = { index, count, siblings: siblings(proof.receipt_siblings) };
    if (!verifyListProof(hasher, header.receiptsRoot, hasher.hash(receiptBytes), receiptPlace)) {
      throw badProof('the block does not hold this receipt', { height, transaction: toHex(id) });
    }
    const receipt = decodeReceipt(receiptBytes);
    if (!equalBytes(receipt.txId, id)) throw badProof('the receipt is of another transaction', { height });
    return { transaction, receipt, height, index };
  });
}

/** A list of 2^31 items is proven by 31 hashes. */
const MAX_SIBLINGS = 31;

function siblings(list: readonly string[]): Hash[] {
  if (list.length > MAX_SIBLINGS) throw badProof('the proof is longer than any list needs');
  return list.map((item) => fromHex(item, 32));
}

// What is known before

/** A genesis whose hash was recomputed. @throws NodeError BAD_GENESIS | WRONG_GENESIS */
export function checkGenesis(crypto: Crypto, genesisJson: Json, expectedHash?: Uint8Array): Genesis {
  const genesis = parseGenesis(crypto, genesisJson);
  if (expectedHash && !equalBytes(genesis.chain.genesisHash, expectedHash)) {
    throw new NodeError('WRONG_GENESIS', 'the genesis has another hash than expected', {
      data: { expected: toHex(expectedHash), found: toHex(genesis.chain.genesisHash) },
      hint: 'this node belongs to another network; ask another one',
    });
  }
  return genesis;
}

/** Chain and first validator set of a genesis, whose hash is recomputed. @throws NodeError BAD_GENESIS | WRONG_GENESIS */
export function trustGenesis(crypto: Crypto, genesisJson: Json, expectedHash?: Uint8Array): TrustedChain {
  const genesis = checkGenesis(crypto, genesisJson, expectedHash);
  return { crypto, chain: genesis.chain, validatorSet: genesisHead(crypto, genesis).nextValidators };
}
