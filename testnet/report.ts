/** What the launcher tells people. */
import { relative } from 'node:path';
import { toNodeError } from '../src/errors.ts';
import { DEFAULT_CHAIN, defaultDataDir } from './layout.ts';
import type { Manifest } from './manifest.ts';
import { survivalSentence } from '../src/cli/network/survival.ts';
import { members } from './members.ts';
import { isDevnet } from '../src/chain/genesis.ts';

const UAIT = 1_000_000n;

/** Rows of equal length as left-aligned columns. */
export function columns(rows: readonly (readonly string[])[], indent = '  '): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) => (indent + row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).trimEnd())
    .join('\n');
}

/** Uait as AIT with thin groups, e.g. "1 000 000 AIT". */
export function formatAit(uait: string): string {
  const value = BigInt(uait);
  const whole = String(value / UAIT).replace(/\B(?=(\d{3})+$)/g, ' ');
  const rest = value % UAIT;
  return rest === 0n ? `${whole} AIT` : `${whole}.${String(rest).padStart(6, '0')} AIT`;
}

export function readyReport(manifest: Manifest, dataDir: string, readyMs: number, validators: number): string {
  const { chain_id: chainId, nodes, accounts, further_chains: further = [], miners = [] } = manifest;
  const short = (hash: string): string => `${hash.slice(0, 8)}…${hash.slice(-4)}`;
  return [
    ...[manifest, ...further].map(
      ({ chain_id, genesis_hash, quorum }) =>
        `aitbc testnet   chain ${chain_id}   genesis ${short(genesis_hash)}   quorum ${quorum} of ${validators}`,
    ),
    '',
    columns([
      ['Node', ...onSites(nodes, () => 'Site'), 'RPC', 'PID', 'Data'],
      ...nodes.map((node) => [
        node.name,
        ...onSites(nodes, () => node.site ?? ''),
        node.rpc,
        String(node.pid ?? node.state),
        here(node.home),
      ]),
    ]),
    '',
    columns([['Node', 'P2P address'], ...nodes.map((node) => [node.name, node.p2p])]),
    '',
    ...(miners.length === 0
      ? []
      : [
          columns([
            ['Miner', 'Models', 'PID', 'Data'],
            ...miners.map(({ name, models, pid, state, home }) => [
              name,
              models.join(', '),
              String(pid ?? state),
              here(home),
            ]),
          ]),
          '',
        ]),
    columns([
      ['Account', 'Address', 'Funded with'],
      ...accounts.map(({ name, address, balance_uait }) => [name, address, formatAit(balance_uait)]),
    ]),
    isDevnet(chainId)
      ? '  Development accounts, keys in the data folder. Refused on any chain not ending in -devnet.'
      : '  Operators only: development accounts are refused on any chain not ending in -devnet.',
    '',
    `✓ Ready in ${(readyMs / 1000).toFixed(1)} s. ${survivalSentence(validators)}`,
    '',
    'Next, in another terminal:',
    columns(nextCommands(manifest, dataDir)),
  ].join('\n');
}

function onSites(nodes: Manifest['nodes'], cell: () => string): string[] {
  return nodes.some(({ site }) => site !== undefined) ? [cell()] : [];
}

/** As short as it can be typed from here. */
function here(path: string): string {
  const short = relative(process.cwd(), path) || '.';
  return short.startsWith('..') ? path : short;
}

/** The options that name this cluster in a command; none for the default one. */
export function selection(manifest: Manifest, dataDir: string): string {
  if (dataDir !== defaultDataDir(manifest.chain_id)) return ` --data ${here(dataDir)}`;
  return manifest.chain_id === DEFAULT_CHAIN ? '' : ` --chain ${manifest.chain_id}`;
}

function nextCommands(manifest: Manifest, dataDir: string): string[][] {
  const [first, second] = manifest.nodes;
  const [from, to] = manifest.accounts;
  const where = selection(manifest, dataDir);
  // In a namespace a node is on another machine for all that a command can see: its home says that it is one's own.
  const node = first?.site === undefined ? `--rpc ${first?.rpc ?? ''}` : `--home ${here(first.home)}`;
  const victim = second ?? first;
  return [
    [`npx aitbc status ${node}`, ''],
    ...(from?.key_file && to
      ? [[`npx aitbc send ${to.address} 10 --key-file ${here(from.key_file)} ${node} -y`, '']]
      : []),
    ...(manifest.miners ? [[`npx aitbc submit "What is the capital of Austria?" ${node} -y`, '']] : []),
    ...(manifest.further_chains ?? [])
      .slice(0, 1)
      .map(({ chain_id }) => [`npx aitbc status --chain ${chain_id} ${node}`, '']),
    [`npm run testnet -- --kill ${victim?.index ?? 1}${where}`, ''],
    [`npm run testnet -- --restart ${victim?.index ?? 1}${where}`, ''],
    ...(first?.site === undefined ? [[`npm run testnet -- --add${where}`, '']] : []),
  ];
}

/** One line a node, for actions. */
export function statesLine(manifest: Manifest): string {
  return members(manifest)
    .map(({ name, state }) => `${name} ${state}`)
    .join(' · ');
}

/** A failure for people; its exit code is in the table of src/errors.ts. */
export function failureReport(error: unknown): string {
  const failure = toNodeError(error);
  const { log } = failure.data;
  return [
    `✗ ${failure.message}   [${failure.code}]`,
    ...(failure.hint === undefined ? [] : [`  ${failure.hint}`]),
    ...(typeof log === 'string' && log !== ''
      ? ['  last lines of its log:', ...log.split('\n').map((line) => `  | ${line}`)]
      : []),
  ].join('\n');
}
