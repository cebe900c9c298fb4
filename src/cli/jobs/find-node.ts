/** The node that a job goes through, and who pays on a development network, when the command line says neither. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDevnet } from '../../chain/genesis.ts';
import type { Context } from '../context.ts';
import { contextOf, rpcOfHome } from '../context.ts';

/** Of a local cluster: see testnet/README.md. */
interface LocalCluster {
  readonly chainId: string;
  readonly rpcs: readonly string[];
  /** Key file of its first account; null off development networks. */
  readonly account: { readonly name: string; readonly keyFile: string } | null;
}

export interface FoundNode {
  /** Asks that node. */
  readonly context: Context;
  /** For a chain ending in -devnet: whose key pays when there is no wallet. */
  readonly account: LocalCluster['account'];
}

const MAX_CLUSTERS = 64;
const MAX_MANIFEST_CHARACTERS = 1024 * 1024;
/** Of the clone that this program lies in. */
const CLONE = fileURLToPath(new URL('../../..', import.meta.url));

/** The folder that one is in, and the clone. */
const ROOTS = [...new Set([resolve('.testnet'), join(CLONE, '.testnet')])];

/** That of --rpc, else AITBC_RPC, else of this home, else of a local cluster that runs, else the usual address. */
export async function findNode(context: Context, roots: readonly string[] = ROOTS): Promise<FoundNode> {
  const given = context.options.rpc ?? (process.env['AITBC_RPC'] || undefined);
  const clusters = await localClusters(roots);
  if (given === undefined && rpcOfHome(context.home) === undefined) {
    const { chain } = context.options;
    const cluster = clusters.find(({ chainId }) => chain === undefined || chain === chainId);
    const [rpc] = cluster?.rpcs ?? [];
    if (cluster && rpc !== undefined) return { context: at(context, rpc), account: cluster.account };
  }
  const there = given === undefined ? context : at(context, given);
  const { url } = there.client();
  return { context: there, account: clusters.find(({ rpcs }) => rpcs.includes(url))?.account ?? null };
}

function at(context: Context, rpc: string): Context {
  return contextOf({ ...context.options, rpc });
}

/** Those with a node that runs. */
async function localClusters(roots: readonly string[]): Promise<LocalCluster[]> {
  const paths = await Promise.all(
    roots.map(async (root) => {
      const names = await readdir(root).catch(() => []);
      return names
        .sort((a, b) => (a < b ? -1 : 1))
        .slice(0, MAX_CLUSTERS)
        .map((name) => join(root, name, 'testnet.json'));
    }),
  );
  const clusters = await Promise.all(paths.flat().map(readCluster));
  return clusters.filter((cluster) => cluster !== null);
}

/** null: none, or one that does not run. */
async function readCluster(path: string): Promise<LocalCluster | null> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > MAX_MANIFEST_CHARACTERS) return null;
    const manifest = JSON.parse(text) as {
      readonly chain_id: string;
      readonly nodes: readonly { readonly rpc: string; readonly pid: number | null; readonly state: string }[];
      readonly accounts: readonly { readonly name: string; readonly key_file: string | null }[];
    };
    const rpcs = manifest.nodes.filter(({ pid, state }) => state === 'running' && isRunning(pid)).map(({ rpc }) => rpc);
    const [first] = manifest.accounts;
    const keyFile = isDevnet(manifest.chain_id) ? (first?.key_file ?? null) : null;
    const account = first && keyFile !== null ? { name: first.name, keyFile } : null;
    return rpcs.length > 0 ? { chainId: manifest.chain_id, rpcs, account } : null;
  } catch {
    return null;
  }
}

function isRunning(pid: number | null): boolean {
  try {
    return pid !== null && process.kill(pid, 0);
  } catch {
    return false;
  }
}
