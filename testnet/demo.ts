/** `npx aitbc demo failover`, `npm run demo`: validators on three sites, and what becomes of the chain when they fail. */
import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { toNodeError } from '../src/errors.ts';
import { layoutSentences } from '../src/cli/network/survival.ts';
import { parseDemoArgs, USAGE } from './demo/args.ts';
import { runDemo } from './demo/run.ts';
import type { DemoResult } from './demo/run.ts';
import { Screen } from './demo/screen.ts';
import { STEPS } from './demo/steps.ts';
import { tableLines } from './failover/scorecard.ts';
import { columns, failureReport } from './report.ts';
import { pathRows } from './sites/site-network.ts';
import type { Topology } from './sites/topology.ts';
import { layoutOf } from './sites/topology.ts';
import { readTopology } from './sites/topology-file.ts';

async function main(argv: readonly string[]): Promise<number> {
  const args = parseDemoArgs(argv);
  if (args.help || args.list) {
    const steps = columns(STEPS.map(({ name, help }) => [name, help]));
    process.stdout.write(args.help ? `${USAGE}\nSteps:\n${steps}\n` : `${steps}\n`);
    return 0;
  }
  const screen = new Screen(args.json ? process.stderr : process.stdout, process.env);
  const topology = readTopology(args.topologyPath, args.layout);
  const startedAtMs = performance.now();
  for (const line of headLines(topology)) screen.line(line);
  const { result, timeline } = await runDemo({ ...args, topology }, screen);
  for (const line of closingLines(result)) screen.line(line);
  screen.line(`   ${((performance.now() - startedAtMs) / 60_000).toFixed(1)} minutes; seed ${result.seed}`);
  if (args.recordPath !== undefined && timeline) {
    writeFileSync(args.recordPath, `${JSON.stringify(timeline)}\n`);
    screen.line(`   timeline: ${relative(process.cwd(), args.recordPath)}`);
  }
  if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  return result.ok ? 0 : 1;
}

function headLines(topology: Topology): string[] {
  const powers = topology.sites.map(({ name, validators }) => ({
    name,
    powers: Array.from({ length: validators }, () => 1),
  }));
  return [
    `aitbc demo failover · layout ${layoutOf(topology)}`,
    '',
    columns(pathRows(topology), '   '),
    '',
    ...layoutSentences(powers).map((line) => `   ${line}`),
    '',
  ];
}

function closingLines({ ok, steps, timing, violations }: DemoResult): string[] {
  const rows = steps.flatMap(({ measured }) => measured);
  return [
    '',
    ...(rows.length === 0 ? [] : tableLines(rows, timing).map((line) => `   ${line}`)),
    '',
    ...violations.map((violation) => ` ✗ ${violation}`),
    ok
      ? ` ✓ ${timing ? 'every verdict is good' : 'safe, and always going on where it may; timings were not judged'}`
      : ' ✗ failed',
  ];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${failureReport(error)}\n`);
  process.exitCode = toNodeError(error).kind.exit;
}
