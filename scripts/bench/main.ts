/** `npm run bench`: measures a cluster of real processes, and says whether its bars are met. */
import { toNodeError, unreachable } from '../../src/errors.ts';
import { failureReport } from '../../testnet/report.ts';
import type { BenchArgs, Mode } from './args.ts';
import { parseBenchArgs, USAGE } from './args.ts';
import { catchup } from './catchup.ts';
import { compareFiles } from './compare.ts';
import { coordinator } from './coordinator.ts';
import { environment } from './environment.ts';
import { finality } from './finality.ts';
import { growth } from './growth.ts';
import { help } from './help.ts';
import { isolation } from './isolation.ts';
import { jobs } from './jobs.ts';
import { overload } from './overload.ts';
import { measurePartsAlone } from './parts-alone.ts';
import type { Check } from './result.ts';
import { checkLines, judge } from './result.ts';
import { scale } from './scale.ts';
import { slowClients } from './slow-clients.ts';
import { snapshot } from './snapshot.ts';
import { stages } from './stages.ts';
import { start } from './start.ts';
import { streams } from './streams.ts';
import { throughput } from './throughput.ts';

async function main(argv: readonly string[]): Promise<number> {
  const args = parseBenchArgs(argv);
  if (args.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { mode } = args;
  if (mode === 'compare') {
    const [before = '', after = ''] = args.files;
    process.stdout.write(compareFiles(before, after));
    return 0;
  }
  const people = args.json ? process.stderr : process.stdout;
  const tell = (line: string): void => {
    people.write(`${line}\n`);
  };
  const where = environment();
  tell(
    `bench ${args.mode} · ${args.nodes} nodes · ${where.cpu}, ${where.cores} cores, ${where.memory_gib} GiB · ` +
      `node ${where.node} · aitbc ${where.version} · commit ${where.commit ?? 'unknown'} · load ${where.load_before}`,
  );
  const parts = await measurePartsAlone();
  tell(`parts alone (verify, apply, tree, synced write in one process): ${parts.transfers_per_s} transfers/s`);
  const { checks, figures } = await measure(mode, args, parts.transfers_per_s, tell);
  const ok = judge(checks, args.timing);
  for (const line of checkLines(checks, args.timing)) tell(line);
  if (args.json) {
    process.stdout.write(
      `${JSON.stringify({ ok, bench: args.mode, nodes: args.nodes, ...figures, parts_alone_per_s: parts.transfers_per_s, timing: args.timing, checks, environment: where })}\n`,
    );
  } else {
    for (const [name, value] of Object.entries(figures)) tell(`  ${name}: ${JSON.stringify(value)}`);
  }
  return ok ? 0 : 1;
}

function measure(
  mode: Exclude<Mode, 'compare'>,
  args: BenchArgs,
  partsAlonePerSecond: number,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  switch (mode) {
    case 'finality':
      return finality(args, tell);
    case 'throughput':
      return throughput(args, partsAlonePerSecond, tell);
    case 'overload':
      return overload(args, tell);
    case 'growth':
      return growth(args, tell);
    case 'stages':
      return stages(tell);
    case 'catchup':
      return catchup(args, partsAlonePerSecond, tell);
    case 'start':
      return start(args, tell);
    case 'isolation':
      return isolation(args, tell);
    case 'scale':
      return scale(args, tell);
    case 'snapshot':
      return snapshot(args, tell);
    case 'help':
      return help(args, tell);
    case 'slow-clients':
      return slowClients(args, tell);
    case 'coordinator':
      return coordinator(args, tell);
    case 'streams':
      return streams(args, tell);
    case 'jobs':
      return jobs(args, tell);
    default:
      return unreachable(mode);
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${failureReport(error)}\n`);
  process.exitCode = toNodeError(error).kind.exit;
}
