/**
 * A transaction on its way between machines: made on one that knows the chain, signed on one that has the key, sent from
 * any. It is JSON that people can read, and names the chain and the genesis that its signature is for.
 */
import { equalBytes, toHex } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Crypto, Hasher, Signer } from '../chain/crypto/types.ts';
import { checkKeys, jsonHex, jsonObject, jsonString } from '../chain/json.ts';
import type { Json, JsonObject } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { transactionFromJson, transactionToJson } from '../chain/tx-json.ts';
import type { Transaction } from '../chain/tx.ts';
import { assembleTransaction, txCheck, txSignBytes } from '../chain/tx.ts';
import { NodeError } from '../errors.ts';

const FORMAT = 'aitbc-transaction/1';
/** A payload has at most 16 KiB, twice that in hex. */
export const MAX_TRANSACTION_FILE_BYTES = 64 * 1024;

export interface TransactionFile {
  readonly chain: ChainContext;
  /** Its signature is zeros until it is signed. */
  readonly transaction: Transaction;
  readonly isSigned: boolean;
}

/** Makes what `build.ts` makes, without the key: the signature is zeros. */
export function unsignedSigner(publicKey: Uint8Array): Signer {
  return { publicKey, sign: () => new Uint8Array(64) };
}

/** `{format,chain_id,genesis_hash,from,transaction,signature,hash}`; the last two are null before it is signed. */
export function transactionFileToJson({ chain, transaction, isSigned }: TransactionFile): JsonObject {
  const { signature, ...fields } = transactionToJson(transaction);
  return {
    format: FORMAT,
    chain_id: chain.chainId,
    genesis_hash: toHex(chain.genesisHash),
    from: formatAddress(transaction.senderAddress),
    transaction: fields,
    signature: isSigned ? (signature ?? null) : null,
    hash: isSigned ? toHex(transaction.id) : null,
  };
}

/**
 * Takes a signature as it is: see {@link checkSignature}.
 *
 * @throws NodeError INVALID_PARAMS | UNKNOWN_TX_TYPE | BAD_ADDRESS | CODEC | TOO_LARGE
 */
export function parseTransactionFile(hasher: Hasher, text: string): TransactionFile {
  if (text.length > MAX_TRANSACTION_FILE_BYTES) {
    throw new NodeError('TOO_LARGE', 'this is too large to be a transaction', {
      data: { characters: text.length, limit: MAX_TRANSACTION_FILE_BYTES },
    });
  }
  const json = jsonObject(parsed(text), 'transaction file');
  if (json['format'] !== FORMAT) throw notTransactionFile(`its "format" is not "${FORMAT}"`);
  checkKeys(json, ['format', 'chain_id', 'genesis_hash', 'from', 'transaction', 'signature', 'hash']);
  const { signature } = json;
  const isSigned = signature !== null;
  const fields = jsonObject(json['transaction'], 'transaction');
  const whole = { ...fields, signature: isSigned ? (signature ?? null) : '00'.repeat(64) };
  const transaction = transactionFromJson(hasher, whole);
  if (formatAddress(addressOf(hasher, transaction.sender)) !== jsonString(json['from'], 'from')) {
    throw notTransactionFile('"from" is not the address of its sender');
  }
  if (isSigned ? json['hash'] !== toHex(transaction.id) : json['hash'] !== null) {
    throw notTransactionFile('"hash" is not that of the transaction');
  }
  const chainId = jsonString(json['chain_id'], 'chain_id');
  if (!/^[a-z0-9][a-z0-9-]{2,31}$/.test(chainId)) throw notTransactionFile('"chain_id" is not one of a chain');
  return { chain: { chainId, genesisHash: jsonHex(json['genesis_hash'], 'genesis_hash', 32) }, transaction, isSigned };
}

/** @throws NodeError INVALID_PARAMS when the key is not the sender's */
export function signTransactionFile(hasher: Hasher, file: TransactionFile, signer: Signer): TransactionFile {
  const { chain, transaction } = file;
  if (!equalBytes(signer.publicKey, transaction.sender)) {
    const from = formatAddress(transaction.senderAddress);
    throw new NodeError('INVALID_PARAMS', `the key of ${from} must sign this, not another`, { data: { from } });
  }
  const signature = signer.sign(txSignBytes(chain, transaction));
  return { chain, transaction: assembleTransaction(hasher, transaction, signature), isSigned: true };
}

/** @throws NodeError INVALID_PARAMS when it is not signed, BAD_SIGNATURE when not by its sender for its chain */
export function checkSignature(crypto: Crypto, { chain, transaction, isSigned }: TransactionFile): void {
  if (!isSigned) {
    throw new NodeError('INVALID_PARAMS', 'the transaction is not signed', { hint: 'aitbc tx sign FILE' });
  }
  const { message, signature, publicKey } = txCheck(chain, transaction);
  if (crypto.verify(message, signature, publicKey)) return;
  throw new NodeError('BAD_SIGNATURE', `the signature is not by the sender for ${chain.chainId} and its genesis`, {
    hint: 'chain, genesis or content were changed after signing: sign the unsigned file again',
  });
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw notTransactionFile('it is not JSON');
  }
}

function notTransactionFile(why: string): NodeError {
  return new NodeError('INVALID_PARAMS', `this is not a transaction file: ${why}`, {
    hint: 'aitbc tx build writes one, aitbc tx sign signs it',
  });
}
