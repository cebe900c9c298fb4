/**
 * Who may change what the node does: whoever can read the token in its data folder. The address of a request proves
 * nothing, because a reverse proxy on this machine sends all of them from loopback.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { NodeError } from '../errors.ts';

export interface OperatorGate {
  /** @param authorization the header of that name @returns why the request is refused, or null */
  refusal(authorization: string | undefined): NodeError | null;
}

/** @param token at least 32 characters; null refuses everyone */
export function createOperatorGate(token: string | null): OperatorGate {
  const expected = token === null ? null : digest(token);
  return {
    refusal: (authorization) => {
      const given = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(authorization ?? '')?.[1];
      if (expected && given !== undefined && timingSafeEqual(digest(given), expected)) return null;
      const message = given === undefined ? 'this is for the operator of the node' : 'the operator token is not this';
      return new NodeError('UNAUTHENTICATED', message, {
        hint: 'send "Authorization: Bearer TOKEN" with the content of identity/operator_token in the data folder',
      });
    },
  };
}

/** Digests have one length, and tell nothing by the time of their comparison. */
function digest(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
