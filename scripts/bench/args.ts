/** The command line of the benchmarks. */
import { resolve } from 'node:path';
import { createCommandLine } from '../../testnet/command-line.ts';

export const USAGE = `Measurements on a cluster of real processes in a temporary folder.

  npm run bench -- finality   [--nodes 4] [--samples 100]
  npm run bench -- throughput [--nodes 4] [--seconds 30] [--rate R] [--profile FOLDER]
  npm run bench -- overload   [--nodes 4] [--seconds 600] [--rate PEAK]
  npm run bench -- growth     [--seconds 15] [--of validators|accounts|block|delay]
  npm run bench -- stages
  npm run bench -- compare    BEFORE.json AFTER.json
  npm run bench -- isolation  [--nodes 4] [--samples 200] [--rate R]
  npm run bench -- catchup    [--nodes 4] [--blocks 10000] [--liar LIE]
  npm run bench -- start      [--nodes 4] [--blocks 100000]
  npm run bench -- scale      [--blocks 100000] [--accounts 1000000]
  npm run bench -- snapshot   [--nodes 2] [--accounts 1000000]
  npm run bench -- help       [--samples 20]
  npm run bench -- slow-clients [--nodes 1] [--clients 500] [--seconds 30]
  npm run bench -- coordinator [--miners 1000] [--seconds 30] [--rate 500]
  npm run bench -- streams    [--miners 1000] [--seconds 30]
  npm run bench -- jobs       [--nodes 3] [--samples 20]

  --miners M    simulated miners, in two processes
  --rate R      offers R transfers a second instead of looking for the highest rate that is kept up with
  --profile F   writes a flame graph (NAME.svg) and a profile (NAME.cpuprofile) of each node into the folder F
  --of WHAT     grows that alone: validators, accounts of the state, size of a block, or delay between sites
  --liar LIE    one of the serving peers lies: transaction, certificate, height or stall
  --json        the last line on stdout is the result as one object with "ok"
  --no-timing   only invariants decide "ok": no figure can fail it

Exit codes: 0 every bar is met, 1 one is not, 2 usage.
`;

export const MODES = [
  'finality',
  'throughput',
  'overload',
  'growth',
  'stages',
  'compare',
  'catchup',
  'start',
  'scale',
  'isolation',
  'snapshot',
  'slow-clients',
  'coordinator',
  'streams',
  'jobs',
  'help',
] as const;
export type Mode = (typeof MODES)[number];

/** What a lying peer does: alters blocks, forges certificates, claims more than it has, or never answers. */
export const LIES = ['transaction', 'certificate', 'height', 'stall'] as const;
export type Lie = (typeof LIES)[number];

/** What is made larger while all else stays. */
export const DIMENSIONS = ['validators', 'accounts', 'block', 'delay'] as const;
export type Dimension = (typeof DIMENSIONS)[number];

export interface BenchArgs {
  readonly help: boolean;
  readonly mode: Mode;
  readonly nodes: number;
  readonly seconds: number;
  readonly rate: number | undefined;
  readonly samples: number;
  readonly blocks: number;
  readonly accounts: number;
  readonly clients: number;
  readonly miners: number;
  readonly liar: Lie | undefined;
  /** Absolute. */
  readonly profile: string | undefined;
  readonly dimensions: readonly Dimension[];
  /** Results to compare. */
  readonly files: readonly string[];
  readonly json: boolean;
  readonly timing: boolean;
}

const { parse, integer, usage } = createCommandLine('npm run bench -- --help');

const OPTIONS = {
  nodes: { type: 'string' },
  seconds: { type: 'string' },
  rate: { type: 'string' },
  samples: { type: 'string' },
  blocks: { type: 'string' },
  accounts: { type: 'string' },
  clients: { type: 'string' },
  miners: { type: 'string' },
  liar: { type: 'string' },
  profile: { type: 'string' },
  of: { type: 'string' },
  json: { type: 'boolean' },
  'no-timing': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Where it is not 30. */
const SECONDS: Partial<Record<Mode, string>> = { overload: '600', growth: '15' };
/** Where it is not 4. */
const NODES: Partial<Record<Mode, string>> = { snapshot: '2', 'slow-clients': '1', jobs: '3' };

/** @throws NodeError USAGE */
export function parseBenchArgs(argv: readonly string[]): BenchArgs {
  const { values, positionals } = parse(argv, OPTIONS, true);
  const help = values.help === true;
  const mode = MODES.find((name) => name === positionals[0]);
  const files = positionals.slice(1);
  if (!help && (!mode || (mode !== 'compare' && files.length > 0))) throw usage(`name one of ${MODES.join(', ')}`);
  if (mode === 'compare' && files.length !== 2) throw usage('compare takes two files that --json was written to');
  return {
    help,
    mode: mode ?? 'finality',
    nodes: integer('--nodes', values.nodes ?? NODES[mode ?? 'finality'] ?? '4', 1),
    seconds: integer('--seconds', values.seconds ?? SECONDS[mode ?? 'finality'] ?? '30', 1),
    rate: values.rate === undefined ? undefined : integer('--rate', values.rate, 1),
    samples: integer(
      '--samples',
      values.samples ?? (mode === 'isolation' ? '200' : mode === 'help' || mode === 'jobs' ? '20' : '100'),
      1,
    ),
    blocks: integer('--blocks', values.blocks ?? (mode === 'start' || mode === 'scale' ? '100000' : '10000'), 1),
    accounts: integer('--accounts', values.accounts ?? '1000000', 1000),
    clients: integer('--clients', values.clients ?? '500', 1),
    miners: integer('--miners', values.miners ?? '1000', 1),
    liar: lieOf(values.liar),
    profile: values.profile === undefined ? undefined : resolve(values.profile),
    dimensions: dimensionsOf(values.of),
    files: files.map((file) => resolve(file)),
    json: values.json === true,
    timing: values['no-timing'] !== true,
  };
}

function dimensionsOf(name: string | undefined): readonly Dimension[] {
  const dimension = DIMENSIONS.find((each) => each === name);
  if (name !== undefined && !dimension) throw usage(`--of takes ${DIMENSIONS.join(', ')}`);
  return dimension ? [dimension] : DIMENSIONS;
}

function lieOf(name: string | undefined): Lie | undefined {
  const lie = LIES.find((each) => each === name);
  if (name !== undefined && !lie) throw usage(`--liar takes ${LIES.join(', ')}`);
  return lie;
}
