/**
 * How a job travels to a verification thread: one buffer that is moved, not cloned. u32 count, then for each check a u32
 * length of its message, public key 32, signature 64 and the message. The answer is one byte a check, 1 for valid.
 * A check whose key or signature has a wrong length travels as the length `MALFORMED` alone and is invalid.
 */
import type { SignatureCheck, Verifier } from '../chain/crypto/types.ts';

const MALFORMED = 0xffff_ffff;

function wellFormed(check: SignatureCheck): boolean {
  return check.publicKey.length === 32 && check.signature.length === 64;
}

export function checkBytes(check: SignatureCheck): number {
  return wellFormed(check) ? 100 + check.message.length : 4;
}

export function packChecks(checks: readonly SignatureCheck[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(checks.reduce((size, check) => size + checkBytes(check), 4));
  const view = new DataView(packed.buffer);
  view.setUint32(0, checks.length);
  let at = 4;
  for (const check of checks) {
    view.setUint32(at, wellFormed(check) ? check.message.length : MALFORMED);
    if (wellFormed(check)) {
      packed.set(check.publicKey, at + 4);
      packed.set(check.signature, at + 36);
      packed.set(check.message, at + 100);
    }
    at += checkBytes(check);
  }
  return packed;
}

export function verifyPacked(verifier: Verifier, packed: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const answers = new Uint8Array(view.getUint32(0));
  let at = 4;
  for (let i = 0; i < answers.length; i++) {
    const length = view.getUint32(at);
    at += 4;
    if (length === MALFORMED) continue;
    const message = packed.subarray(at + 96, at + 96 + length);
    const valid = verifier.verify(message, packed.subarray(at + 32, at + 96), packed.subarray(at, at + 32));
    answers[i] = valid ? 1 : 0;
    at += 96 + length;
  }
  return answers;
}
