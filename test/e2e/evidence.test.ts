/** One key on two machines: what each signs contradicts the other, and the chain takes its power. Real processes. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import { compareNodes } from '../../testnet/compare.ts';
import { nodeLayout } from '../../testnet/layout.ts';
import type { Flow, TestCluster } from './support.ts';
import { aitbc, get, height, keepSending, startCluster, until } from './support.ts';

/** The validator whose key is copied, and the node that the copy is on. */
const ORIGINAL = 4;
const CONVICTION_MS = 120_000;

describe('a validator key on two machines', function () {
  this.timeout(300_000);
  let at: TestCluster;
  let copy: number;
  let load: Flow[];
  let convictedAt: number;

  const layout = (index: number) => nodeLayout(at.cluster.node(index).home, 'ait-devnet');
  const log = (index: number): string => readFileSync(layout(index).log, 'utf8');
  const status = async (index: number) => (await get(`${at.rpc(index)}/rpc/status`)).json;
  const block = async (number: number) => (await get(`${at.rpc(1)}/rpc/blocks/${number}?transactions=hashes`)).json;
  const blocks = async (count: number): Promise<void> => {
    const from = await height(at.rpc(1));
    await until(`${count} more blocks`, async () => (await height(at.rpc(1))) >= from + count);
  };

  before(async () => {
    at = await startCluster({ validators: 4 });
    load = ['alice', 'carol'].map((name, i) => keepSending(at, () => 1 + i, name, 'bob'));
    await blocks(2);
    copy = await at.cluster.add();
    await at.cluster.kill([copy]);
    rmSync(layout(copy).validatorKey);
    copyFileSync(layout(ORIGINAL).validatorKey, layout(copy).validatorKey);
    await at.cluster.restart([copy]);
  });

  after(() => at.close());

  it('lands as evidence in a block', async () => {
    let looked = 0;
    convictedAt = await until(
      'evidence in a block',
      async () => {
        for (const head = await height(at.rpc(1)); looked < head; looked++) {
          const { evidence } = await block(looked + 1);
          if (evidence.length === 0) continue;
          assert.equal(evidence[0].validator, at.cluster.node(ORIGINAL).validator);
          return looked + 1;
        }
        return undefined;
      },
      CONVICTION_MS,
    );
  });

  it('has no power from two heights later on, and the chain goes on', async () => {
    await until('two blocks more', async () => (await height(at.rpc(1))) >= convictedAt + 4);
    const sets = await Promise.all([0, 1, 2].map(async (later) => (await block(convictedAt + later)).validators_hash));
    assert.equal(sets[1], sets[0]);
    assert.notEqual(sets[2], sets[1]);
    const { current } = (await get(`${at.rpc(1)}/rpc/validators`)).json;
    assert.equal(current.validators.length, 3);
    assert.ok(
      current.validators.every((one: { public_key: string }) => one.public_key !== at.cluster.node(ORIGINAL).validator),
    );
    await blocks(5);
  });

  it('is told so on both machines, which follow', async () => {
    for (const index of [ORIGINAL, copy]) {
      const reasons = await until(`n${index} says it`, async () => {
        const { signing, not_signing: found } = await status(index);
        return signing === false && found.some((reason: string) => reason.includes('lost its power for good')) && found;
      });
      assert.ok(reasons);
      assert.ok(log(index).includes('convicted of signing twice'));
    }
    assert.ok([ORIGINAL, copy].some((index) => log(index).includes('another process signs with this key')));
    const { stdout } = await aitbc('status', '--rpc', at.rpc(ORIGINAL));
    assert.match(stdout, /lost its power for good/);
    await at.cluster.restart([copy]);
    await until('it knows after a restart', async () =>
      (await status(copy)).not_signing.join().includes('lost its power'),
    );
    await until('it follows', async () => (await height(at.rpc(copy))) >= (await height(at.rpc(1))) - 1);
  });

  it('and nobody else was touched', async () => {
    const counts = await Promise.all(load.map((flow) => flow.stop()));
    assert.ok(counts.every((count) => count > 0));
    for (let number = convictedAt + 1; number <= (await height(at.rpc(1))); number++) {
      assert.deepEqual((await block(number)).evidence, [], `block ${number}`);
    }
    await until('all hold one chain', async () => (await compareNodes(at.cluster)).equal);
  });
});
