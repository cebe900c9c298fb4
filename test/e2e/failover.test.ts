import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '../../testnet/cluster.ts';
import { proxied } from '../../testnet/failover/bed.ts';
import { createRandom } from '../../testnet/load/random.ts';
import type { ProxyNetwork } from '../../testnet/proxy/network.ts';
import { get, runProgram, until } from './support.ts';

describe('npm run failover', function () {
  this.timeout(180_000);

  it('goes through faults of every kind and finds every invariant kept', async () => {
    const only = ['--only', 'kill-proposer,split,half-open,quorum-lost'];
    const { code, stdout, stderr } = await runProgram('testnet/failover.ts', ['--no-timing', '--json', ...only]);
    assert.equal(code, 0, stderr);
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    assert.equal(result.ok, true);
    assert.deepEqual([result.violations, result.double_signs], [[], 0]);
    assert.ok(result.acknowledged > 0 && result.votes_checked > 0 && result.heights > 0);
    assert.ok(result.rows.every(({ count }: { count: number }) => count > 0));
  });

  it('names its faults, and refuses others', async () => {
    const list = await runProgram('testnet/failover.ts', ['--list']);
    assert.equal(list.code, 0);
    assert.match(list.stdout, /kill-proposer/);
    assert.equal((await runProgram('testnet/failover.ts', ['--only', 'flood'])).code, 2);
  });
});

describe('a cluster behind proxies', function () {
  this.timeout(120_000);
  let dataDir: string;
  let cluster: Cluster;
  let network: ProxyNetwork;
  const peersOf = async (index: number): Promise<string[]> =>
    (await get(`${cluster.node(index).rpc}/rpc/peers`)).json.peers.map((peer: { peer_id: string }) => peer.peer_id);

  before(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'aitbc-proxied-'));
    cluster = await Cluster.open({ dataDir, chainId: 'ait-devnet', validators: 3 });
    network = await proxied(cluster, createRandom('e2e'));
    await cluster.start(true);
    await cluster.waitReady();
  });
  after(async () => {
    await cluster.abort();
    await network.close();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('finds no way around a cut', async () => {
    await until('all are connected', async () =>
      (await Promise.all([1, 2, 3].map(peersOf))).every((of) => of.length === 2),
    );
    network.partition([[1, 2]], 'reset');
    await until('n3 has lost its peers', async () => (await peersOf(3)).length === 0);
    // Longer than several attempts to dial again.
    const found = await until('a new way', async () => (await peersOf(3)).length > 0, 8000).catch(() => false);
    assert.equal(found, false);
    assert.deepEqual(await peersOf(1), [cluster.node(2).peer_id]);
    network.heal();
    await until('all are connected again', async () =>
      (await Promise.all([1, 2, 3].map(peersOf))).every((of) => of.length === 2),
    );
  });
});
