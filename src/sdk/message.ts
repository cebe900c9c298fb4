/**
 * Texts signed by an account: that it said something, on one chain. Domain-separated: such a signature is none of a
 * transaction, of a login or of agreement, whatever the text is.
 */
import type { PublicKey, Signature } from '../bytes.ts';
import { toHex, utf8 } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Crypto, Hasher, Signer } from '../chain/crypto/types.ts';
import { checkKeys, jsonHex, jsonObject, jsonString } from '../chain/json.ts';
import type { Json, JsonObject } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { signBytesWriter } from '../chain/signing.ts';
import { NodeError } from '../errors.ts';

const FORMAT = 'aitbc-message/1';
export const MAX_MESSAGE_BYTES = 64 * 1024;
/** JSON escapes a character as six at most. */
export const MAX_MESSAGE_FILE_CHARACTERS = 6 * MAX_MESSAGE_BYTES + 1024;

export interface SignedMessage {
  readonly chain: ChainContext;
  readonly message: string;
  readonly publicKey: PublicKey;
  readonly signature: Signature;
}

/** @throws NodeError TOO_LARGE | INVALID_PARAMS when it is not Unicode text */
export function signMessage(chain: ChainContext, signer: Signer, message: string): SignedMessage {
  const signature = signer.sign(messageSignBytes(chain, message));
  return { chain, message, publicKey: signer.publicKey, signature };
}

/** @throws NodeError BAD_SIGNATURE | TOO_LARGE @returns the address that said it */
export function verifyMessage(crypto: Crypto, { chain, message, publicKey, signature }: SignedMessage): string {
  const address = formatAddress(addressOf(crypto, publicKey));
  if (crypto.verify(messageSignBytes(chain, message), signature, publicKey)) return address;
  throw new NodeError('BAD_SIGNATURE', `${address} did not sign this message for ${chain.chainId} and its genesis`, {
    data: { address },
    hint: 'message, key, chain or genesis were changed after signing',
  });
}

/** `{format,chain_id,genesis_hash,address,public_key,message,signature}` */
export function signedMessageToJson(hasher: Hasher, signed: SignedMessage): JsonObject {
  return {
    format: FORMAT,
    chain_id: signed.chain.chainId,
    genesis_hash: toHex(signed.chain.genesisHash),
    address: formatAddress(addressOf(hasher, signed.publicKey)),
    public_key: toHex(signed.publicKey),
    message: signed.message,
    signature: toHex(signed.signature),
  };
}

/** Takes the signature as it is: see {@link verifyMessage}. @throws NodeError INVALID_PARAMS | TOO_LARGE */
export function parseSignedMessage(hasher: Hasher, text: string): SignedMessage {
  if (text.length > MAX_MESSAGE_FILE_CHARACTERS) throw tooLarge(text.length);
  const json = jsonObject(parsed(text), 'signed message');
  checkKeys(json, ['format', 'chain_id', 'genesis_hash', 'address', 'public_key', 'message', 'signature']);
  if (json['format'] !== FORMAT) throw notSignedMessage(`its "format" is not "${FORMAT}"`);
  const publicKey = jsonHex(json['public_key'], 'public_key', 32);
  if (json['address'] !== formatAddress(addressOf(hasher, publicKey))) {
    throw notSignedMessage('"address" is not that of its key');
  }
  const chainId = jsonString(json['chain_id'], 'chain_id');
  if (!/^[a-z0-9][a-z0-9-]{2,31}$/.test(chainId)) throw notSignedMessage('"chain_id" is not one of a chain');
  return {
    chain: { chainId, genesisHash: jsonHex(json['genesis_hash'], 'genesis_hash', 32) },
    message: jsonString(json['message'], 'message'),
    publicKey,
    signature: jsonHex(json['signature'], 'signature', 64),
  };
}

function messageSignBytes(chain: ChainContext, message: string): Uint8Array {
  if (!message.isWellFormed()) throw notSignedMessage('its text has half a character');
  const bytes = utf8(message);
  if (bytes.length > MAX_MESSAGE_BYTES) throw tooLarge(bytes.length);
  return signBytesWriter('message', chain, 128 + bytes.length)
    .bytes32(bytes)
    .finish();
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw notSignedMessage('it is not JSON');
  }
}

function tooLarge(bytes: number): NodeError {
  return new NodeError('TOO_LARGE', `a message has at most ${MAX_MESSAGE_BYTES} bytes`, {
    data: { bytes, limit: MAX_MESSAGE_BYTES },
    hint: 'sign the SHA-256 of a long text instead',
  });
}

function notSignedMessage(why: string): NodeError {
  return new NodeError('INVALID_PARAMS', `this is not a signed message: ${why}`, {
    hint: 'aitbc wallet sign writes one',
  });
}
