/** What tests of both sides share. */
import type { Address } from '../../../../src/bytes.ts';
import { concatBytes, equalBytes } from '../../../../src/bytes.ts';
import { addressOf } from '../../../../src/chain/address.ts';
import type { ChainContext } from '../../../../src/chain/signing.ts';
import type { Sealing } from '../../../../src/compute/coordinator/work-lines.ts';
import { NodeError } from '../../../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../../../src/native/crypto.ts';
import type { SealPlace } from '../../../../protocols/market/sealing.ts';

export const CHAIN: ChainContext = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
export const ACCOUNT = createNativeSigner(new Uint8Array(32).fill(9));
export const CLIENT: Address = addressOf(nativeCrypto, ACCOUNT.publicKey);

/** Seals by showing: what is sealed for one key and place opens there alone. */
export const plainSealing: Sealing = {
  deriveSealKeys: (secret) => {
    const publicKey = nativeCrypto.hash(secret);
    return Promise.resolve({ publicKey, privateKey: publicKey });
  },
  createSeal: ({ recipientKey }) =>
    Promise.resolve({
      encapsulation: recipientKey,
      seal: (piece, place) => Promise.resolve(concatBytes([piece, tagOf(recipientKey, place)])),
    }),
  createOpener: ({ privateKey }) =>
    Promise.resolve({
      open: (sealed, place) => {
        const tag = sealed.subarray(sealed.length - 16);
        return equalBytes(tag, tagOf(privateKey, place))
          ? Promise.resolve(sealed.subarray(0, sealed.length - 16))
          : Promise.reject(new NodeError('BAD_PROOF', 'does not open'));
      },
    }),
};

function tagOf(key: Uint8Array, { attempt, direction, piece }: SealPlace): Uint8Array {
  const place = new TextEncoder().encode(`${direction} ${piece}`);
  return nativeCrypto.hash(concatBytes([key, attempt, place])).subarray(0, 16);
}
