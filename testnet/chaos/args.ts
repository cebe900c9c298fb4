/** The command line of the kill test. */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { NodeError } from '../../src/errors.ts';

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

/** @throws NodeError USAGE */
export function parseChaosArgs(argv: readonly string[]): ChaosArgs {
  const values = parse(argv);
  return {
    help: values.help === true,
    nodes: integer('--nodes', values.nodes, 3),
    kills: integer('--kills', values.kills, 100),
    seed: values.seed ?? String(randomInt(1_000_000_000)),
    json: values.json === true,
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        nodes: { type: 'string' },
        kills: { type: 'string' },
        seed: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

function integer(option: string, text: string | undefined, absent: number): number {
  if (text === undefined) return absent;
  if (!/^\d{1,6}$/.test(text) || Number(text) < 1) throw usage(`${option} takes a whole number from 1`);
  return Number(text);
}

function usage(message: string): NodeError {
  return new NodeError('USAGE', message, { hint: 'npm run chaos -- --help' });
}
