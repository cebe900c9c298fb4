/** The tools for a stopped node, as an operator runs them: on the folders of a cluster whose nodes made a chain. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestCluster } from './support.ts';
import { aitbc, height, makeTransfer, startCluster, submit, until } from './support.ts';

const BLOCKS = 6;

describe('work on a stopped node', function () {
  this.timeout(180_000);
  let at: TestCluster;

  before(async () => {
    at = await startCluster({ validators: 3 });
  });
  after(() => at.close());

  it('verifies, exports, rolls back, imports, reindexes and compacts; then the node goes on', async () => {
    const { genesis } = at;
    const { signer } = at.account('alice');
    const { address } = at.account('bob');
    for (let nonce = 0; nonce < BLOCKS; nonce++) {
      await submit(at.rpc(1), makeTransfer(genesis, signer, address, { nonce }), 'commit');
    }
    const head = await until('all nodes at one height', async () => {
      const heights = await Promise.all([1, 2, 3].map((index) => height(at.rpc(index))));
      return heights.every((one) => one === heights[0] && one >= BLOCKS) ? heights[0] : undefined;
    });
    assert.ok(head !== undefined);
    const { home } = at.cluster.node(2);
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await aitbc('chain', ...args, '--home', home, '--json');
      return { code, json: stdout === '' ? null : JSON.parse(stdout), error: stderr };
    };
    assert.equal((await run('verify')).code, 3, 'a node that runs is left alone');
    await at.cluster.kill([2]);

    const verified = await run('verify');
    assert.equal(verified.code, 0, verified.error);
    assert.deepEqual(verified.json, { chain_id: 'ait-devnet', from: 1, to: head, executed: true, ok: true });

    const file = join(home, 'blocks');
    assert.equal((await run('export', file)).json.blocks, head);
    assert.equal((await run('rollback', '--to', '2')).json.height, 2);
    assert.equal((await run('rollback', '--to', '2')).code, 2);
    assert.equal((await run('verify')).json.to, 2);

    const damaged = join(home, 'damaged');
    writeFileSync(damaged, readFileSync(file).subarray(0, -100));
    const cut = await run('import', damaged);
    assert.equal(cut.code, 11);
    assert.match(cut.error, /damaged at byte/);
    assert.equal((await run('import', file)).json.height, head);
    assert.equal((await run('reindex')).json.height, head);
    const sizes = (await run('compact')).json;
    assert.ok(sizes.bytes_before > 0 && sizes.bytes_after > 0);
    assert.equal((await run('verify', '--from', '2', '--to', '4')).code, 0);

    await run('rollback', '--to', '3');
    await at.cluster.restart([2]);
    await at.cluster.waitReady();
    await submit(at.rpc(2), makeTransfer(genesis, signer, address, { nonce: BLOCKS }), 'commit');
    await until('the node that went back is at the head', async () => (await height(at.rpc(2))) > head || undefined);
  });
});
