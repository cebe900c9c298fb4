/** `npm run sim`: whole clusters in virtual time, one seed after another. */
import { parseArgs } from 'node:util';
import { report, unreached } from './expectations.ts';
import type { Outcome } from './simulation.ts';
import { runSeed } from './simulation.ts';
import { startWatchdog } from './watchdog.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '1,3,4,7' },
    minutes: { type: 'string', default: '30' },
    control: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    bail: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const nodes = values.nodes.split(',').map(Number);
const minutes = Number(values.minutes);
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;

async function runAll(): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const watchdog = startWatchdog(`npm run sim -- --nodes ${values.nodes} --minutes ${minutes} --verbose`);
  let failures = 0;
  for (let seed = first; seed < first + count; seed++) {
    watchdog.watch(seed);
    const outcome = await runSeed({
      seed,
      nodes,
      minutes,
      control: values.control,
      ...(values.verbose && { onLine: (line: string) => process.stdout.write(`${line}\n`) }),
    });
    outcomes.push(outcome);
    if (outcome.violations.length > 0) {
      failures++;
      if (!values.control) process.stderr.write(`\n${report(outcome, nodes, minutes)}\n`);
    }
    if (values.bail && failures > 0) break;
    if (outcomes.length % 100 === 0) process.stderr.write(`${outcomes.length} seeds, ${failures} failed\n`);
  }
  await watchdog.end();
  return outcomes;
}

const startMs = performance.now();
const cpu = process.cpuUsage();
const outcomes = await runAll();
const used = process.cpuUsage(cpu);
const failed = outcomes.filter(({ violations }) => violations.length > 0);

const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, outcome) => total + of(outcome), 0);
const max = (of: (outcome: Outcome) => number): number => Math.max(0, ...outcomes.map(of));
const figures = {
  seeds: outcomes.length,
  failed: failed.map(({ plan }) => plan.seed),
  heights: sum(({ heights }) => heights),
  transactions: sum(({ transactions }) => transactions),
  faults: sum(({ faults }) => faults),
  topRound: max(({ topRound }) => topRound),
  commitsAboveRound0: sum(({ lateCommits }) => lateCommits),
  conflictingLocks: sum(({ conflictingLocks }) => conflictingLocks),
  crashesAtWrites: sum(({ crashesAtWrites }) => crashesAtWrites),
  setChanges: sum(({ setChanges }) => setChanges),
  evidence: sum(({ evidence }) => evidence),
  livenessChecks: sum(({ livenessChecks }) => livenessChecks),
  slowestLivenessMs: Math.round(max(({ slowestMs }) => slowestMs)),
  virtualHours: Math.round(sum(({ virtualMs }) => virtualMs) / 36_000) / 100,
  events: sum(({ steps }) => steps),
  seconds: Math.round((performance.now() - startMs) / 100) / 10,
  coreSecondsASeed: Math.round((used.user + used.system) / 10_000 / outcomes.length) / 100,
};
const counts = new Map<string, number>();
for (const outcome of outcomes) {
  for (const [name, n] of outcome.counts) counts.set(name, (counts.get(name) ?? 0) + n);
}
const missing = count < 20 || values.control ? [] : unreached(outcomes);

if (values.json) {
  process.stdout.write(`${JSON.stringify({ ...figures, counts: Object.fromEntries(counts), missing })}\n`);
} else {
  for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(20)} ${String(value)}\n`);
  for (const [name, n] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) process.stdout.write(`  ${name}: ${n}\n`);
  for (const text of missing) process.stdout.write(`NOT REACHED ${text}\n`);
}
if (values.control) {
  const isForked = failed.some(({ violations }) => violations.some((text) => text.startsWith('agreement')));
  const words = isForked ? 'the control forks, as it must: one of three is a traitor' : 'THE CONTROL DOES NOT FORK';
  process.stderr.write(`${words}\n`);
  process.exitCode = isForked ? 0 : 1;
} else if (failed.length > 0 || missing.length > 0) process.exitCode = 1;
