/** What the command line tells of jobs without going on with them: from this home, or from a node that pays for its own. */
import { writeFile } from 'node:fs/promises';
import { MAX_OUTPUT_BYTES } from '../../chain/market/price.ts';
import type { ReceiptJson } from '../../chain/market/receipt-json.ts';
import { NodeError } from '../../errors.ts';
import type { JobEventResponse, JobReasonsResponse, JobResponse } from '../../sdk/job-types.ts';
import { errorCode } from '../../store/storage-error.ts';
import { formatAit } from '../amount.ts';
import type { Context } from '../context.ts';
import { fields, printable, table } from '../output.ts';
import type { FoundRun } from './runs.ts';
import { findRun, listRuns, readKept, RECEIPT_FILE, RESULT_FILE } from './runs.ts';

const NONE = 'No jobs yet. aitbc submit "What is the capital of Austria?" makes one.';

export async function listJobs(context: Context, limit: number, isNode: boolean): Promise<void> {
  const jobs = isNode
    ? await jobsOfNode(context, limit)
    : (await listRuns(context.home, limit)).map(({ record }) => record.job);
  const rows = jobs.map(({ job_id, state, stage, answered_by, model, kind, requested_at, spent_uait }) => [
    job_id.slice(0, 16),
    state === stage.toUpperCase() ? state : `${state} (${stage})`,
    printable(answered_by ?? model ?? kind),
    requested_at,
    formatAit(spent_uait),
  ]);
  context.out.data(jobs, rows.length === 0 ? NONE : table(['Job', 'State', 'Model', 'Submitted', 'Cost'], rows));
}

async function jobsOfNode(context: Context, limit: number): Promise<readonly JobResponse[]> {
  return (await context.client().jobs({ limit })).items;
}

export async function showJob(context: Context, id: string, isNode: boolean): Promise<void> {
  if (isNode) {
    const job = await context.client().job(id);
    context.out.data(job, describeJob(job));
    return;
  }
  const { record } = await findRun(context.home, id);
  const { job, settlement, chain_id, client, rpc } = record;
  const money = settlement
    ? `${settlement.state}: paid ${formatAit(settlement.paid_uait)}, returned ${formatAit(settlement.refunded_uait)}`
    : null;
  const rest = fields([
    ['chain', chain_id],
    ['payer', client],
    ['node', rpc],
    ['money', money],
  ]);
  context.out.data({ ...job, chain_id, client, rpc, settlement }, `${describeJob(job)}\n${rest}`);
  if (job.ended_at === null)
    context.out.note(`Not ended when it was last seen: aitbc job watch ${job.job_id.slice(0, 8)} goes on with it.`);
}

function describeJob(job: JobResponse): string {
  return fields([
    ['job', job.job_id],
    ['state', `${job.state} (${job.stage})`],
    ['kind', job.kind],
    ['model', job.answered_by === null ? job.model : printable(job.answered_by)],
    ['miner', job.assigned_miner_id],
    ['attempt', job.attempt],
    ['submitted', job.requested_at],
    ['ended', job.ended_at],
    ['output', `${job.output_bytes} bytes`],
    ['cost', `${formatAit(job.spent_uait)} of at most ${formatAit(job.max_price_uait)}`],
    ['agreement', job.payment_id],
    ['receipt', job.receipt_id],
    ['error', job.error === null ? null : `${printable(job.error)} [${job.error_code ?? ''}]`],
  ]);
}

export async function whyJob(context: Context, id: string, isNode: boolean): Promise<void> {
  const reasons = isNode ? await context.client().jobReasons(id) : (await findRun(context.home, id)).record.reasons;
  if (!reasons) throw new NodeError('NOT_FOUND', 'nothing is known of why');
  context.out.data(reasons, describeReasons(reasons));
}

function describeReasons({ state, stage, summary, reasons, candidates }: JobReasonsResponse): string {
  const said = reasons.map(({ code, count, message, hint }) => [
    `${count}x`,
    code,
    printable(message),
    printable(hint),
  ]);
  const ranked = candidates.map(({ miner, score, why }) => [miner, score.toFixed(3), printable(why.join('; '))]);
  return [
    `${state} (${stage}): ${printable(summary)}`,
    ...(said.length === 0 ? [] : ['', table(['Times', 'Code', 'What', 'Fix'], said)]),
    ...(ranked.length === 0 ? [] : ['', table(['Miner', 'Score', 'Why'], ranked)]),
  ].join('\n');
}

/** @param out a file that is not there yet @throws NodeError USAGE when it is */
export async function resultOfJob(
  context: Context,
  id: string,
  { isNode, out }: { readonly isNode: boolean; readonly out: string | undefined },
): Promise<void> {
  const bytes = isNode ? await resultOfNode(context, id) : await readKept(await findRun(context.home, id), RESULT_FILE);
  if (out !== undefined) await writeNew(out, bytes);
  if (out !== undefined)
    context.out.data({ job_id: id, file: out, bytes: bytes.length }, `${bytes.length} bytes in ${out}`);
  else if (context.out.json) context.out.data({ job_id: id, answer: new TextDecoder().decode(bytes) }, '');
  else process.stdout.write(process.stdout.isTTY ? `${printable(new TextDecoder().decode(bytes))}\n` : bytes);
}

async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(path, bytes, { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    const isThere = errorCode(cause) === 'EEXIST';
    throw new NodeError('USAGE', isThere ? `${path} is there already` : `${path} cannot be written`, {
      cause,
      hint: 'name another file',
    });
  }
}

async function resultOfNode(context: Context, id: string): Promise<Uint8Array> {
  const { result } = await context.client().jobResult(id);
  if (result.output !== null) return new TextEncoder().encode(result.output);
  return new Uint8Array(Buffer.from(result.output_base64 ?? '', 'base64')).subarray(0, MAX_OUTPUT_BYTES);
}

/** The document that `aitbc receipt verify` takes, with or without --json. */
export async function receiptOfJob(context: Context, id: string, isNode: boolean): Promise<void> {
  const json = isNode ? await context.client().receipt(id) : await keptReceipt(await findRun(context.home, id));
  context.out.data(json, JSON.stringify(json, null, 2));
}

export async function listReceipts(context: Context, limit: number, isNode: boolean): Promise<void> {
  const receipts = isNode ? (await context.client().receipts({ limit })).items : await receiptsOfHome(context, limit);
  const rows = receipts.map(({ receipt_id, job_id, model, units, price, completed_at }) => [
    receipt_id.slice(0, 16),
    job_id.slice(0, 16),
    printable(model),
    `${units} bytes`,
    formatAit(price),
    new Date(completed_at * 1000).toISOString(),
  ]);
  const text =
    rows.length === 0 ? 'No receipts yet.' : table(['Receipt', 'Job', 'Model', 'Output', 'Due', 'Ended'], rows);
  context.out.data(receipts, text);
}

async function receiptsOfHome({ home }: Context, limit: number): Promise<ReceiptJson[]> {
  const runs = (await listRuns(home)).filter(({ record }) => record.job.receipt_id !== null).slice(0, limit);
  return Promise.all(runs.map(keptReceipt));
}

/** Of a node's job until it has ended: what comes meanwhile is told on stderr. */
export async function logsOfJob(context: Context, id: string, isNode: boolean): Promise<void> {
  const events = isNode ? await eventsOfNode(context, id) : (await findRun(context.home, id)).record.events;
  const rows = events.map(({ at, state, stage, attempt, error }) => [
    at,
    state,
    stage,
    attempt,
    error === null ? '' : printable(error),
  ]);
  context.out.data(events, table(['When', 'State', 'Stage', 'Attempt', 'Why'], rows));
}

async function eventsOfNode(context: Context, id: string): Promise<readonly JobEventResponse[]> {
  const client = context.client();
  const isFollowed = (await client.job(id)).ended_at === null;
  const events: JobEventResponse[] = [];
  for await (const event of client.jobEvents(id)) {
    events.push(event);
    if (isFollowed)
      context.out.note(`${event.at}  ${event.stage}${event.error === null ? '' : `: ${printable(event.error)}`}`);
  }
  return events;
}

export async function cancelAtNode(context: Context, id: string): Promise<void> {
  const job = await context.client().cancelJob(id);
  context.out.data(job, describeJob(job));
}

export async function keptReceipt(run: FoundRun): Promise<ReceiptJson> {
  const text = new TextDecoder().decode(await readKept(run, RECEIPT_FILE));
  try {
    return JSON.parse(text) as ReceiptJson;
  } catch (error) {
    throw new NodeError('CORRUPT', `the receipt of job ${run.record.job.job_id} is damaged`, {
      data: { folder: run.folder },
      cause: error,
    });
  }
}
