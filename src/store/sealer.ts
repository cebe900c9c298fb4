/**
 * The form of a value on disk: the value and a tag over it and its key, so that neither changed bytes nor a value that
 * lies under another key are ever taken for what was written. LevelDB has checksums of its own, but verifies those of
 * table files only in a mode that its binding does not offer.
 */
import type { KeyObject } from 'node:crypto';
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface Sealer {
  /** Good until the next call: it may be written over then. */
  seal(key: Uint8Array, value: Uint8Array): Uint8Array;
  /** Undefined when these bytes are not what was sealed under this key. */
  open(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

const CHECKSUM_BYTES = 4;

/** Value, then CRC-32 (ISO 3309) of key and value. Finds damage, not tampering. */
export const checksumSealer: Sealer = {
  seal: (key, value) => {
    const sealed = scratch(value.length + CHECKSUM_BYTES);
    sealed.set(value);
    putU32(sealed, value.length, checksum(key, value));
    return sealed;
  },
  open: (key, sealed) => {
    const length = sealed.length - CHECKSUM_BYTES;
    if (length < 0) return undefined;
    const value = sealed.subarray(0, length);
    return getU32(sealed, length) === checksum(key, value) ? value : undefined;
  },
};

/** Most values are short and of few lengths, and are copied at once: two thousand for a block of a thousand transfers. */
const SCRATCH_BYTES = 64;
const scratches: (Uint8Array | undefined)[] = [];

function scratch(length: number): Uint8Array {
  if (length > SCRATCH_BYTES) return new Uint8Array(length);
  return (scratches[length] ??= new Uint8Array(length));
}

const CIPHER = 'aes-256-gcm';
const PREFIX_BYTES = 8;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const MAX_COUNT = 2 ** 32 - 1;

/**
 * Nonce of 12 bytes, AES-256-GCM ciphertext, tag of 16 bytes; the database key is authenticated along with it.
 *
 * A nonce is 8 random bytes, drawn for each opening, and a counter. Within an opening none repeats; that two of a
 * million openings draw the same prefix has a probability of 2^-25. Wholly random nonces would reach the bound of NIST
 * SP 800-38D, 2^32 values a key, within two weeks of full load. Random, and not stored: a copy of the folder that is put
 * back must not count from an old place.
 */
export class CipherSealer implements Sealer {
  readonly #dataKey: KeyObject;
  readonly #nonce = new Uint8Array(NONCE_BYTES);
  #count: number;

  /** @param firstCount where counting begins; for tests */
  constructor(dataKey: KeyObject, firstCount = 0) {
    this.#dataKey = dataKey;
    this.#count = firstCount;
    this.#drawPrefix();
  }

  seal(key: Uint8Array, value: Uint8Array): Uint8Array {
    const nonce = this.#nextNonce();
    const cipher = createCipheriv(CIPHER, this.#dataKey, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(key);
    const sealed = new Uint8Array(NONCE_BYTES + value.length + TAG_BYTES);
    sealed.set(nonce);
    sealed.set(cipher.update(value), NONCE_BYTES);
    cipher.final();
    sealed.set(cipher.getAuthTag(), NONCE_BYTES + value.length);
    return sealed;
  }

  open(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const tagAt = sealed.length - TAG_BYTES;
    if (tagAt < NONCE_BYTES) return undefined;
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, this.#dataKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(key);
    decipher.setAuthTag(sealed.subarray(tagAt));
    const value = decipher.update(sealed.subarray(NONCE_BYTES, tagAt));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }

  #nextNonce(): Uint8Array {
    if (this.#count > MAX_COUNT) {
      this.#drawPrefix();
      this.#count = 0;
    }
    putU32(this.#nonce, PREFIX_BYTES, this.#count++);
    return this.#nonce;
  }

  #drawPrefix(): void {
    randomFillSync(this.#nonce, 0, PREFIX_BYTES);
  }
}

function checksum(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key));
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function getU32(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(at, at + 4);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
