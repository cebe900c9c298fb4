/** The command line of the failover test. */
import { randomInt } from 'node:crypto';
import { createCommandLine } from '../command-line.ts';

export const USAGE = `Injects faults into a cluster of real processes under load and measures what its users would notice.

  npm run failover -- [--nodes 3|4] [--kills 10] [--seed S] [--minutes M] [--only NAMES] [--list] [--json] [--no-timing]

  --nodes N      validators, 3 to 7 (default 3)
  --kills N      kills of each kind (default 10)
  --seed S       repeats victims and moments of a run (what the machine does in them differs all the same)
  --minutes M    goes through the faults again until M minutes have passed
  --only NAMES   some faults, by name, with commas
  --list         names the faults
  --json         the last line on stdout is the scorecard as one object with "ok"
  --no-timing    only invariants decide "ok"; one short round of each fault

Exit codes: 0 every bar and invariant is met, 1 one is not, 2 usage.
`;

export interface FailoverArgs {
  readonly help: boolean;
  readonly list: boolean;
  readonly nodes: number;
  readonly kills: number;
  readonly seed: string;
  readonly minutes: number;
  /** Empty: all. */
  readonly only: readonly string[];
  readonly json: boolean;
  readonly timing: boolean;
}

const { parse, integer, usage } = createCommandLine('npm run failover -- --help');

const OPTIONS = {
  nodes: { type: 'string' },
  kills: { type: 'string' },
  seed: { type: 'string' },
  minutes: { type: 'string' },
  only: { type: 'string' },
  list: { type: 'boolean' },
  json: { type: 'boolean' },
  'no-timing': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @param names of the faults there are @throws NodeError USAGE */
export function parseFailoverArgs(argv: readonly string[], names: readonly string[]): FailoverArgs {
  const { values } = parse(argv, OPTIONS);
  const timing = values['no-timing'] !== true;
  const only = values.only?.split(',').map((name) => name.trim()) ?? [];
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw usage(`there is no fault "${unknown}"; there are ${names.join(', ')}`);
  return {
    help: values.help === true,
    list: values.list === true,
    nodes: integer('--nodes', values.nodes ?? '3', 3, 7),
    kills: integer('--kills', values.kills ?? (timing ? '10' : '1'), 1),
    seed: values.seed ?? String(randomInt(1_000_000_000)),
    minutes: integer('--minutes', values.minutes ?? '0', 0),
    only,
    json: values.json === true,
    timing,
  };
}
