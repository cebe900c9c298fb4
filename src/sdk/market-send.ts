/** A transaction on its way until it is final, over restarts of the node and whatever else passes. */
import type { Hash } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import type { ErrorCode } from '../errors.ts';
import { isErrorCode, isNodeError, NodeError } from '../errors.ts';
import type { Client } from './client.ts';
import type { MarketReads } from './market-reads.ts';
import type { TransactionResponse } from './types.ts';
import { pause } from './pause.ts';

/** With blocks some 100 ms after a transaction, the first look comes before. */
const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 1000;

/** Passes while the transaction is valid; a node that has it already says ALREADY_KNOWN. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  ...(['UNREACHABLE', 'TIMEOUT', 'CHAIN_STOPPED', 'SYNCING', 'NO_QUORUM', 'RATE_LIMITED', 'POOL_FULL'] as const),
  ...(['NONCE_GAP', 'ALREADY_KNOWN'] as const),
]);

export interface SendPorts {
  readonly client: Pick<Client, 'sendTransaction' | 'transaction'>;
  readonly reads: Pick<MarketReads, 'done'>;
}

/**
 * @param onTaken the node has it, or will never
 * @throws NodeError why it is not final and will not be; the signal's reason
 */
export async function sendUntilFinal(
  { client, reads }: SendPorts,
  transaction: { readonly id: Hash; readonly bytes: Uint8Array },
  signal: AbortSignal,
  onTaken: () => void,
): Promise<{ readonly height: number }> {
  const hash = toHex(transaction.id);
  let sent = false;
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(pauseMs * 1.3, LONGEST_POLL_MS)) {
    signal.throwIfAborted();
    if (!sent) sent = await offer(client, transaction.bytes, hash);
    if (sent) onTaken();
    await pause(pauseMs, signal);
    const status = await passing(client.transaction(hash));
    if (status?.status === 'rejected') throw rejection(status);
    if (status?.status === 'final') {
      if (status.code !== 0) throw failure(status);
      const height = await passing(reads.done(transaction.id));
      if (height !== null) return { height };
    }
    // Forgotten, by a node that was killed or whose pool was full.
    if (status?.status === 'unknown') sent = false;
  }
}

/** @returns whether the node has it @throws NodeError when it will never take it */
async function offer(client: SendPorts['client'], bytes: Uint8Array, hash: string): Promise<boolean> {
  try {
    await client.sendTransaction(bytes, 'sync');
    return true;
  } catch (error) {
    if (!isNodeError(error)) throw error;
    if (error.code === 'ALREADY_KNOWN') return true;
    if (PASSING.has(error.code)) return false;
    // Its nonce is used, for one: maybe by itself.
    const status = await passing(client.transaction(hash));
    if (status?.status === 'final' || status?.status === 'pending') return true;
    throw error;
  }
}

async function passing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (isNodeError(error) && PASSING.has(error.code)) return null;
    throw error;
  }
}

function rejection({ hash, code, reason }: TransactionResponse): NodeError {
  const known = typeof code === 'string' && isErrorCode(code) ? code : 'TX_REJECTED';
  return new NodeError(known, `the transaction was rejected: ${reason ?? 'unknown reason'}`, { data: { hash } });
}

function failure({ hash, code, code_name, height }: TransactionResponse): NodeError {
  const known = code_name === 'INSUFFICIENT_FUNDS' ? code_name : 'TX_REJECTED';
  const name = code_name ?? String(code);
  return new NodeError(known, `the transaction failed with ${name}: only its fee was taken`, {
    data: { hash, height, reason: name },
  });
}
