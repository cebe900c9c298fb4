/** What load and measurements ask of a node's RPC. */
import { NodeError } from '../../src/errors.ts';

const TIMEOUT_MS = 30_000;
/** The node takes up to 1024 at once. */
const MAX_BATCH = 512;

async function call(url: string, body?: unknown): Promise<{ readonly status: number; readonly json: unknown }> {
  const response = await fetch(url, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
  return { status: response.status, json: await response.json() };
}

async function get<T>(url: string): Promise<T> {
  const { status, json } = await call(url);
  if (status !== 200) throw new NodeError('UNREACHABLE', `${url} answered ${status}`);
  return json as T;
}

/** 0 before the first block. */
export async function headHeight(node: string): Promise<number> {
  const { status, json } = await call(`${node}/rpc/head`);
  return status === 200 ? (json as { height: number }).height : 0;
}

export async function accountNonce(node: string, address: string): Promise<number> {
  return (await get<{ nonce: number }>(`${node}/rpc/accounts/${address}`)).nonce;
}

export interface CommitAnswer {
  readonly final: boolean;
  readonly height: number | null;
  /** Why it was refused or failed; null when it is final, or not yet decided. */
  readonly code: string | null;
}

/** Sends one transfer and waits for the answer of mode=commit. @param chainId the default chain when absent */
export async function submitCommit(node: string, hex: string, chainId?: string): Promise<CommitAnswer> {
  const of = chainId === undefined ? '' : `&chain_id=${chainId}`;
  const { json } = await call(`${node}/rpc/transactions?mode=commit${of}`, { tx: hex });
  const { status, height, code } = json as { status?: unknown; height?: number | null; code?: string | null };
  const final = status === 'final';
  return { final, height: height ?? null, code: final ? null : (code ?? null) };
}

/** Whether this node calls the transaction final. */
export async function isFinal(node: string, id: string): Promise<boolean> {
  const { status, json } = await call(`${node}/rpc/transactions/${id}`);
  return status === 200 && (json as { status: string }).status === 'final';
}

/** Sends many at once without waiting for finality. @returns for each null, or the code it was refused with */
export async function submitBatch(node: string, txs: readonly string[]): Promise<(string | null)[]> {
  if (txs.length > MAX_BATCH) {
    const parts = [txs.slice(0, MAX_BATCH), txs.slice(MAX_BATCH)].map((part) => submitBatch(node, part));
    return (await Promise.all(parts)).flat();
  }
  const { status, json } = await call(`${node}/rpc/transactions?mode=async`, { txs });
  if (status >= 400) return txs.map(() => (json as { code?: string }).code ?? String(status));
  const { results } = json as { results: readonly { readonly status: string; readonly code?: string | null }[] };
  return results.map(({ status: outcome, code }) => (outcome === 'rejected' ? (code ?? 'unknown') : null));
}

/** Ids of a block's transactions, and the round it was decided in. */
export async function blockSummary(
  node: string,
  height: number,
): Promise<{ readonly txIds: readonly string[]; readonly round: number }> {
  const { transactions, round } = await get<{ transactions: readonly { hash: string }[]; round: number }>(
    `${node}/rpc/blocks/${height}?transactions=hashes`,
  );
  return { txIds: transactions.map(({ hash }) => hash), round };
}
