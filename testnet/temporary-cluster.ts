/** A cluster in a folder that is gone afterwards, processes included. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from './cluster.ts';
import type { ClusterOptions } from './create.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs `use` with a cluster that is made but not started, and ends it whatever happens, an interrupt included. The folder
 * goes too, unless `use` failed or `keep` says so.
 *
 * @param keep decides from what came of it, and tells where the folder is; without it nothing is kept
 */
export async function withTemporaryCluster<T>(
  options: Omit<ClusterOptions, 'dataDir' | 'chainId'>,
  use: (cluster: Cluster) => Promise<T>,
  keep?: (result: T | undefined, dataDir: string) => boolean,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'aitbc-cluster-'));
  let cluster: Cluster | undefined;
  let result: T | undefined;
  let interrupted = false;
  const cleanUp = async (): Promise<void> => {
    await cluster?.abort();
    if (interrupted || !keep?.(result, dataDir)) rmSync(dataDir, { recursive: true, force: true });
  };
  const onSignal = (): void => {
    // npm passes a terminal's Ctrl-C on a second time, and nothing is quicker than what is under way.
    if (interrupted) return;
    interrupted = true;
    void cleanUp().finally(() => process.exit(130));
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    cluster = await Cluster.open({ dataDir, chainId: 'ait-devnet', ...options });
    result = await use(cluster);
    return result;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    await cleanUp();
  }
}

/** Keeps the folder unless all is good, and says where it is. */
export function keepUnless<T>(
  good: (result: T) => boolean,
  tell: (line: string) => void,
): (result: T | undefined, dataDir: string) => boolean {
  return (result, dataDir) => {
    if (result !== undefined && good(result)) return false;
    tell(`  folders and logs (n1/node.log, …) are kept in ${dataDir}`);
    return true;
  };
}
