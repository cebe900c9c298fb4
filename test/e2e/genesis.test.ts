import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { nodeLayout } from '../../testnet/layout.ts';
import { renderNodeConfig } from '../../testnet/node-config.ts';
import type { TestCluster } from './support.ts';
import { aitbc, get, startCluster, until } from './support.ts';

describe('two networks of one name', function () {
  this.timeout(60_000);
  const clusters: TestCluster[] = [];
  after(() => Promise.all(clusters.map((cluster) => cluster.close())));

  it('refuse each other for their genesis, say so on both sides, and go on alone', async () => {
    const first = await startCluster({ validators: 1 });
    clusters.push(first);
    const stranger = first.cluster.node(1);
    const second = await startCluster({ validators: 1 }, (cluster) => {
      const node = cluster.node(1);
      const { config } = nodeLayout(node.home, cluster.manifest.chain_id);
      writeFileSync(config, renderNodeConfig(node, [cluster.manifest.chain_id], [stranger.p2p]));
    });
    clusters.push(second);
    const hashes = clusters.map(({ cluster }) => cluster.manifest.genesis_hash);
    for (const { cluster } of clusters) {
      const node = cluster.node(1);
      await until('the refusal is in the log', () => {
        const log = readFileSync(nodeLayout(node.home, cluster.manifest.chain_id).log, 'utf8');
        const line = log.split('\n').find((text) => text.includes('another genesis'));
        return Promise.resolve(line !== undefined && hashes.every((hash) => line.includes(hash)));
      });
      await until('the connection, which shares no chain, is closed', async () => {
        const { json } = await get(`${node.rpc}/rpc/peers`);
        return json.peers.length === 0;
      });
      assert.equal((await fetch(`${node.rpc}/readyz`)).status, 200);
      const doctor = await aitbc('doctor', '--home', node.home, '--json');
      const { findings } = JSON.parse(doctor.stdout) as { findings: { check: string; level: string; what: string }[] };
      assert.deepEqual([findings[0]?.check, findings[0]?.level], ['genesis', 'fault'], doctor.stdout);
      assert.equal(doctor.code, 10, doctor.stderr);
    }
  });
});
