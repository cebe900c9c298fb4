/**
 * Transactions. Bytes: version u8, type u16, sender 32, nonce u64, fee u64, validUntilHeight u64, payload (u32 length),
 * signature 64. The id is SHA-256 of all of them, signature included. The payload's form belongs to its module.
 */
import type { Address, Hash, PublicKey, Signature } from '../bytes.ts';
import { keyBytes } from '../bytes.ts';
import { accountKeyOf, addressOfAccountKey } from './accounts.ts';
import { addressKeyOf } from './address.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher, SignatureCheck, Signer } from './crypto/types.ts';
import type { ChainContext } from './signing.ts';
import { signBytesWriter } from './signing.ts';
import type { StateKey } from './state.ts';

const TX_VERSION = 1;
export const MAX_PAYLOAD_BYTES = 16 * 1024;
const SIGNATURE_BYTES = 64;
/** Everything but the payload. */
export const MIN_TX_BYTES = 1 + 2 + 32 + 8 + 8 + 8 + 4 + SIGNATURE_BYTES;
export const MAX_TX_BYTES = MIN_TX_BYTES + MAX_PAYLOAD_BYTES;

/** What the sender decides and signs. */
export interface TxFields {
  readonly version: number;
  readonly type: number;
  readonly sender: PublicKey;
  readonly nonce: number;
  readonly feeUait: number;
  /** Last height whose block may hold it. */
  readonly validUntilHeight: number;
  readonly payload: Uint8Array;
}

export interface Transaction extends TxFields {
  readonly signature: Signature;
  /** The one encoding, kept from arrival to disk. */
  readonly bytes: Uint8Array;
  readonly id: Hash;
  /** The id as it keys maps: a node looks a transaction up a dozen times on its way through. */
  readonly key: string;
  readonly senderAddress: Address;
  /** Of the sender's account. */
  readonly senderKey: StateKey;
}

function writeFields(writer: Writer, tx: TxFields): Writer {
  return writer
    .u8(tx.version)
    .u16(tx.type)
    .fixed(tx.sender, 32)
    .u64(tx.nonce)
    .u64(tx.feeUait)
    .u64(tx.validUntilHeight)
    .bytes32(tx.payload);
}

export function txSignBytes(chain: ChainContext, tx: TxFields): Uint8Array {
  return writeFields(signBytesWriter('tx', chain, 128 + MIN_TX_BYTES + tx.payload.length), tx).finish();
}

/** What is signed are the bytes before the signature, as they came. */
export function txCheck(chain: ChainContext, { bytes, signature, sender }: Transaction): SignatureCheck {
  const fields = bytes.subarray(0, bytes.length - SIGNATURE_BYTES);
  const message = signBytesWriter('tx', chain, 128 + bytes.length)
    .raw(fields)
    .finish();
  return { message, signature, publicKey: sender };
}

/** Puts fields and signature into their one encoding. */
export function assembleTransaction(hasher: Hasher, fields: TxFields, signature: Signature): Transaction {
  const bytes = writeFields(new Writer(MIN_TX_BYTES + fields.payload.length), fields)
    .fixed(signature, SIGNATURE_BYTES)
    .finish();
  return decodeTransaction(hasher, bytes);
}

export function signTransaction(
  hasher: Hasher,
  chain: ChainContext,
  signer: Signer,
  fields: Omit<TxFields, 'version' | 'sender'>,
): Transaction {
  // One by one: a transaction has them, too, but not all as properties of its own.
  const { type, nonce, feeUait, validUntilHeight, payload } = fields;
  const sender = signer.publicKey;
  const whole: TxFields = { version: TX_VERSION, type, sender, nonce, feeUait, validUntilHeight, payload };
  return assembleTransaction(hasher, whole, signer.sign(txSignBytes(chain, whole)));
}

/** Keeps views of `bytes`. @throws NodeError CODEC */
export function decodeTransaction(hasher: Hasher, bytes: Uint8Array): Transaction {
  return new DecodedTransaction(hasher, bytes);
}

/** What `decode` makes of its payload; asked once. */
export function decodedPayload(tx: Transaction, decode: (tx: Transaction) => unknown): unknown {
  return DecodedTransaction.payloadOf(tx, decode);
}

const SENDER_AT = 1 + 2;
const PAYLOAD_AT = MIN_TX_BYTES - SIGNATURE_BYTES;

/**
 * Thousands of these wait in a pool or in fetched blocks, where each array or view of its own weighs as much as the
 * transaction: so views are made when they are asked for, and hashes are kept as strings.
 *
 * Its payload's meaning, which is the same for everyone, is kept with it: a table with weak keys grows with every transaction
 * until the old generation is collected, and makes that take longer.
 */
class DecodedTransaction implements Transaction {
  readonly version: number;
  readonly type: number;
  readonly nonce: number;
  readonly feeUait: number;
  readonly validUntilHeight: number;
  readonly bytes: Uint8Array;
  readonly key: string;
  readonly senderKey: StateKey;
  #payload: unknown;

  constructor(hasher: Hasher, bytes: Uint8Array) {
    const reader = new Reader(bytes, 'transaction');
    this.version = reader.u8();
    if (this.version !== TX_VERSION) throw reader.reject('non-canonical');
    this.type = reader.u16();
    const sender = reader.fixed(32);
    this.nonce = reader.u64();
    this.feeUait = reader.u64();
    this.validUntilHeight = reader.u64();
    reader.skipBytes32(MAX_PAYLOAD_BYTES);
    reader.skip(SIGNATURE_BYTES);
    reader.end();
    this.bytes = bytes;
    this.key = hasher.hashKey(bytes);
    this.senderKey = accountKeyOf(addressKeyOf(hasher, sender));
  }

  get sender(): PublicKey {
    return this.bytes.subarray(SENDER_AT, SENDER_AT + 32);
  }

  get payload(): Uint8Array {
    return this.bytes.subarray(PAYLOAD_AT, this.bytes.length - SIGNATURE_BYTES);
  }

  get signature(): Signature {
    return this.bytes.subarray(this.bytes.length - SIGNATURE_BYTES);
  }

  get id(): Hash {
    return keyBytes(this.key);
  }

  get senderAddress(): Address {
    return addressOfAccountKey(this.senderKey);
  }

  static payloadOf(tx: Transaction, decode: (tx: Transaction) => unknown): unknown {
    return #payload in tx ? (tx.#payload ??= decode(tx)) : decode(tx);
  }
}
