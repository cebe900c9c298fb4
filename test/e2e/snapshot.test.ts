/** A node without blocks joins by a snapshot of real nodes, is killed on the way, and goes on. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestCluster } from './support.ts';
import { get, height, makeTransfer, nonceOf, startCluster, submit, until } from './support.ts';

const INTERVAL = 10;

/** Blocks are made on demand: each transfer makes one. */
async function growTo(bed: TestCluster, wanted: number): Promise<void> {
  const { signer, address } = bed.account('alice');
  while ((await height(bed.rpc(1))) < wanted) {
    const nonce = await nonceOf(bed.rpc(1), address);
    await submit(bed.rpc(1), makeTransfer(bed.genesis, signer, bed.account('bob').address, { nonce }), 'commit');
  }
}

describe('snapshots of a network', function () {
  this.timeout(180_000);
  let bed: TestCluster;

  before(async () => {
    const config = { 'snapshot.interval': INTERVAL, 'snapshot.sync': 'always' };
    bed = await startCluster({ validators: 2, config });
    await growTo(bed, INTERVAL + 2);
    await until('a snapshot on both', async () => {
      const held = await Promise.all([1, 2].map(async (index) => (await get(`${bed.rpc(index)}/rpc/snapshots`)).json));
      return held.every(({ snapshots }) => snapshots.some((each: { height: number }) => each.height === INTERVAL));
    });
  });

  after(() => bed.close());

  it('are equal on all nodes, and lie in the chain’s folder', async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(async (index) => (await get(`${bed.rpc(index)}/rpc/snapshots`)).json),
    );
    assert.equal(one.snapshots[0].manifest_hash, two.snapshots[0].manifest_hash);
    const folder = join(bed.cluster.node(1).home, 'chains', 'ait-devnet', 'snapshots');
    assert.ok(readdirSync(folder).includes(String(INTERVAL)));
  });

  it('let a fresh node join, which then serves what it holds and follows', async () => {
    const index = await bed.cluster.add();
    await until('the head', async () => (await height(bed.rpc(index))) >= INTERVAL + 2);
    const status = (await get(`${bed.rpc(index)}/rpc/status`)).json;
    assert.equal(status.base_height, INTERVAL);
    const other = (await get(`${bed.rpc(1)}/rpc/status`)).json;
    assert.equal(status.state_root, other.state_root);
    const below = await get(`${bed.rpc(index)}/rpc/blocks/${INTERVAL - 1}`);
    assert.equal(below.status, 410);
    const [base, theirs] = await Promise.all([index, 1].map((at) => get(`${bed.rpc(at)}/rpc/blocks/${INTERVAL}`)));
    assert.equal(base?.status, 200);
    assert.equal(base?.json.hash, theirs?.json.hash);
    assert.equal(existsSync(join(bed.cluster.node(index).home, 'chains', 'ait-devnet', 'joining')), false);
    await growTo(bed, INTERVAL + 4);
    await until('the next blocks', async () => (await height(bed.rpc(index))) >= INTERVAL + 4);
  });

  it('survive the death of a joining node at any moment', async () => {
    const index = await bed.cluster.add();
    for (let kill = 0; kill < 3; kill++) {
      await bed.cluster.kill([index]);
      await bed.cluster.restart([index]);
    }
    await until('the head', async () => (await height(bed.rpc(index))) >= INTERVAL + 4);
    const [own, other] = await Promise.all([index, 1].map(async (at) => (await get(`${bed.rpc(at)}/rpc/status`)).json));
    assert.equal(own.state_root, other.state_root);
  });
});
