/** What a node that is not trusted may cause: an answer that does not verify, or none. */
import type { ErrorCode } from '../errors.ts';
import { NodeError, toNodeError } from '../errors.ts';

/** Refusals that a node may answer with; anything else it says went wrong is its own affair. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  'UNREACHABLE',
  'TIMEOUT',
  'NOT_FOUND',
  'METHOD_NOT_FOUND',
  'UNKNOWN_CHAIN',
  'CHAIN_STOPPED',
  'SYNCING',
  'RATE_LIMITED',
  'TOO_LARGE',
]);

const LIES: ReadonlySet<ErrorCode> = new Set(['BAD_PROOF', 'BAD_CERTIFICATE', 'UPGRADE_NEEDED']);

/** Something was told that does not verify. */
export function isLie({ code }: NodeError): boolean {
  return LIES.has(code);
}

/**
 * A node's answer; its errors count as silence, so that it cannot pass off its words as findings of this client.
 *
 * @throws NodeError one of REFUSALS
 */
export async function fromSource<T>({ url }: { readonly url: string }, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (thrown) {
    const error = toNodeError(thrown);
    if (REFUSALS.has(error.code)) throw error;
    throw new NodeError('UNREACHABLE', `${url} answers with an error: ${error.message}`, {
      data: { url },
      cause: error,
    });
  }
}

/** The same fault with the name of the node. */
export function named({ url }: { readonly url: string }, error: NodeError): NodeError {
  if (!isLie(error) || error.data['url'] === url) return error;
  return new NodeError(error.code, `${url} gave an answer that does not verify: ${error.message}`, {
    data: { ...error.data, url },
    hint: error.hint ?? 'do not rely on this answer; ask another node',
    cause: error,
  });
}
