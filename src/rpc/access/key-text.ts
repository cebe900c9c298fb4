/** The text of a key: `aitbc_<id>_<secret>`. The id is no secret: by it the key is found, shown, and revoked. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** `k`: given by the operator. `s`: of a login. */
export type KeyKind = 'k' | 's';

export interface KeyText {
  readonly id: string;
  /** Shown once, and kept nowhere. */
  readonly text: string;
  /** In hex. */
  readonly hash: string;
}

/** What claims to be a key of a node; other credentials, of a proxy before it say, have another form. */
export const KEY_PREFIX = 'aitbc_';
const FORM = /^aitbc_([ks][0-9a-f]{12})_[0-9a-f]{64}$/;

/** An id of 48 random bits, a secret of 256. */
export function newKey(kind: KeyKind): KeyText {
  const id = kind + randomBytes(6).toString('hex');
  const text = `${KEY_PREFIX}${id}_${randomBytes(32).toString('hex')}`;
  return { id, text, hash: digest(text).toString('hex') };
}

/** @returns null for what has not the form of a key */
export function keyIdOf(text: string): string | null {
  return FORM.exec(text)?.[1] ?? null;
}

/** In a time that does not depend on how much of it is right. */
export function isKeyOf(text: string, hash: string): boolean {
  return timingSafeEqual(digest(text), Buffer.from(hash, 'hex'));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
