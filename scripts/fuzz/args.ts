/** The command line of the fuzzer. */
import { createCommandLine } from '../../testnet/command-line.ts';

export const USAGE = `Hostile and broken requests to the RPC of a real node on loopback, in a temporary folder.

  npm run fuzz -- [--requests 1000000] [--seed 1]

  --requests N   requests in all: HTTP, JSON-RPC, transactions, WebSocket messages, bytes that are no HTTP
  --seed S       the same seed makes the same requests
  --json         the last line on stdout is the result as one object with "ok"

Exit codes: 0 the node bore it, 1 it did not, 2 usage.
`;

export interface FuzzArgs {
  readonly help: boolean;
  readonly requests: number;
  readonly seed: string;
  readonly json: boolean;
}

const { parse, integer } = createCommandLine('npm run fuzz -- --help');

/** @throws NodeError USAGE */
export function parseFuzzArgs(argv: readonly string[]): FuzzArgs {
  const { values } = parse(argv, {
    requests: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  });
  return {
    help: values.help === true,
    requests: integer('--requests', values.requests ?? '1000000', 100),
    seed: values.seed ?? '1',
    json: values.json === true,
  };
}
