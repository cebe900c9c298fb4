import assert from 'node:assert/strict';
import { createCipheriv, createPrivateKey, createPublicKey, diffieHellman, randomBytes } from 'node:crypto';
import { nativeLinkCrypto } from '../../../src/native/link-crypto.ts';

const plain = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);

function sealedByNode(key: Uint8Array, nonce: Uint8Array, text: Uint8Array, associated: Uint8Array): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
  cipher.setAAD(associated, { plaintextLength: text.length });
  return plain(Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]));
}

function sharedByNode(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const key = (prefix: string, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from(prefix, 'hex'), bytes]);
  const form = { format: 'der' } as const;
  return plain(
    diffieHellman({
      privateKey: createPrivateKey({
        ...form,
        key: key('302e020100300506032b656e04220420', privateKey),
        type: 'pkcs8',
      }),
      publicKey: createPublicKey({ ...form, key: key('302a300506032b656e032100', publicKey), type: 'spki' }),
    }),
  );
}

describe('native/link-crypto', () => {
  it('seals as OpenSSL does, and opens it again', () => {
    for (const size of [0, 1, 100, 1_200, 65_519]) {
      const [key, nonce, text, associated] = [
        randomBytes(32),
        randomBytes(12),
        randomBytes(size),
        randomBytes(size % 7),
      ];
      const sealed = nativeLinkCrypto.seal(key, nonce, text, associated);
      assert.deepEqual(sealed, sealedByNode(key, nonce, text, associated));
      assert.deepEqual(nativeLinkCrypto.open(key, nonce, sealed, associated), plain(text));
    }
  });

  it('opens nothing that was altered, cut or sealed otherwise', () => {
    const [key, nonce, text, none] = [randomBytes(32), randomBytes(12), randomBytes(40), new Uint8Array()];
    const sealed = nativeLinkCrypto.seal(key, nonce, text, none);
    const altered = Uint8Array.from(sealed, (byte, i) => (i === 3 ? byte ^ 1 : byte));
    for (const wrong of [altered, sealed.subarray(0, -1), sealed.subarray(0, 16), sealed.subarray(0, 5), none]) {
      assert.throws(() => nativeLinkCrypto.open(key, nonce, wrong, none));
    }
    assert.throws(() => nativeLinkCrypto.open(randomBytes(32), nonce, sealed, none));
    assert.throws(() => nativeLinkCrypto.open(key, randomBytes(12), sealed, none));
    assert.throws(() => nativeLinkCrypto.open(key, nonce, sealed, new Uint8Array(1)));
  });

  it('agrees on keys as OpenSSL does, and never with a key of small order', () => {
    const alice = nativeLinkCrypto.keyPair(randomBytes(32));
    const bob = nativeLinkCrypto.keyPair();
    const shared = nativeLinkCrypto.sharedKey(alice.privateKey, bob.publicKey);
    assert.deepEqual(shared, nativeLinkCrypto.sharedKey(bob.privateKey, alice.publicKey));
    assert.deepEqual(shared, sharedByNode(alice.privateKey, bob.publicKey));
    assert.notDeepEqual(nativeLinkCrypto.keyPair().privateKey, bob.privateKey);
    for (const small of [new Uint8Array(32), Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))]) {
      assert.throws(() => nativeLinkCrypto.sharedKey(alice.privateKey, small));
    }
  });
});
