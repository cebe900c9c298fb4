/** The JSON of jobs. */
import { toHex } from '../../bytes.ts';
import { formatAddress } from '../../chain/address.ts';
import type { ReceiptJson, ReceiptPlace } from '../../chain/market/receipt-json.ts';
import { receiptToJson } from '../../chain/market/receipt-json.ts';
import type { WorkJson } from '../../chain/market/work-json.ts';
import { workToJson } from '../../chain/market/work-json.ts';
import type { JobEvent, JobReasons, JobReceipt, JobView } from '../../compute/coordinator/coordinator.ts';
import type { WrongResult } from '../../compute/coordinator/replay.ts';
import { isEnded, plainState } from '../../compute/coordinator/coordinator.ts';
import type { ChainApi } from '../api.ts';

export function jobView(job: JobView) {
  return {
    job_id: toHex(job.id),
    state: plainState(job.state),
    stage: job.state,
    kind: job.kind,
    model: job.model === '' ? null : job.model,
    answered_by: job.answeredBy,
    assigned_miner_id: job.miner && formatAddress(job.miner),
    attempt: job.attempt,
    requested_at: timeText(job.createdAtMs),
    expires_at: timeText(job.expiresAtMs),
    ended_at: job.endedAtMs === null ? null : timeText(job.endedAtMs),
    error: job.fault?.message ?? null,
    error_code: job.fault?.code ?? null,
    payment_id: job.agreement && toHex(job.agreement),
    payment_status: paymentStatus(job),
    max_price_uait: String(job.maxPriceUait),
    spent_uait: String(job.spentUait),
    fees_uait: String(job.feesUait),
    output_bytes: job.outputBytes,
    input_tokens: job.inputTokens,
    output_tokens: job.outputTokens,
    finish: job.finish,
    receipt_id: job.receiptId && toHex(job.receiptId),
  };
}

/** In the words of the replaced system, which had one escrow a job. */
function paymentStatus({ state, agreement, spentUait }: JobView) {
  if (!isEnded(state)) return agreement ? 'escrowed' : 'pending';
  if (spentUait > 0) return 'released';
  return agreement ? 'refunded' : 'skipped';
}

/** As text when it is text. */
export function resultView(job: JobView, output: Uint8Array, receipt: ReceiptJson | null) {
  const asText = textOf(output);
  return {
    result: {
      status: 'completed',
      output: asText,
      output_base64: asText === null ? Buffer.from(output).toString('base64') : null,
      model: job.answeredBy,
      tokens_processed: job.outputTokens,
      finish: job.finish,
    },
    receipt,
  };
}

export function reasonsView({ id }: JobView, { state, summary, reasons, candidates }: JobReasons) {
  return {
    job_id: toHex(id),
    state: plainState(state),
    stage: state,
    summary,
    reasons: [...reasons],
    candidates: candidates.map(({ miner, score, why }) => ({ miner: formatAddress(miner), score, why: [...why] })),
  };
}

export function receiptView(
  { crypto, genesis }: ChainApi,
  { receipt, acknowledgement }: JobReceipt,
  anchor: ReceiptPlace | null = null,
): ReceiptJson {
  return receiptToJson(crypto, { chain: genesis.chain, signed: receipt, acknowledgement, anchor });
}

export function proofView(
  { crypto, genesis }: ChainApi,
  { job, content, receipt: signed, outputHash: replayedHash }: WrongResult,
  { id, acknowledgement }: JobReceipt,
): WorkJson {
  const receipt = { chain: genesis.chain, signed, acknowledgement, id, anchor: null };
  return workToJson(crypto, { receipt, job, content, replayedHash });
}

export function jobEventText({ sequence, atMs, state, attempt, reason }: JobEvent): string {
  const data = {
    sequence,
    at: timeText(atMs),
    state: plainState(state),
    stage: state,
    attempt,
    error: reason?.message ?? null,
    error_code: reason?.code ?? null,
  };
  return `event: state\nid: ${sequence}\ndata: ${JSON.stringify(data)}\n\n`;
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
