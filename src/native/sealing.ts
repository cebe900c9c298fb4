/** Sealing by Node's own ciphers: without a turn of WebCrypto's threads for each record it takes half the time. */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { AeadEncryptionContext, AeadInterface } from '@hpke/core';
import type { Sealing } from '../../protocols/market/sealing.ts';
import { createSealing } from '../../protocols/market/sealing.ts';

const CIPHER = 'aes-256-gcm';
const TAG_BYTES = 16;

type Bytes = ArrayBufferLike | ArrayBufferView;

const aes256Gcm: AeadInterface = {
  // RFC 9180, 7.3.
  ...{ id: 2, keySize: 32, nonceSize: 12, tagSize: TAG_BYTES },
  createEncryptionContext: (given) => {
    const key = view(given).slice();
    return {
      seal: (iv, data, aad) => promised(() => seal(key, view(iv), view(data), view(aad))),
      open: (iv, data, aad) => promised(() => open(key, view(iv), view(data), view(aad))),
    } satisfies AeadEncryptionContext;
  },
};

export const nativeSealing: Sealing = createSealing(aes256Gcm);

function seal(key: Uint8Array, iv: Uint8Array, data: Uint8Array, aad: Uint8Array): ArrayBuffer {
  const cipher = createCipheriv(CIPHER, key, iv).setAAD(aad);
  const sealed = new Uint8Array(data.length + TAG_BYTES);
  sealed.set(cipher.update(data));
  cipher.final();
  sealed.set(cipher.getAuthTag(), data.length);
  return sealed.buffer;
}

/** @throws Error when it does not open */
function open(key: Uint8Array, iv: Uint8Array, sealed: Uint8Array, aad: Uint8Array): ArrayBuffer {
  const end = Math.max(0, sealed.length - TAG_BYTES);
  const cipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES }).setAAD(aad);
  cipher.setAuthTag(sealed.subarray(end));
  const data = new Uint8Array(cipher.update(sealed.subarray(0, end)));
  cipher.final();
  return data.buffer;
}

function view(bytes: Bytes): Uint8Array {
  return ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
}

function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
