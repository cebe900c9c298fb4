/** The command line of the market's kill test. */
import { randomInt } from 'node:crypto';
import { createCommandLine } from '../command-line.ts';

export const USAGE = `Kills whoever takes part in a job (kill -9) at every write that anybody depends on, once before and once after
it, cuts each pair of them from each other, and checks that no paid job is lost, nothing is paid twice, and all
money is accounted for.

  npm run chaos:market -- [--points N] [--cuts N] [--no-expiry] [--seed S] [--json]

  --points N    so many of the kills, drawn by the seed; all when absent
  --cuts N      so many of the cuts; all when absent
  --no-expiry   ends without setting the clocks ahead past the expiry of what is left open
  --seed S      repeats what is drawn
  --json        the last line on stdout is the scorecard as one object with "ok"

Exit codes: 0 everything held, 1 something did not, 2 usage.
`;

export interface MarketChaosArgs {
  readonly help: boolean;
  /** Infinity: all. */
  readonly points: number;
  readonly cuts: number;
  readonly expiry: boolean;
  readonly seed: string;
  readonly json: boolean;
}

const { parse, integer } = createCommandLine('npm run chaos:market -- --help');

const OPTIONS = {
  points: { type: 'string' },
  cuts: { type: 'string' },
  'no-expiry': { type: 'boolean' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws NodeError USAGE */
export function parseMarketChaosArgs(argv: readonly string[]): MarketChaosArgs {
  const { values } = parse(argv, OPTIONS);
  const count = (option: 'points' | 'cuts'): number => {
    const text = values[option];
    return text === undefined ? Infinity : integer(`--${option}`, text, 0);
  };
  return {
    help: values.help === true,
    points: count('points'),
    cuts: count('cuts'),
    expiry: values['no-expiry'] !== true,
    seed: values.seed ?? String(randomInt(1_000_000_000)),
    json: values.json === true,
  };
}
