/** `npm run sim`: whole clusters in virtual time, many at once, one a seed. */
import { isNodeError } from '../../src/errors.ts';
import { commandOf, parseSimArgs, USAGE } from './args.ts';
import type { SimArgs } from './args.ts';
import { describeFaults, report, reportLost } from './expectations.ts';
import type { Job } from './job.ts';
import { Pool } from './pool.ts';
import type { Result } from './pool.ts';
import { Progress } from './progress.ts';
import { shrink } from './shrink.ts';
import type { Outcome } from './simulation.ts';
import { Tally } from './tally.ts';

/** Runs that looking for a smaller one may take. */
const MAX_SHRINK_RUNS = 400;

interface Failure {
  readonly job: Job;
  readonly outcome: Outcome;
}

function* jobsOf({ first, count, common }: SimArgs): Generator<Job> {
  for (let seed = first; seed < first + count; seed++) yield { ...common, seed };
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function shrinkFailure(pool: Pool, { job, outcome }: Failure): Promise<void> {
  say(`\nlooking for fewer faults (${outcome.struck.length} happened) …`);
  const small = await shrink(job, outcome, {
    maxRuns: MAX_SHRINK_RUNS,
    run: async (smaller) => (await pool.run(smaller)).outcome,
  });
  const faults = small.outcome.struck;
  say(
    `seed ${job.seed} still fails with ${faults.length} of ${outcome.struck.length} faults, after ${small.runs} runs:`,
  );
  for (const text of small.outcome.violations.slice(0, 3)) say(`  ${text}`);
  for (const line of describeFaults(faults)) say(line);
  say(`replay: ${commandOf(small.job)} --verbose --no-shrink`);
}

/** @returns the exit code */
async function main(args: SimArgs): Promise<number> {
  const { json, bail, common } = args;
  const pool = new Pool({ processes: Math.min(args.jobs, args.count), verbose: args.verbose });
  const tally = new Tally();
  const progress = new Progress(args.count, !json && !args.verbose && process.stderr.isTTY);
  let failure: Failure | null = null;
  let interrupted = false;
  const onSignal = (): void => {
    interrupted = true;
    pool.end();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  await pool.runAll(jobsOf(args), ({ job, outcome, failure: why }: Result) => {
    if (outcome) tally.add(outcome);
    else tally.addLost(job.seed);
    const isFailed = !outcome || outcome.violations.length > 0;
    if (isFailed && !common.control) progress.above(`\n${outcome ? report(job, outcome) : reportLost(job, why)}\n`);
    if (isFailed && outcome) failure ??= { job, outcome };
    progress.tell(tally.seeds, tally.failed.length);
    return !(bail && isFailed);
  });
  progress.end();
  const found = failure as Failure | null;
  if (found && !interrupted && !common.control && args.shrink) await shrinkFailure(pool, found);
  pool.end();
  return interrupted ? finish(args, pool, tally, progress, 130) : finish(args, pool, tally, progress, null);
}

function finish(args: SimArgs, pool: Pool, tally: Tally, progress: Progress, code: number | null): number {
  const { control } = args.common;
  const { counts, virtualMs, ...totals } = tally;
  const missing = control || code !== null ? [] : tally.unreached();
  const forks = control && tally.agreementsBroken > 0;
  const ok = code === null && (control ? forks : totals.failed.length === 0 && missing.length === 0);
  const figures = {
    ...totals,
    failed: totals.failed.toSorted((a, b) => a - b),
    slowestLivenessMs: Math.round(totals.slowestLivenessMs),
    virtualHours: Math.round(virtualMs / 36_000) / 100,
    seconds: Math.round(progress.seconds * 10) / 10,
    coreSecondsASeed: Math.round(pool.cpuMs / 10 / Math.max(1, tally.seeds)) / 100,
  };
  if (args.json) {
    process.stdout.write(`${JSON.stringify({ ok, ...figures, counts: Object.fromEntries(counts), missing })}\n`);
  } else {
    for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(20)} ${String(value)}\n`);
    for (const [name, n] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) process.stdout.write(`  ${name}: ${n}\n`);
    for (const text of missing) process.stdout.write(`NOT REACHED ${text}\n`);
  }
  if (code !== null) say(`interrupted after ${tally.seeds} of ${args.count} seeds`);
  if (control) say(forks ? 'the control forks, as it must: one of three is a traitor' : 'THE CONTROL DOES NOT FORK');
  return code ?? (ok ? 0 : 1);
}

process.stdout.on('error', () => process.exit(1));
try {
  const args = parseSimArgs(process.argv.slice(2));
  if (args.help) process.stdout.write(USAGE);
  else process.exitCode = await main(args);
} catch (error) {
  if (!isNodeError(error) || error.code !== 'USAGE') throw error;
  say(`${error.message}\n${error.hint ?? ''}`);
  process.exitCode = 2;
}
