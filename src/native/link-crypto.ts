/**
 * The encryption of links by libsodium. Node's ciphers cost 15 to 20 µs to set up for each message, and what the library
 * has beside them is slower than that above 500 bytes; this takes 1 µs and what the bytes take.
 */
import {
  crypto_aead_chacha20poly1305_ietf_decrypt,
  crypto_aead_chacha20poly1305_ietf_encrypt,
  crypto_scalarmult,
  crypto_scalarmult_base,
} from 'sodium-native';
import type { LinkCrypto } from '../chain/crypto/types.ts';
import { NodeError } from '../errors.ts';

const KEY_BYTES = 32;
const TAG_BYTES = 16;

export const nativeLinkCrypto: LinkCrypto = {
  keyPair: (seed) => {
    const privateKey = seed ?? crypto.getRandomValues(new Uint8Array(KEY_BYTES));
    const publicKey = new Uint8Array(KEY_BYTES);
    crypto_scalarmult_base(publicKey, privateKey);
    return { publicKey, privateKey };
  },
  sharedKey: (privateKey, publicKey) => {
    const shared = new Uint8Array(KEY_BYTES);
    crypto_scalarmult(shared, privateKey, publicKey);
    return shared;
  },
  seal: (key, nonce, plaintext, associated) => {
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES);
    crypto_aead_chacha20poly1305_ietf_encrypt(sealed, plaintext, associated, null, nonce, key);
    return sealed;
  },
  open: (key, nonce, sealed, associated) => {
    if (sealed.length < TAG_BYTES) {
      throw new NodeError('CODEC', 'a sealed message is shorter than its tag', { data: { bytes: sealed.length } });
    }
    const plaintext = new Uint8Array(sealed.length - TAG_BYTES);
    crypto_aead_chacha20poly1305_ietf_decrypt(plaintext, null, sealed, associated, nonce, key);
    return plaintext;
  },
};
