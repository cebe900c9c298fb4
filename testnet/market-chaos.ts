/** `npm run chaos:market`: kill -9 of everyone in a job at every write, and proof that no money is lost or paid twice. */
import { toNodeError } from '../src/errors.ts';
import { createRandom } from './load/random.ts';
import { parseMarketChaosArgs, USAGE } from './market/args.ts';
import { withMarketBed } from './market/bed.ts';
import type { MarketScorecard } from './market/run.ts';
import { runMarketChaos } from './market/run.ts';
import { failureReport } from './report.ts';

async function main(argv: readonly string[]): Promise<number> {
  const args = parseMarketChaosArgs(argv);
  if (args.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const people = args.json ? process.stderr : process.stdout;
  const tell = (line: string): void => {
    people.write(`${line}\n`);
  };
  tell(`market chaos · 3 validators, 1 miner · seed ${args.seed}`);
  const card = await withMarketBed(createRandom(`${args.seed}/network`), tell, (bed) =>
    runMarketChaos(bed, args, tell),
  );
  for (const line of cardLines(card)) tell(line);
  if (args.json) process.stdout.write(`${JSON.stringify(card)}\n`);
  return card.ok ? 0 : 1;
}

function cardLines(card: MarketScorecard): string[] {
  const mark = (good: boolean): string => (good ? '✓' : '✗');
  const { kills } = card;
  return [
    `✓ ${card.points_run} of ${card.points} points: killed ${kills.client} clients, ${kills.miner} miners, ${kills.executor} executors, ${kills.validator} validators; nobody there at ${card.nobody_there}`,
    `✓ ${card.cuts} cuts, ${card.resumed} jobs asked for again, ${card.second_attempts} with a second attempt`,
    `${mark(card.lost_jobs === 0)} ${card.jobs} jobs, ${card.lost_jobs} lost`,
    `${mark(card.paid_twice === 0)} paid ${card.paid_uait} uait in ${card.agreements} agreements, ${card.paid_twice} times more than the client counts`,
    `  most unmatched in a job: ${card.most_unmatched_uait} uait, a tick is ${card.tick_uait} uait; ${card.agreements_open} agreements open`,
    `  a job with its fault and recovery: p50 ${card.case_ms.p50} ms, max ${card.case_ms.max} ms; height ${card.height}`,
    ...card.faults.map((fault) => `✗ ${fault}`),
    card.ok ? '✓ no job was lost, all money is accounted for' : `✗ failed; repeat with --seed ${card.seed}`,
  ];
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${failureReport(error)}\n`);
  process.exitCode = toNodeError(error).kind.exit;
}
