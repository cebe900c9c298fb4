/** Clusters of `npm run testnet` on this machine that run: what is asked, and who pays, when nobody said. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** As its manifest says: see testnet/README.md. */
export interface LocalCluster {
  readonly chainId: string;
  /** Of its nodes that run, at least one. */
  readonly rpcs: readonly string[];
  /** Its first one, with its key file; null when it keeps none. */
  readonly account: { readonly name: string; readonly keyFile: string } | null;
}

const MAX_CLUSTERS = 64;
const MAX_MANIFEST_BYTES = 1024 * 1024;
/** Of the clone that this program lies in. */
const CLONE = fileURLToPath(new URL('../..', import.meta.url));

/** The folder that one is in, and the clone. */
export function clusterRoots(): readonly string[] {
  return [...new Set([resolve('.testnet'), join(CLONE, '.testnet')])];
}

/** Those with a node that runs, by name. */
export function localClusters(roots: readonly string[]): LocalCluster[] {
  return roots.flatMap((root) =>
    namesIn(root)
      .sort((a, b) => (a < b ? -1 : 1))
      .slice(0, MAX_CLUSTERS)
      .flatMap((name) => readCluster(join(root, name, 'testnet.json')) ?? []),
  );
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** null: none, or one that does not run. */
function readCluster(path: string): LocalCluster | null {
  try {
    if (statSync(path).size > MAX_MANIFEST_BYTES) return null;
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly chain_id: string;
      readonly nodes: readonly { readonly rpc: string; readonly pid: number | null; readonly state: string }[];
      readonly accounts: readonly { readonly name: string; readonly key_file: string | null }[];
    };
    const rpcs = manifest.nodes.filter(({ pid, state }) => state === 'running' && isRunning(pid)).map(({ rpc }) => rpc);
    const [first] = manifest.accounts;
    const keyFile = first?.key_file ?? null;
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
