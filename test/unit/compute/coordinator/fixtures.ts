/** What tests of both sides share. */
import type { Address } from '../../../../src/bytes.ts';
import { concatBytes, equalBytes } from '../../../../src/bytes.ts';
import { addressOf } from '../../../../src/chain/address.ts';
import type { ChainContext } from '../../../../src/chain/signing.ts';
import { NodeError } from '../../../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../../../src/native/crypto.ts';
import type { Sealing } from '../../../../protocols/market/sealing.ts';

export const CHAIN: ChainContext = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
export const ACCOUNT = createNativeSigner(new Uint8Array(32).fill(9));
export const CLIENT: Address = addressOf(nativeCrypto, ACCOUNT.publicKey);

/** Seals by showing: what one key sealed for another, in its order and bound to something, opens so alone. */
export const plainSealing: Sealing = {
  deriveSealKeys: (secret) => {
    const publicKey = nativeCrypto.hash(secret);
    return Promise.resolve({ publicKey, privateKey: publicKey });
  },
  createSeal: ({ keys, recipientKey }) => {
    let count = 0;
    return Promise.resolve({
      encapsulation: recipientKey,
      seal: (bytes, bound) =>
        Promise.resolve(concatBytes([bytes, tagOf(keys.publicKey, recipientKey, bound, count++)])),
    });
  },
  createOpener: ({ keys, senderKey }) => {
    let count = 0;
    return Promise.resolve({
      open: (sealed, bound) => {
        const tag = sealed.subarray(sealed.length - 16);
        return equalBytes(tag, tagOf(senderKey, keys.publicKey, bound, count++))
          ? Promise.resolve(sealed.subarray(0, sealed.length - 16))
          : Promise.reject(new NodeError('BAD_PROOF', 'does not open'));
      },
    });
  },
};

function tagOf(from: Uint8Array, to: Uint8Array, bound: Uint8Array, count: number): Uint8Array {
  return nativeCrypto.hash(concatBytes([from, to, bound, Uint8Array.of(count >> 8, count)])).subarray(0, 16);
}
