/** A job on its way, as a person sees it: the answer on stdout as it comes, all else on stderr, until the money is settled. */
import type { Hash } from '../../bytes.ts';
import { concatBytes, toHex } from '../../bytes.ts';
import { formatAddress } from '../../chain/address.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import { receiptToJson } from '../../chain/market/receipt-json.ts';
import { workToJson } from '../../chain/market/work-json.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Coordinator, JobEvent, JobView } from '../../compute/coordinator/coordinator.ts';
import { isEnded } from '../../compute/coordinator/coordinator.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { jobView } from '../../rpc/jobs/views.ts';
import type { Market } from '../../sdk/market.ts';
import type { MarketReads } from '../../sdk/market-reads.ts';
import { soleAnchor, verifyOutput, verifyReceiptDocument } from '../../sdk/receipt.ts';
import { formatAit } from '../amount.ts';
import type { Output } from '../output.ts';
import { printable } from '../output.ts';
import type { EventJson, SettlementJson } from './job-record.ts';
import { eventJson, reasonsJson, settlementJson } from './job-record.ts';
import type { Run } from './runs.ts';
import { jsonBytes, RECEIPT_FILE, RESULT_FILE, WORK_FILE } from './runs.ts';

/** Of a miner that has been acknowledged, its release comes with the next block. */
const FIRST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1000;

export interface FollowOptions {
  readonly market: Omit<Market, 'submit'>;
  readonly run: Run;
  readonly job: Hash;
  readonly chain: ChainContext;
  readonly client: string;
  readonly rpc: string;
  readonly out: Output;
  /** How long the settlement is waited for. */
  readonly settleMs: number;
}

export interface Followed {
  readonly view: JobView;
  readonly answer: Uint8Array;
  readonly settlement: SettlementJson | null;
  /** null: there is no receipt. `problem`: what does not hold of it. */
  readonly receipt: { readonly id: string; readonly problem: string | null } | null;
  /** What a failed job waited for, or ended with. */
  readonly summary: string | null;
}

/** Resolves once the job has ended and its agreement is closed, or was waited for. @param signal ends the wait for the money */
export async function followJob(options: FollowOptions, signal: AbortSignal): Promise<Followed> {
  const { market, run, job, out } = options;
  const { jobs } = market;
  const answering = readAnswer(jobs, job, out);
  // Its coordinator forgets it when the job has ended.
  const content = jobs.work(job)?.content ?? null;
  const events: EventJson[] = [];
  const watching = new AbortController();
  const tell = createEventTeller(jobs, job, out);
  for await (const event of jobs.events(job, 1, watching.signal)) {
    events.push(eventJson(event));
    tell(event);
    await record(options, events, null);
  }
  const answer = await answering;
  const view = current(jobs, job);
  // The coordinator was closed under it.
  if (!isEnded(view.state)) return { view, answer, settlement: null, receipt: null, summary: null };
  await run.keep(RESULT_FILE, answer);
  const agreement = await settled(market.reads, view, options.settleMs, signal);
  const settlement = agreement && settlementJson(agreement);
  await record(options, events, settlement);
  if (agreement) out.note(settlementLine(agreement));
  const receipt = await checkReceipt(options, answer, agreement);
  if (content) await keepWork(options, content);
  return { view, answer, settlement, receipt, summary: jobs.why(job)?.summary ?? null };
}

function current(jobs: Coordinator, id: Hash): JobView {
  const view = jobs.job(id);
  if (view) return view;
  throw new NodeError('INTERNAL', `the job ${toHex(id)} is gone from its own coordinator`);
}

async function record(
  { market, run, job, chain, client, rpc }: FollowOptions,
  events: readonly EventJson[],
  settlement: SettlementJson | null,
): Promise<void> {
  const view = current(market.jobs, job);
  const reasons = reasonsJson(view, market.jobs.why(job));
  const { chainId: chain_id, genesisHash } = chain;
  await run.record({
    ...{ chain_id, genesis_hash: toHex(genesisHash), client, rpc },
    ...{ job: jobView(view), events, reasons, settlement },
  });
}

/** The whole answer, once the job has ended; told as it comes. */
async function readAnswer(jobs: Coordinator, job: Hash, out: Output): Promise<Uint8Array> {
  const teller = createTeller(out);
  for (;;) {
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of jobs.output(job, 0, new AbortController().signal)) {
        pieces.push(piece);
        teller.tell(piece);
      }
      teller.end();
      return concatBytes(pieces);
    } catch (error) {
      // At most as often as there are attempts.
      if (isNodeError(error) && error.code === 'LEASE_LOST') {
        teller.end();
        out.note('The miner was lost, and another one answers otherwise: the answer begins anew.');
        continue;
      }
      // Why a job failed is told by its events.
      teller.end();
      return concatBytes(pieces);
    }
  }
}

/** On a terminal, text of others may not move the cursor; elsewhere bytes are what they are. */
function createTeller({ json }: Output): { tell(piece: Uint8Array): void; end(): void } {
  const decoder = new TextDecoder();
  const isTerminal = process.stdout.isTTY;
  let last = 10;
  return {
    tell: (piece) => {
      if (json) return;
      process.stdout.write(isTerminal ? printable(decoder.decode(piece, { stream: true })) : piece);
      last = piece.at(-1) ?? last;
    },
    end: () => {
      if (!json && last !== 10) process.stdout.write('\n');
      last = 10;
    },
  };
}

/** null: there is none, or it could not be read. */
async function settled(
  reads: MarketReads,
  { agreement: id, state }: JobView,
  withinMs: number,
  signal: AbortSignal,
): Promise<Agreement | null> {
  if (!id) return null;
  // The agreement of a job that failed is closed by its expiry at last: that is not waited for.
  const deadline = performance.now() + (state === 'failed' || state === 'expired' ? 0 : withinMs);
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(LONGEST_LOOK_MS, pauseMs * 1.5)) {
    const agreement = await reads.agreement(id).catch(() => null);
    if (agreement?.state.name === 'closed' || performance.now() > deadline || signal.aborted) return agreement;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function checkReceipt(
  { market, run, job, chain, out }: FollowOptions,
  answer: Uint8Array,
  agreement: Agreement | null,
): Promise<Followed['receipt']> {
  const found = market.jobs.receipt(job);
  if (!found) return null;
  const { receipt: signed, acknowledgement, id } = found;
  const anchored = agreement && soleAnchor(nativeCrypto, id, agreement);
  const anchor = anchored ? { root: anchored.agreement.receiptsRoot, place: anchored.place, settlement: null } : null;
  const document = { chain, signed, acknowledgement, id, anchor };
  await run.keep(RECEIPT_FILE, jsonBytes(receiptToJson(nativeCrypto, document)));
  try {
    verifyReceiptDocument(nativeCrypto, document, agreement);
    verifyOutput({ crypto: nativeCrypto }, signed.receipt, answer);
    out.note(`✓ Receipt valid: signed by miner and client${anchor ? ', and its root is on the chain' : ''}.`);
    return { id: toHex(id), problem: null };
  } catch (error) {
    if (!isNodeError(error)) throw error;
    out.note(`✗ ${error.message}`);
    return { id: toHex(id), problem: error.message };
  }
}

/** For `aitbc job verify`. */
async function keepWork({ market: { jobs }, run, job, chain }: FollowOptions, content: Uint8Array): Promise<void> {
  const [work, found] = [jobs.work(job), jobs.receipt(job)];
  if (!work || !found) return;
  const { receipt: signed, acknowledgement, id } = found;
  const receipt = { chain, signed, acknowledgement, id, anchor: null };
  const document = { receipt, job: work.job, content, replayedHash: null };
  await run.keep(WORK_FILE, jsonBytes(workToJson(nativeCrypto, document)));
}

/** What comes again and again, such as what a job waits for, is told once, with what to do. */
function createEventTeller(jobs: Coordinator, job: Hash, out: Output): (event: JobEvent) => void {
  let last = '';
  return (event) => {
    const { state, attempt, reason } = event;
    const told = `${state} ${attempt} ${reason?.code ?? ''}`;
    const view = jobs.job(job);
    if (told === last || !view) return;
    last = told;
    out.note(eventLine(event, view));
    const hint = jobs.why(job)?.reasons.find(({ code }) => code === reason?.code)?.hint ?? '';
    if (!isEnded(state) && hint !== '') out.note(`                ${printable(hint)}`);
  };
}

function eventLine({ atMs, state, attempt, reason }: JobEvent, view: JobView): string {
  const detail: Partial<Record<JobEvent['state'], string>> = {
    ...(view.miner && { leased: `miner ${formatAddress(view.miner)}` }),
    ...(view.agreement && { funded: `agreement ${toHex(view.agreement).slice(0, 16)}…` }),
    ...(view.answeredBy !== null && { running: printable(view.answeredBy) }),
    completed: `${view.outputBytes} bytes`,
  };
  const why = reason ? `${reason.code}: ${printable(reason.message)}` : (detail[state] ?? '');
  const clock = new Date(atMs).toISOString().slice(11, 23);
  return `  ${clock}  ${state.padEnd(10)} ${attempt > 1 ? `attempt ${attempt} ` : ''}${why}`.trimEnd();
}

function settlementLine({ state, paidUait, capUait }: Agreement): string {
  const paid = `paid ${formatAit(paidUait)}`;
  if (state.name !== 'closed') {
    return `  not settled yet: ${paid} so far, ${formatAit(capUait - paidUait)} held until the miner settles or it expires`;
  }
  return `  settled      in block ${state.atHeight} · ${paid} · returned ${formatAit(state.refundedUait)}`;
}
