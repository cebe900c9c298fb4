/**
 * Transactions in JSON, as the interfaces show and take them. The form mirrors the codec: amounts are decimal strings of
 * base units, heights and nonces numbers, bytes lower-case hex, and the payload is the JSON of its module.
 */
import { toHex } from '../bytes.ts';
import type { Hasher } from './crypto/types.ts';
import { checkKeys, jsonAmount, jsonHex, jsonInteger, jsonObject, jsonString } from './json.ts';
import { txTypeByName, txTypeByNumber } from './modules/table.ts';
import type { Json, JsonObject } from './modules/types.ts';
import type { Transaction } from './tx.ts';
import { assembleTransaction } from './tx.ts';

const KEYS = ['version', 'type', 'sender', 'nonce', 'fee_uait', 'valid_until_height', 'payload', 'signature'];

/** @throws NodeError UNKNOWN_TX_TYPE | CODEC when the payload is not one of its type */
export function transactionToJson(tx: Transaction): JsonObject {
  const txType = txTypeByNumber(tx.type);
  return {
    version: tx.version,
    type: txType.name,
    sender: toHex(tx.sender),
    nonce: tx.nonce,
    fee_uait: String(tx.feeUait),
    valid_until_height: tx.validUntilHeight,
    payload: txType.toJson(txType.decode(tx.payload)),
    signature: toHex(tx.signature),
  };
}

/** The signature is taken as it is, not verified. @throws NodeError INVALID_PARAMS | UNKNOWN_TX_TYPE | BAD_ADDRESS | CODEC */
export function transactionFromJson(hasher: Hasher, json: Json): Transaction {
  const object = jsonObject(json, 'transaction');
  checkKeys(object, KEYS);
  const txType = txTypeByName(jsonString(object['type'], 'type'));
  const fields = {
    version: jsonInteger(object['version'], 'version', 255),
    type: txType.type,
    sender: jsonHex(object['sender'], 'sender', 32),
    nonce: jsonInteger(object['nonce'], 'nonce'),
    feeUait: jsonAmount(object['fee_uait'], 'fee_uait'),
    validUntilHeight: jsonInteger(object['valid_until_height'], 'valid_until_height'),
    payload: txType.encode(txType.fromJson(jsonObject(object['payload'], 'payload'))),
  };
  return assembleTransaction(hasher, fields, jsonHex(object['signature'], 'signature', 64));
}
