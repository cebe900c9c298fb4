/** The command line of the demonstration. */
import { randomInt } from 'node:crypto';
import { join, resolve } from 'node:path';
import { createCommandLine } from '../command-line.ts';
import { REPOSITORY } from '../layout.ts';
import { STEPS } from './steps.ts';

const DEFAULT_TOPOLOGY = join(REPOSITORY, 'testnet', 'sites.json');

export const USAGE = `Validators on three sites: kills them, cuts sites off, moves one, and says after each step what it cost.

  npx aitbc demo failover [--layout 1/1/1|2/2/2] [--record FILE] [--no-timing] …      (npm run demo -- …)

  --layout L       validators at each site (default 1/1/1; 2/2/2 bears a traitor as well)
  --topology FILE  sites and the links between them (default testnet/sites.json)
  --full           500 blocks and cuts of 60 s, where it is 30 and 10 s (takes about a quarter of an hour)
  --blocks N       blocks measured while nothing fails    --cut-s S   seconds that a cut lasts
  --only STEPS     some steps, by name, with commas       --list      names the steps
  --loopback       no network namespaces, as without root
  --record FILE    writes the timeline of heights, rounds and outages as JSON
  --json           the last line on stdout is the result as one object with "ok"
  --no-timing      only safety and progress decide "ok"; shorter (for tests)
  --seed S         repeats victims and moments of a run

Exit codes: 0 every verdict is good, 1 one is not, 2 usage, 130 interrupted.
`;

export interface DemoArgs {
  readonly help: boolean;
  readonly list: boolean;
  readonly topologyPath: string;
  /** As the file has it when absent. */
  readonly layout: string | undefined;
  readonly blocks: number;
  readonly cutMs: number;
  readonly haltMs: number;
  readonly only: readonly string[];
  readonly namespaces: boolean;
  readonly recordPath: string | undefined;
  readonly json: boolean;
  readonly timing: boolean;
  readonly seed: string;
}

const { parse, integer, usage } = createCommandLine('npx aitbc demo failover --help');

const OPTIONS = {
  layout: { type: 'string' },
  topology: { type: 'string' },
  full: { type: 'boolean' },
  blocks: { type: 'string' },
  'cut-s': { type: 'string' },
  only: { type: 'string' },
  list: { type: 'boolean' },
  loopback: { type: 'boolean' },
  record: { type: 'string' },
  json: { type: 'boolean' },
  'no-timing': { type: 'boolean' },
  seed: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const LENGTHS = {
  full: { blocks: 500, cutS: 60, haltMs: 15_000 },
  usual: { blocks: 30, cutS: 10, haltMs: 5000 },
  short: { blocks: 3, cutS: 2, haltMs: 1500 },
} as const;

/** @throws NodeError USAGE */
export function parseDemoArgs(argv: readonly string[]): DemoArgs {
  const { values } = parse(argv, OPTIONS);
  const timing = values['no-timing'] !== true;
  const length = LENGTHS[values.full === true ? 'full' : timing ? 'usual' : 'short'];
  const cutS = integer('--cut-s', values['cut-s'] ?? String(length.cutS), 2, 600);
  const names = STEPS.map(({ name }) => name);
  const only = values.only?.split(',').map((name) => name.trim()) ?? [];
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw usage(`there is no step "${unknown}"; there are ${names.join(', ')}`);
  const groups = STEPS.filter(({ name }) => only.includes(name)).map(({ group }) => group);
  return {
    help: values.help === true,
    list: values.list === true,
    topologyPath: values.topology === undefined ? DEFAULT_TOPOLOGY : resolve(values.topology),
    layout: values.layout,
    blocks: integer('--blocks', values.blocks ?? String(length.blocks), 1, 10_000),
    cutMs: cutS * 1000,
    haltMs: length.haltMs,
    only: STEPS.filter(({ group }) => only.length === 0 || groups.includes(group)).map(({ name }) => name),
    namespaces: values.loopback !== true,
    recordPath: values.record === undefined ? undefined : resolve(values.record),
    json: values.json === true,
    timing,
    seed: values.seed ?? String(randomInt(1_000_000_000)),
  };
}
