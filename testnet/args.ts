/** The command line of the launcher. */
import { basename, resolve } from 'node:path';
import { MAX_CHAINS } from '../protocols/hello.ts';
import { createCommandLine } from './command-line.ts';
import { DEFAULT_CHAIN, defaultDataDir } from './layout.ts';
import type { MemberRef } from './members.ts';

export const USAGE = `Local clusters of real validator processes.

  npm run testnet -- [--nodes N | --topology FILE] [--miners M] [--chain ID | --chains LIST] [--data DIR] [--base-port P] [--accounts K] [--detach] [--json]

  --nodes N      validators, named n1..nN (default 3)
  --miners M     nodes that follow the chain and work for others, named m1..mM (default 0)
  --chain ID     chain (default ait-devnet)
  --chains LIST  chains that every node runs, the default one first, e.g. ait-devnet,ait-testnet; a number takes that
                 many of ait-devnet, ait-testnet, ait-mainnet
  --data DIR     folder of keys, chain and logs (default .testnet/<chain>); used again, it resumes the chain
  --base-port P  node i uses P+10(i-1) for P2P, +1 RPC, +2 metrics (default: free ports, kept for later starts)
  --topology FILE  validators on sites with links between, as testnet/sites.json has them, in place of --nodes; with root each
                 site is a network namespace. Nodes are named n1..nN in the order of the sites
  --accounts K   K further funded accounts for load, derived from DATA/keys/load_seed (devnets only)
  --detach       leave the cluster running and return
  --json         the last line on stdout equals DATA/testnet.json

On a running cluster (of the same --chain or --data):

  --kill N|mN    kill -9 node or miner N  --restart N    stop it if it runs, and start it
  --pause N      freeze node N            --resume N     let it go on
  --add          start a further node     --down         stop all; the data stays

Exit codes: 0 done, 2 usage, 3 port or data, 4 unknown node, 5 cluster not running.
`;

export type Action =
  | { readonly type: 'kill' | 'restart' | 'pause' | 'resume'; readonly node: MemberRef }
  | { readonly type: 'add' | 'down' };

export interface LauncherArgs {
  readonly help: boolean;
  readonly action: Action | undefined;
  readonly nodes: number;
  readonly miners: number;
  readonly chainId: string;
  readonly furtherChains: readonly string[];
  readonly dataDir: string;
  readonly topologyPath: string | undefined;
  readonly basePort: number | undefined;
  readonly accounts: number;
  readonly detach: boolean;
  readonly json: boolean;
}

const { parse, integer, usage } = createCommandLine('npm run testnet -- --help');

const OPTIONS = {
  nodes: { type: 'string' },
  miners: { type: 'string' },
  chain: { type: 'string' },
  chains: { type: 'string' },
  data: { type: 'string' },
  'base-port': { type: 'string' },
  topology: { type: 'string' },
  accounts: { type: 'string' },
  detach: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  kill: { type: 'string' },
  restart: { type: 'string' },
  pause: { type: 'string' },
  resume: { type: 'string' },
  add: { type: 'boolean' },
  down: { type: 'boolean' },
} as const;

const DEFAULT_NODES = 3;
const KNOWN_CHAINS = [DEFAULT_CHAIN, 'ait-testnet', 'ait-mainnet'] as const;
const NODE_ACTIONS = ['kill', 'restart', 'pause', 'resume'] as const;
const PLAIN_ACTIONS = ['add', 'down'] as const;

/** @throws NodeError USAGE */
export function parseLauncherArgs(argv: readonly string[]): LauncherArgs {
  const { values } = parse(argv, OPTIONS);
  const actions: Action[] = [
    ...NODE_ACTIONS.flatMap((type) => {
      const node = values[type];
      return node === undefined ? [] : [{ type, node: memberRef(`--${type}`, node) }];
    }),
    ...PLAIN_ACTIONS.filter((type) => values[type] === true).map((type) => ({ type })),
  ];
  if (actions.length > 1) throw usage('one action at a time');
  if (values.chain !== undefined && values.chains !== undefined) throw usage('--chain or --chains, not both');
  const [chainId = DEFAULT_CHAIN, ...furtherChains] = chainList(values.chains ?? values.chain ?? DEFAULT_CHAIN);
  checkTopologyOptions(values, actions);
  return {
    help: values.help === true,
    action: actions[0],
    nodes: values.nodes === undefined ? DEFAULT_NODES : integer('--nodes', values.nodes, 1),
    miners: values.miners === undefined ? 0 : integer('--miners', values.miners, 0),
    chainId,
    furtherChains,
    dataDir:
      values.data === undefined ? defaultFolder([chainId, ...furtherChains], values.topology) : resolve(values.data),
    topologyPath: values.topology === undefined ? undefined : resolve(values.topology),
    basePort: values['base-port'] === undefined ? undefined : integer('--base-port', values['base-port'], 1),
    accounts: values.accounts === undefined ? 0 : integer('--accounts', values.accounts, 0),
    detach: values.detach === true,
    json: values.json === true,
  };
}

/** The proxies between sites run in the launcher, and lead to the nodes that it started. */
function checkTopologyOptions(values: Readonly<Record<string, unknown>>, actions: readonly Action[]): void {
  if (values['topology'] === undefined) return;
  const others = ['nodes', 'miners', 'detach'].find((name) => values[name] !== undefined);
  if (others !== undefined) throw usage(`--topology and --${others} do not go together`);
  if (actions.some(({ type }) => type === 'add'))
    throw usage('a cluster on sites has the nodes that its file gives it');
}

function defaultFolder(chainIds: readonly string[], topology: string | undefined): string {
  const chains = chainIds.join('+');
  return defaultDataDir(topology === undefined ? chains : `${chains}@${basename(topology, '.json')}`);
}

/** `2` and `n2` are validators, `m2` is a miner. */
function memberRef(option: string, text: string): MemberRef {
  return /^m\d+$/.test(text) ? text : integer(option, text.replace(/^n/, ''), 0);
}

function chainList(text: string): readonly string[] {
  if (/^\d+$/.test(text)) {
    const count = integer('--chains', text, 1);
    if (count > KNOWN_CHAINS.length) throw usage(`--chains takes up to ${KNOWN_CHAINS.length}, or the ids themselves`);
    return KNOWN_CHAINS.slice(0, count);
  }
  const ids = text.split(',');
  if (ids.length > MAX_CHAINS || new Set(ids).size < ids.length || ids.includes('')) {
    throw usage(`--chains takes 1 to ${MAX_CHAINS} different ids with commas between`);
  }
  return ids;
}
