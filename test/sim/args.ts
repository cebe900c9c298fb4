/** The command line of the simulator, and how a run is written as one. */
import { availableParallelism } from 'node:os';
import { createCommandLine } from '../../testnet/command-line.ts';
import type { Job } from './job.ts';
import { formatItems, parseItems } from './job.ts';

export const USAGE = `Runs whole clusters in virtual time, one a seed, under faults; checks that every promise holds.

  npm run sim -- [--seeds 20] [--from 1] [--nodes 1,3,4,7] [--minutes 30] [--jobs N] [--json]
  npm run sim -- --seed S [--without 3,7-9,m2 | --only-faults 4,m1-m3] [--heights H] [--verbose]

  --seeds N         so many seeds, from --from on
  --seed S          this one alone
  --nodes A,B       validators; a seed takes one of them in turn
  --minutes M       virtual minutes after which a run must have its heights
  --jobs N          processes at once; as many as there are cores when not given
  --bail            ends at the first seed that fails
  --shrink          looks for the fewest faults that still break the first seed that fails; so does --seed, and a run
                    of up to 50 seeds of which one fails, unless --no-shrink is given
  --without LIST    leaves out these faults; the others stay as they are as far as they can
  --only-faults L   leaves out all but these; "none" for none at all
  --heights H       ends a run after so many heights instead of 50
  --control         three nodes with one traitor, which must fork
  --verbose         prints the whole trace of a run
  --json            the last line on stdout is the result as one object with "ok"

Exit codes: 0 everything held, 1 something did not or was not reached, 2 usage.
`;

/** A run of this many seeds shrinks what fails without being asked. */
const SMALL_RUN = 50;

export interface SimArgs {
  readonly help: boolean;
  readonly first: number;
  readonly count: number;
  readonly jobs: number;
  /** What all seeds have in common. */
  readonly common: Omit<Job, 'seed'>;
  readonly shrink: boolean;
  readonly bail: boolean;
  readonly verbose: boolean;
  readonly json: boolean;
}

const { parse, integer, usage } = createCommandLine('npm run sim -- --help');

const OPTIONS = {
  seeds: { type: 'string' },
  seed: { type: 'string' },
  from: { type: 'string' },
  nodes: { type: 'string' },
  minutes: { type: 'string' },
  jobs: { type: 'string' },
  heights: { type: 'string' },
  without: { type: 'string' },
  'only-faults': { type: 'string' },
  control: { type: 'boolean' },
  verbose: { type: 'boolean' },
  bail: { type: 'boolean' },
  shrink: { type: 'boolean' },
  'no-shrink': { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws NodeError USAGE */
export function parseSimArgs(argv: readonly string[]): SimArgs {
  const { values } = parse(argv, OPTIONS);
  const { seed, without, 'only-faults': only } = values;
  if (seed !== undefined && (values.seeds ?? values.from) !== undefined) {
    throw usage('--seed is one seed: give it without --seeds and --from');
  }
  if (without !== undefined && only !== undefined) throw usage('give --without or --only-faults, not both');
  const count = seed === undefined ? integer('--seeds', values.seeds ?? '20', 1, 1_000_000) : 1;
  const items = (option: string, text: string): readonly string[] => {
    const list = parseItems(text);
    if (!list) throw usage(`${option} takes numbers of faults and ranges of them, as in 3,7-9,m2-m5`);
    return list;
  };
  return {
    help: values.help === true,
    first: integer(seed === undefined ? '--from' : '--seed', seed ?? values.from ?? '1', 1),
    count,
    jobs: integer('--jobs', values.jobs ?? String(availableParallelism()), 1, 256),
    common: {
      nodes: (values.nodes ?? '1,3,4,7').split(',').map((text) => integer('each of --nodes', text, 1, 16)),
      minutes: integer('--minutes', values.minutes ?? '30', 1, 10_000),
      control: values.control === true,
      ...(values.heights !== undefined && { heights: integer('--heights', values.heights, 1, 10_000) }),
      ...(without !== undefined && { filter: { kind: 'without', items: items('--without', without) } as const }),
      ...(only !== undefined && { filter: { kind: 'only', items: items('--only-faults', only) } as const }),
    },
    shrink: values.shrink === true || (values['no-shrink'] !== true && values.bail !== true && count <= SMALL_RUN),
    bail: values.bail === true,
    verbose: values.verbose === true,
    json: values.json === true,
  };
}

/** The command that runs this again. */
export function commandOf({ seed, nodes, minutes, control, heights, filter }: Job): string {
  const faults = filter
    ? ` ${filter.kind === 'only' ? '--only-faults' : '--without'} ${formatItems(filter.items)}`
    : '';
  const end = heights === undefined ? '' : ` --heights ${heights}`;
  const traitor = control ? ' --control' : '';
  return `npm run sim -- --seed ${seed} --nodes ${nodes.join()} --minutes ${minutes}${traitor}${end}${faults}`;
}
