/** `npm run chaos`: kill -9 at random under load, and proof that nothing was lost. */
import { toNodeError } from '../src/errors.ts';
import { parseChaosArgs, USAGE } from './chaos/args.ts';
import { CHAOS_SENDERS, runChaos } from './chaos/run.ts';
import type { Scorecard } from './chaos/run.ts';
import { failureReport } from './report.ts';
import { keepUnless, withTemporaryCluster } from './temporary-cluster.ts';

async function main(argv: readonly string[]): Promise<number> {
  const args = parseChaosArgs(argv);
  if (args.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const people = args.json ? process.stderr : process.stdout;
  const tell = (line: string): void => {
    people.write(`${line}\n`);
  };
  tell(`chaos · ${args.nodes} validators · ${args.kills} kills · seed ${args.seed}`);
  const card = await withTemporaryCluster(
    { validators: args.nodes, loadAccounts: CHAOS_SENDERS },
    (cluster) => runChaos(cluster, args, tell),
    keepUnless((result) => result.ok, tell),
  );
  for (const line of cardLines(card)) tell(line);
  if (args.json) process.stdout.write(`${JSON.stringify(card)}\n`);
  return card.ok ? 0 : 1;
}

function cardLines(card: Scorecard): string[] {
  const mark = (good: boolean): string => (good ? '✓' : '✗');
  return [
    `${mark(card.kills > 0)} ${card.kills} kills in ${card.strikes} strikes, ${card.strikes_on_several} on several nodes, ${card.strikes_on_all} on all`,
    `${mark(card.double_signs === 0)} ${card.double_signs} double signs among ${card.votes_checked} votes of guards and certificates`,
    `${mark(card.faults.length === 0)} ${card.height} blocks with ${card.transactions} transactions, ${card.acknowledged} acknowledged as final`,
    `  load: ${card.load.sent} sent, ${card.load.final} final, ${card.load.refused} refused, ${card.load.unknown} unknown, ${card.load.skipped} skipped`,
    `  start to first answer p50 ${card.restart_ms.p50} ms, max ${card.restart_ms.max} ms; then to the next block p50 ${card.next_block_ms.p50} ms, max ${card.next_block_ms.max} ms`,
    ...card.faults.map((fault) => `✗ ${fault}`),
    card.ok ? '✓ nothing was lost, nothing was repaired by hand' : `✗ failed; repeat with --seed ${card.seed}`,
  ];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${failureReport(error)}\n`);
  process.exitCode = toNodeError(error).kind.exit;
}
