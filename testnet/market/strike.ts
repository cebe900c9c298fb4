/** One job with one fault: somebody killed at a write, or two cut from each other for a while. */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../wait.ts';
import type { MarketBed, MarketJob } from './bed.ts';
import { MINER } from './bed.ts';
import { CommandJob } from './command-job.ts';
import type { KillOrder, Victim } from './kill-order.ts';
import type { JobOutcome } from './outcome.ts';
import type { Cut, KillPoint, Script, Writer } from './plan.ts';

const STRIKE_MS = 60_000;
const CUT_MS = 5000;
const POLL_MS = 10;
/** From the answer of a job to the last write that it causes. */
const LAST_WRITES_MS = 800;

export interface CaseResult {
  readonly script: Script;
  /** Null: it did not end. */
  readonly outcome: JobOutcome | null;
  /** The write came, and whom the order named was killed. */
  readonly killed: boolean;
  /** Blocks from the submission to the end. */
  readonly fromHeight: number;
  readonly toHeight: number;
  readonly tookMs: number;
  /** Of the miner's work, as it counts: what its next quotes ask credit for. */
  readonly bytesPerSecond: number;
  readonly faults: readonly string[];
}

/** A job without a fault. @returns also how often each side wrote */
export async function dryRun(
  bed: MarketBed,
  script: Script,
): Promise<{ readonly result: CaseResult; readonly writes: Record<Writer, number> }> {
  const names = { client: writerName(script, 'client'), miner: MINER };
  let writes = { client: 0, miner: 0 };
  const result = await oneCase(bed, script, async (submit) => {
    for (const name of Object.values(names)) bed.orders.count(name);
    const job = submit();
    await job.finish().catch(() => undefined);
    // What follows the answer is a write as any other: the settlement, and what is forgotten after it.
    await sleep(LAST_WRITES_MS);
    writes = { client: bed.orders.counted(names.client), miner: bed.orders.counted(names.miner) };
    for (const name of Object.values(names)) bed.orders.withdraw(name);
    return { job, killed: false };
  });
  return { result, writes };
}

export async function strike(bed: MarketBed, point: KillPoint): Promise<CaseResult> {
  const { script, writer, call, when, victim } = point;
  const name = writerName(script, writer);
  const member = memberOf(point);
  return oneCase(bed, script, async (submit) => {
    const isLate = script === 'command' && victim === 'client' && writer === 'miner';
    const order = (client: MarketJob | null): Omit<KillOrder, 'id'> => ({
      ...{ call, when },
      victims: [victimOf(bed, point, client)],
    });
    if (!isLate) bed.orders.give(name, order(null));
    const job = submit();
    if (isLate) bed.orders.give(name, order(job));
    await waitUntil(() => bed.orders.struck(name) !== null || job.isOver, STRIKE_MS, POLL_MS);
    // The last writes come after the answer.
    if (bed.orders.struck(name) === null)
      await waitUntil(() => bed.orders.struck(name) !== null, LAST_WRITES_MS, POLL_MS);
    const struck = bed.orders.struck(name);
    bed.orders.withdraw(name);
    if (struck && member !== null) await bed.restart(member);
    return { job, killed: (struck?.killed ?? 0) > 0 };
  });
}

/** At a write of the miner, so that work is under way. */
export async function cutOnce(bed: MarketBed, cut: Cut, call: number): Promise<CaseResult> {
  return oneCase(bed, cut.script, async (submit) => {
    bed.orders.give(MINER, { call, when: 'after', victims: [] });
    const job = submit();
    await waitUntil(() => bed.orders.struck(MINER) !== null || job.isOver, STRIKE_MS, POLL_MS);
    bed.cut(cut);
    await sleep(CUT_MS);
    bed.heal();
    bed.orders.withdraw(MINER);
    return { job, killed: bed.orders.struck(MINER) !== null };
  });
}

async function oneCase(
  bed: MarketBed,
  script: Script,
  run: (submit: () => MarketJob) => Promise<{ readonly job: MarketJob; readonly killed: boolean }>,
): Promise<CaseResult> {
  const startedAt = performance.now();
  const fromHeight = await bed.height();
  const faults: string[] = [];
  let outcome: JobOutcome | null = null;
  let killed = false;
  try {
    const ran = await run(() => bed.submit(script));
    killed = ran.killed;
    outcome = await ran.job.finish();
    faults.push(...outcome.faults);
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  }
  faults.push(...(await bed.whole()));
  await bed.quiet();
  const toHeight = await bed.height();
  const tookMs = performance.now() - startedAt;
  return { script, outcome, killed, fromHeight, toHeight, tookMs, bytesPerSecond: await bed.pace(), faults };
}

function writerName(script: Script, writer: Writer): string {
  if (writer === 'miner') return MINER;
  return script === 'command' ? 'client' : 'n1';
}

/** Who is started again afterwards; null: nobody, or who does that by itself. */
function memberOf({ script, victim }: KillPoint): string | null {
  switch (victim) {
    case 'client':
      return script === 'command' ? null : 'n1';
    case 'miner':
      return MINER;
    case 'validator':
      return script === 'command' ? 'n1' : 'n2';
    case 'executor':
      return null;
  }
}

function victimOf(bed: MarketBed, point: KillPoint, job: MarketJob | null): Victim {
  const { writer, victim } = point;
  if (writer === victim) return 'self';
  if (victim === 'executor') return { childrenOf: bed.process(MINER) };
  const member = memberOf(point);
  if (member !== null) return { process: bed.process(member) };
  const client = job instanceof CommandJob ? job.process : undefined;
  if (!client) throw new Error('the client does not run');
  return { process: client };
}
