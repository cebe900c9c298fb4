import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import type { Cluster } from '../../../testnet/cluster.ts';
import { withTemporaryCluster } from '../../../testnet/temporary-cluster.ts';

describe('temporary cluster', () => {
  const run = async (
    use: (cluster: Cluster) => Promise<string>,
    keep?: (result: string | undefined, dataDir: string) => boolean,
  ): Promise<{ folder: string; failed: boolean }> => {
    let folder = '';
    let failed = false;
    try {
      await withTemporaryCluster(
        { validators: 1 },
        (cluster) => {
          folder = cluster.dataDir;
          return use(cluster);
        },
        keep,
      );
    } catch {
      failed = true;
    }
    return { folder, failed };
  };

  it('leaves nothing behind, whatever happens', async () => {
    const good = await run(() => Promise.resolve('good'));
    const bad = await run(() => Promise.reject(new Error('bad')));
    assert.deepEqual([good.failed, bad.failed], [false, true]);
    assert.ok(!existsSync(good.folder) && !existsSync(bad.folder));
  });

  it('keeps the folder when what came of it asks for that', async () => {
    const seen: [string | undefined, string][] = [];
    const keep = (result: string | undefined, dataDir: string): boolean => {
      seen.push([result, dataDir]);
      return result !== 'good';
    };
    const good = await run(() => Promise.resolve('good'), keep);
    const bad = await run(() => Promise.reject(new Error('bad')), keep);
    assert.deepEqual(seen, [
      ['good', good.folder],
      [undefined, bad.folder],
    ]);
    assert.deepEqual([existsSync(good.folder), existsSync(bad.folder)], [false, true]);
    rmSync(bad.folder, { recursive: true });
  });
});
