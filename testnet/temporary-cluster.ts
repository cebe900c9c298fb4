/** A cluster in a folder that is gone afterwards, processes included. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from './cluster.ts';
import type { ClusterOptions } from './create.ts';

/**
 * Runs `use` with a cluster that is made but not started, and ends and removes it whatever happens, an interrupt
 * included.
 */
export async function withTemporaryCluster<T>(
  options: Omit<ClusterOptions, 'dataDir' | 'chainId'>,
  use: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const dataDir = mkdtempSync(join(tmpdir(), 'aitbc-cluster-'));
  let cluster: Cluster | undefined;
  const cleanUp = async (): Promise<void> => {
    await cluster?.abort();
    rmSync(dataDir, { recursive: true, force: true });
  };
  const onSignal = (): void => {
    void cleanUp().finally(() => process.exit(130));
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    cluster = await Cluster.open({ dataDir, chainId: 'ait-devnet', ...options });
    return await use(cluster);
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    await cleanUp();
  }
}
