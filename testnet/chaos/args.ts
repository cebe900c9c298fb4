/** The command line of the kill test. */
import { randomInt } from 'node:crypto';
import { createCommandLine } from '../command-line.ts';

export const USAGE = `Kills nodes of a cluster at random moments under load (kill -9), starts them again, and checks that
nothing that was final is lost, that no validator signed twice, and that all nodes hold one chain.

  npm run chaos -- [--nodes 3] [--kills 100] [--seed S] [--json]

  --seed S   repeats the schedule of a run (its moments depend on the machine all the same)
  --json     the last line on stdout is the scorecard as one object with "ok"

Exit codes: 0 everything held, 1 something did not, 2 usage.
`;

export interface ChaosArgs {
  readonly help: boolean;
  readonly nodes: number;
  readonly kills: number;
  readonly seed: string;
  readonly json: boolean;
}

const { parse, integer } = createCommandLine('npm run chaos -- --help');

const OPTIONS = {
  nodes: { type: 'string' },
  kills: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws NodeError USAGE */
export function parseChaosArgs(argv: readonly string[]): ChaosArgs {
  const { values } = parse(argv, OPTIONS);
  return {
    help: values.help === true,
    nodes: integer('--nodes', values.nodes ?? '3', 1),
    kills: integer('--kills', values.kills ?? '100', 1),
    seed: values.seed ?? String(randomInt(1_000_000_000)),
    json: values.json === true,
  };
}
