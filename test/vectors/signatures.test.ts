import assert from 'node:assert/strict';
import { fromHex } from '../../src/bytes.ts';
import { pureCrypto, pureVerifier } from '../../src/chain/crypto/pure.ts';
import type { SignatureCheck } from '../../src/chain/crypto/types.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { nativeVerifier } from '../../src/native/verifier.ts';
import { createVerifyPool } from '../../src/native/verify-pool.ts';
import { readVectors } from './read.ts';

interface SignatureVector {
  readonly name: string;
  readonly message: string;
  readonly signature: string;
  readonly publicKey: string;
  readonly valid: boolean;
}

const vectors = readVectors<SignatureVector[]>('signatures');

const checks: SignatureCheck[] = vectors.map(({ message, signature, publicKey }) => ({
  message: fromHex(message),
  signature: fromHex(signature),
  publicKey: fromHex(publicKey),
}));

/** Names of the vectors that were answered wrongly. */
function wrong(answers: readonly boolean[]): string[] {
  return vectors.filter(({ valid }, i) => answers[i] !== valid).map(({ name }) => name);
}

describe('signature vectors', () => {
  it('have distinct names, and both answers', () => {
    assert.equal(new Set(vectors.map(({ name }) => name)).size, vectors.length);
    assert.ok(vectors.filter(({ valid }) => valid).length >= 15);
    assert.ok(vectors.filter(({ valid }) => !valid).length >= 100);
  });

  for (const [name, verifier] of Object.entries({ pureVerifier, pureCrypto, nativeVerifier, nativeCrypto })) {
    it(`hold for ${name}`, () => {
      const answers = checks.map((check) => verifier.verify(check.message, check.signature, check.publicKey));
      assert.deepEqual(wrong(answers), []);
    });
  }

  it('hold for the worker pool, in workers and in line', async () => {
    for (const options of [{ inlineUrgentChecks: 0 }, { inlineUrgentChecks: checks.length }]) {
      const pool = createVerifyPool(options);
      try {
        assert.deepEqual(wrong(await pool.verifyBatch(checks, { urgent: true })), []);
      } finally {
        await pool.close();
      }
    }
  });

  it('hold for bytes that are views into larger buffers', () => {
    const shifted = (bytes: Uint8Array): Uint8Array => {
      const buffer = new Uint8Array(bytes.length + 13);
      buffer.set(bytes, 5);
      return buffer.subarray(5, 5 + bytes.length);
    };
    for (const verifier of [pureVerifier, nativeVerifier]) {
      const answers = checks.map((check) =>
        verifier.verify(shifted(check.message), shifted(check.signature), shifted(check.publicKey)),
      );
      assert.deepEqual(wrong(answers), []);
    }
  });
});
