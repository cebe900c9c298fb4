import assert from 'node:assert/strict';
import { toHex } from '../../src/bytes.ts';
import { compareNodes } from '../../testnet/compare.ts';
import type { TestCluster } from './support.ts';
import {
  aitbc,
  get,
  head,
  height,
  keepSending,
  makeTransfer,
  nonceOf,
  startCluster,
  submit,
  until,
  untilFinal,
} from './support.ts';

const ALL = [1, 2, 3] as const;

/** The validator that proposes the height after the head, by the node that answers. */
async function nextProposer(at: TestCluster): Promise<number> {
  const { proposer } = (await get(`${at.rpc(1)}/rpc/consensus`)).json;
  return at.cluster.manifest.nodes.find(({ validator }) => validator === proposer)?.index ?? 1;
}

describe('three validators under kill -9', function () {
  this.timeout(180_000);
  let at: TestCluster;
  const rpcs = (): string[] => ALL.map((index) => at.rpc(index));
  const transferAt = async (index: number): Promise<string> => {
    const { signer, address } = at.account('alice');
    const rpc = at.rpc(index);
    const tx = makeTransfer(at.genesis, signer, at.account('bob').address, { nonce: await nonceOf(rpc, address) });
    const { status, json } = await submit(rpc, tx, 'commit');
    assert.ok(status === 200 || status === 202, JSON.stringify(json));
    return toHex(tx.id);
  };
  const caughtUpAndSigning = async (index: number): Promise<void> => {
    const others = ALL.filter((other) => other !== index);
    await until(`n${index} has the others' head`, async () => {
      const [mine, theirs] = await Promise.all([head(at.rpc(index)), head(at.rpc(others[0] ?? 1))]);
      return mine !== null && theirs !== null && mine.height >= theirs.height;
    });
    await until(`n${index} signs`, async () => (await get(`${at.rpc(index)}/rpc/status`)).json.signing === true);
  };
  before(async () => {
    at = await startCluster({ validators: 3 });
    await untilFinal(rpcs(), await transferAt(1));
  });
  after(() => at.close());

  it('go on without the next proposer, which catches up by P2P and signs again', async () => {
    const victim = await nextProposer(at);
    const rest = ALL.filter((index) => index !== victim);
    await at.cluster.kill([victim]);
    for (const index of rest)
      await untilFinal(
        rest.map((other) => at.rpc(other)),
        await transferAt(index),
      );
    await at.cluster.restart([victim]);
    await caughtUpAndSigning(victim);
    // Its vote is needed once another one is down.
    await at.cluster.kill([rest[0] ?? 1]);
    await untilFinal([at.rpc(victim), at.rpc(rest[1] ?? 1)], await transferAt(victim));
    await at.cluster.restart([rest[0] ?? 1]);
    await caughtUpAndSigning(rest[0] ?? 1);
    assert.ok((await compareNodes(at.cluster)).equal);
  });

  it('go on without any one of them', async () => {
    for (const victim of ALL) {
      const rest = ALL.filter((index) => index !== victim);
      await at.cluster.kill([victim]);
      await untilFinal(
        rest.map((other) => at.rpc(other)),
        await transferAt(rest[0] ?? 1),
      );
      await at.cluster.restart([victim]);
      await caughtUpAndSigning(victim);
    }
    assert.ok((await compareNodes(at.cluster)).equal);
  });

  it('halt safely with one left, say so, and go on when a second is back', async () => {
    await at.cluster.kill([2, 3]);
    const alone = at.rpc(1);
    const before = await height(alone);
    await until('n1 is not ready', async () => (await fetch(`${alone}/readyz`)).status === 503);
    const problem = await get(`${alone}/readyz`);
    assert.equal(problem.json.code, 'NO_QUORUM');

    const text = await until('the status says it is halted', async () => {
      const { code, stdout } = await aitbc('status', '--rpc', alone);
      return code === 0 && stdout.includes('halted safely: 1 of 3 validators reachable, 2 needed') && stdout;
    });
    assert.ok(text);
    const { stdout } = await aitbc('status', '--rpc', alone, '--json');
    const status = JSON.parse(stdout);
    assert.equal(status.state, 'halted');
    const doctor = await aitbc('doctor', '--home', at.cluster.node(1).home);
    assert.equal(doctor.code, 5, doctor.stderr);
    assert.match(
      doctor.stdout,
      /^✗ quorum +no quorum: 1 of 3 validators reachable, 2 needed; not heard for 10 s: n2, n3\n/,
    );
    assert.deepEqual([status.validators_reachable, status.validators_total, status.quorum], [1, 3, 2]);

    const { signer, address } = at.account('alice');
    const tx = makeTransfer(at.genesis, signer, at.account('bob').address, { nonce: await nonceOf(alone, address) });
    assert.equal((await submit(alone, tx, 'sync')).json.status, 'pending');
    assert.equal(await height(alone), before);

    await at.cluster.restart([2]);
    const reachable = await until('n2 is reachable again', async () => {
      const { json } = await get(`${alone}/rpc/status`);
      return json.validators_reachable === 2 && performance.now();
    });
    await until('the pending transfer is final', async () => (await height(alone)) > before);
    const took = Math.max(0, performance.now() - reachable);
    await untilFinal([alone, at.rpc(2)], toHex(tx.id));
    process.stderr.write(`      next block ${Math.round(took)} ms after reconnection (bar 3000)\n`);
    assert.ok(took < 15_000, `${took} ms`);
    await at.cluster.restart([3]);
    await caughtUpAndSigning(3);
  });

  it('all killed at once under load, start again and go on', async () => {
    for (let round = 0; round < 2; round++) {
      const load = [1, 2].map((index, i) => keepSending(at, () => index, ['carol', 'alice'][i] ?? 'carol', 'bob'));
      const from = await height(at.rpc(1));
      await until('blocks under load', async () => (await height(at.rpc(1))) > from + 1);
      await at.cluster.kill(ALL);
      await at.cluster.restart(ALL);
      await until('blocks after the restart', async () => (await height(at.rpc(1))) > from + 3);
      const final = await Promise.all(load.map((sender) => sender.stop()));
      assert.ok(
        final.every((count) => count > 0),
        String(final),
      );
      for (const index of ALL) await caughtUpAndSigning(index);
      assert.ok((await compareNodes(at.cluster)).equal);
    }
  });

  it('freeze and go on after a pause of two', async () => {
    await at.cluster.pause(2);
    await at.cluster.pause(3);
    const { signer, address } = at.account('alice');
    const tx = makeTransfer(at.genesis, signer, at.account('bob').address, {
      nonce: await nonceOf(at.rpc(1), address),
    });
    assert.equal((await submit(at.rpc(1), tx, 'sync')).json.status, 'pending');
    await at.cluster.resume(2);
    await at.cluster.resume(3);
    await untilFinal(rpcs(), toHex(tx.id));
    assert.ok((await compareNodes(at.cluster)).equal);
  });
});
