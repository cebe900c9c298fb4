/** `npm run failover`: faults on real processes under load, and whether every bar was met. */
import { toNodeError } from '../src/errors.ts';
import { parseFailoverArgs, USAGE } from './failover/args.ts';
import { FAULTS } from './failover/faults.ts';
import type { FailoverResult } from './failover/run.ts';
import { runFailover } from './failover/run.ts';
import { tableLines } from './failover/scorecard.ts';
import { columns, failureReport } from './report.ts';
import { survivalSentence } from '../src/cli/network/survival.ts';

async function main(argv: readonly string[]): Promise<number> {
  const args = parseFailoverArgs(
    argv,
    FAULTS.map(({ name }) => name),
  );
  if (args.help || args.list) {
    process.stdout.write(args.help ? USAGE : `${columns(FAULTS.map(({ name, help }) => [name, help]))}\n`);
    return 0;
  }
  const people = args.json ? process.stderr : process.stdout;
  const tell = (line: string): void => {
    people.write(`${line}\n`);
  };
  tell(`failover · ${survivalSentence(args.nodes)} Seed ${args.seed}`);
  const startedAt = performance.now();
  const result = await runFailover(args, tell);
  for (const line of resultLines(result)) tell(line);
  tell(`  ${((performance.now() - startedAt) / 60_000).toFixed(1)} minutes`);
  if (args.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  return result.ok ? 0 : 1;
}

function resultLines(result: FailoverResult): string[] {
  const mark = (good: boolean): string => (good ? '✓' : '✗');
  return [
    '',
    ...tableLines(result.rows, result.timing),
    '',
    `${mark(result.double_signs === 0)} ${result.double_signs} double signs among ${result.votes_checked} votes of guards and certificates`,
    `${mark(result.violations.length === 0)} ${result.heights} blocks with ${result.transactions} transactions on all nodes, ${result.acknowledged} acknowledged as final, none repaired by hand`,
    ...result.violations.map((violation) => `✗ ${violation}`),
    result.ok
      ? `✓ ${result.timing ? 'every bar and every invariant is met' : 'every invariant is met; timings were not judged'}`
      : `✗ failed; repeat with --seed ${result.seed}`,
  ];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${failureReport(error)}\n`);
  process.exitCode = toNodeError(error).kind.exit;
}
