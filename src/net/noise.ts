/** Noise as the links use it: each message is one write, and the cryptography may be one of ours. */
import type { ICryptoInterface } from '@chainsafe/libp2p-noise';
import { noise, pureJsCrypto } from '@chainsafe/libp2p-noise';
import type { ConnectionEncrypter, MessageStream, SecuredConnection } from '@libp2p/interface';
import type { Uint8ArrayList } from 'uint8arraylist';
import type { Hasher, LinkCrypto } from '../chain/crypto/types.ts';

type NoiseFactory = ReturnType<typeof noise>;
type Bytes = Uint8Array | Uint8ArrayList;

/** Length of a noise message on the wire (libp2p noise specification, wire format). */
const LENGTH_BYTES = 2;

/** One for all: an error costs what its stack trace costs, and the library wants one after each message. */
const NO_LENGTH_YET = new RangeError('no whole length yet');

/** @param crypto the library's own when absent */
export function createNoise(hasher: Hasher, crypto?: LinkCrypto): NoiseFactory {
  const create = crypto ? noise({ crypto: noiseCrypto(hasher, crypto) }) : noise();
  return (components) => {
    const inner = create(components);
    const joined: ConnectionEncrypter = {
      protocol: inner.protocol,
      secureInbound: async (stream, options) => cheaplyRead(await inner.secureInbound(whole(stream), options)),
      secureOutbound: async (stream, options) => cheaplyRead(await inner.secureOutbound(whole(stream), options)),
    };
    return joined as typeof inner;
  };
}

/** Hands each message to the transport in one piece. */
function whole(stream: MessageStream): MessageStream {
  const send = stream.send.bind(stream);
  stream.send = (data) => send(data.subarray());
  return stream;
}

/**
 * The library reads lengths until one cannot be read, and learns that from an error made anew: 2 % of the main thread of a
 * node under load.
 */
function cheaplyRead<T extends SecuredConnection>(secured: T): T {
  const { decoder } = secured.connection as { readonly decoder?: { lengthDecoder?: (data: Bytes) => number } };
  if (decoder?.lengthDecoder) {
    decoder.lengthDecoder = (data) => {
      if (data.byteLength < LENGTH_BYTES) throw NO_LENGTH_YET;
      return data instanceof Uint8Array ? ((data[0] ?? 0) << 8) | (data[1] ?? 0) : data.getUint16(0);
    };
  }
  return secured;
}

function noiseCrypto(hasher: Hasher, crypto: LinkCrypto): ICryptoInterface {
  return {
    hashSHA256: (data) => hasher.hash(data.subarray()),
    getHKDF: (chainingKey, input) => pureJsCrypto.getHKDF(chainingKey, input),
    generateX25519KeyPair: () => crypto.keyPair(),
    generateX25519KeyPairFromSeed: (seed) => crypto.keyPair(seed),
    generateX25519SharedKey: (privateKey, publicKey) => crypto.sharedKey(privateKey.subarray(), publicKey.subarray()),
    chaCha20Poly1305Encrypt: (plaintext, nonce, associated, key) =>
      crypto.seal(key, nonce, plaintext.subarray(), associated),
    chaCha20Poly1305Decrypt: (sealed, nonce, associated, key) => crypto.open(key, nonce, sealed.subarray(), associated),
  };
}
