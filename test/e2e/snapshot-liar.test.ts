/** A fresh node joins by a snapshot of real nodes, one of which gives wrong chunks. */
import assert from 'node:assert/strict';
import type { Liar } from '../../scripts/bench/liar.ts';
import { replaceByLiar } from '../../scripts/bench/liar.ts';
import { compareNodes } from '../../testnet/compare.ts';
import type { TestCluster } from './support.ts';
import { get, height, makeTransfer, nonceOf, startCluster, submit, until } from './support.ts';

const INTERVAL = 3;
/** A state of several chunks. */
const ACCOUNTS = 8_000;

describe('a fresh node with a liar among those that have a snapshot', function () {
  this.timeout(120_000);
  let bed: TestCluster;
  let liar: Liar | undefined;

  const transfer = async (): Promise<void> => {
    const { signer, address } = bed.account('alice');
    const nonce = await nonceOf(bed.rpc(1), address);
    await submit(bed.rpc(1), makeTransfer(bed.genesis, signer, bed.account('bob').address, { nonce }), 'commit');
  };

  before(async () => {
    const config = { 'snapshot.interval': INTERVAL, 'snapshot.sync': 'always' };
    bed = await startCluster({ validators: 3, loadAccounts: ACCOUNTS, config });
    while ((await height(bed.rpc(1))) < INTERVAL + 1) await transfer();
    await until('a snapshot on all', async () => {
      const held = await Promise.all([1, 2, 3].map(async (at) => (await get(`${bed.rpc(at)}/rpc/snapshots`)).json));
      return held.every(({ snapshots }) => snapshots.some((each: { chunks: number }) => each.chunks >= 2));
    });
  });

  after(async () => {
    await liar?.stop();
    await bed.close();
  });

  it('joins with the right state, and names and bans who gave wrong chunks', async () => {
    liar = await replaceByLiar(bed.cluster, 3, 'chunk');
    const { namedBy } = liar;
    // So that it is asked: the honest ones would have given everything by then.
    for (const honest of [1, 2]) await bed.cluster.pause(honest);
    const index = await bed.cluster.add();
    const { home } = bed.cluster.node(index);
    await until('the liar is banned', () =>
      Promise.resolve(namedBy(home).some(({ message }) => message === 'peer banned')),
    );
    for (const honest of [1, 2]) await bed.cluster.resume(honest);
    await until('the head', async () => (await height(bed.rpc(index))) > INTERVAL);
    const said = namedBy(home);
    assert.ok(
      said.some(({ message }) => message === 'a peer lied about a snapshot'),
      JSON.stringify(said),
    );
    assert.ok(said.some(({ message, reason }) => message === 'peer banned' && reason.includes('chunk')));
    const status = (await get(`${bed.rpc(index)}/rpc/status`)).json;
    assert.equal(status.base_height, INTERVAL);
    assert.equal(status.state_root, (await get(`${bed.rpc(1)}/rpc/status`)).json.state_root);
    assert.ok((await compareNodes(bed.cluster)).equal);
  });
});
