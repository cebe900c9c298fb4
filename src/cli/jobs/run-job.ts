/** `aitbc submit` and `aitbc job run|watch|cancel`: a job of one's own, from request to settlement. */
import { toHex } from '../../bytes.ts';
import { formatAddress } from '../../chain/address.ts';
import type { Hash } from '../../bytes.ts';
import { inputBytesOf } from '../../compute/blobs/split.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import { isEnded, plainState } from '../../compute/coordinator/coordinator.ts';
import { checkOffered } from '../../compute/coordinator/offered.ts';
import { NodeError } from '../../errors.ts';
import type { Rows } from '../../compute/coordinator/ports.ts';
import { jobView } from '../../rpc/jobs/views.ts';
import type { InlineRequest, Market } from '../../sdk/market.ts';
import { formatAit } from '../amount.ts';
import type { Context } from '../context.ts';
import type { KeyOptions } from '../signer.ts';
import type { Followed } from './follow.ts';
import { endedUnsent, recordingRows } from './first-record.ts';
import { followJob } from './follow.ts';
import { pruneRuns } from './prune-runs.ts';
import type { FoundRun, Run } from './runs.ts';
import { createRun, openRun } from './runs.ts';
import type { Payer } from './session.ts';
import { findPayer } from './session.ts';

/** @throws NodeError JOB_FAILED | BAD_RECEIPT | what keeps a job from being submitted */
export async function runJob(given: Context, request: InlineRequest, options: KeyOptions): Promise<void> {
  const payer = await findPayer(given, options);
  await payer.requireFunds();
  const run = await createRun(payer.context.home, payer.chain, Date.now());
  let isSubmitted = false;
  try {
    const rows = recordingRows(run.rows, (view) => recordFirst(payer, run, view));
    await withMarket(payer, run, rows, async (market) => {
      const inputBytes = inputBytesOf(request.params, request.parts);
      checkOffered(market.offers(), { ...request, inputBytes });
      const { id } = await market.submit(request);
      isSubmitted = true;
      payer.context.out.note(`Job ${toHex(id)}`);
      await finish(payer, run, market, id);
      await pruneRuns(payer.context.home, payer.chain, { nowMs: Date.now(), reads: market.reads });
    });
  } catch (error) {
    if (!isSubmitted) await run.remove();
    throw error;
  }
}

/** Goes on with a job whose run was ended. @throws NodeError as `runJob`, CONFLICT while another process follows it */
export async function resumeJob(given: Context, found: FoundRun, options: KeyOptions, cancels: boolean): Promise<void> {
  const payer = await findPayer(given, options);
  requireSame(payer, found);
  const run = await openRun(found.folder);
  await withMarket(payer, run, run.rows, async (market) => {
    const id = await jobOf(market, found, run);
    if (cancels) void market.jobs.cancel(id).catch(() => undefined);
    await finish(payer, run, market, id);
  });
}

function recordFirst({ context, chain, address: client }: Payer, run: Run, view: JobView): Promise<void> {
  const { url: rpc } = context.client();
  const { chainId: chain_id, genesisHash } = chain;
  return run.record({
    ...{ chain_id, genesis_hash: toHex(genesisHash), client, rpc },
    ...{ job: jobView(view), events: [], reasons: null, settlement: null },
  });
}

async function withMarket(payer: Payer, run: Run, rows: Rows, use: (market: Market) => Promise<void>): Promise<void> {
  try {
    const market = await payer.open(rows, run.shelf);
    try {
      await use(market);
    } finally {
      await market.close();
    }
  } finally {
    await run.close();
  }
}

/** @throws NodeError NOT_FOUND for one whose run was killed before it was kept: it is recorded as canceled */
async function jobOf({ jobs }: Market, { record }: FoundRun, run: Run): Promise<Hash> {
  const found = jobs.jobs({ limit: 16, before: null, owner: null }).find(({ id }) => toHex(id) === record.job.job_id);
  if (found) return found.id;
  const ended = endedUnsent(record, Date.now());
  if (ended !== record) await run.record(ended);
  throw new NodeError('NOT_FOUND', `nothing is left to go on with of job ${record.job.job_id}`, {
    data: { job: record.job.job_id },
    hint: ended.job.error ?? 'it has ended',
  });
}

function requireSame({ chain, address }: Payer, { record }: FoundRun): void {
  if (toHex(chain.genesisHash) !== record.genesis_hash) {
    throw new NodeError(
      'WRONG_GENESIS',
      `the job is of ${record.chain_id} with another genesis than that of the node`,
      {
        hint: `it went through ${record.rpc}: give --rpc`,
      },
    );
  }
  if (address !== record.client) {
    throw new NodeError('USAGE', `the job is paid by ${record.client}, not by ${address}`, {
      hint: 'name its wallet with --from, or its file with --key-file',
    });
  }
}

async function finish(payer: Payer, run: Run, market: Market, job: Hash): Promise<void> {
  const { context, chain, address } = payer;
  const signals = cancelOnInterrupt(context, market, job);
  try {
    const { url: rpc } = context.client();
    const followed = await followJob(
      { market, run, job, chain, client: address, rpc, out: context.out, settleMs: context.timeoutMs },
      signals.waiting,
    );
    report(context, followed, signals.isCanceled());
  } finally {
    signals.end();
  }
}

/** The first Ctrl-C cancels the job, the second ends the program: the job can be gone on with. */
function cancelOnInterrupt(context: Context, { jobs }: Market, job: Hash) {
  const waiting = new AbortController();
  let count = 0;
  const interrupt = (): void => {
    count++;
    const view = jobs.job(job);
    if (count > 1) process.exit(130);
    if (!view || isEnded(view.state)) {
      waiting.abort();
      return;
    }
    context.out.note('Canceling: the miner is told to stop. Ctrl-C again leaves the job as it is.');
    void jobs.cancel(job).catch(() => undefined);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  return {
    waiting: waiting.signal,
    isCanceled: () => count > 0,
    end: () => void process.off('SIGINT', interrupt).off('SIGTERM', interrupt),
  };
}

/** The document of --json, and the exit code. @throws NodeError JOB_FAILED | BAD_RECEIPT */
function report({ out }: Context, followed: Followed, isInterrupted: boolean): void {
  const { view, answer, settlement, receipt } = followed;
  const id = toHex(view.id);
  if (out.json) {
    out.data(
      {
        job_id: id,
        state: plainState(view.state),
        answer: new TextDecoder().decode(answer),
        model: view.answeredBy,
        miner: view.miner && formatAddress(view.miner),
        paid_uait: settlement?.paid_uait ?? '0',
        refunded_uait: settlement?.refunded_uait ?? '0',
        receipt_id: receipt?.id ?? null,
        receipt_valid: receipt !== null && receipt.problem === null,
        settled_height: settlement?.settled_height ?? null,
      },
      '',
    );
  }
  if (isInterrupted && view.state === 'canceled') {
    out.note(`Canceled. Paid ${formatAit(settlement?.paid_uait ?? 0)}.`);
    process.exitCode = 130;
    return;
  }
  if (view.state !== 'completed') throw failure(followed, id);
  if (!receipt) throw new NodeError('BAD_RECEIPT', 'the job is completed without a receipt', { data: { job: id } });
  if (receipt.problem !== null)
    throw new NodeError('BAD_RECEIPT', receipt.problem, { data: { job: id, receipt: receipt.id } });
}

function failure({ view, summary }: Followed, id: string): NodeError {
  const why = view.fault ? `${view.fault.message} (${view.fault.code})` : (summary ?? `it is ${view.state}`);
  const code = view.state === 'canceled' ? 'CANCELED' : 'JOB_FAILED';
  return new NodeError(code, `job ${id.slice(0, 8)} was not done: ${why}`, {
    data: { job: id, state: view.state, reason: view.fault?.code ?? null },
    hint: isEnded(view.state) ? `aitbc job why ${id.slice(0, 8)}` : `aitbc job watch ${id.slice(0, 8)} goes on with it`,
  });
}
