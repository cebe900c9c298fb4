import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../src/bytes.ts';
import { nodeLayout } from '../../testnet/layout.ts';
import { nodePorts } from '../../testnet/create.ts';
import { HOST } from '../../testnet/ports.ts';
import type { TestCluster } from './support.ts';
import { aitbc, get, height, makeTransfer, nonceOf, startCluster, submitFinal, until, untilFinal } from './support.ts';

/** Starts node `index` as a program of its own; it is expected to refuse and end. */
function startAlone(at: TestCluster, index: number): ReturnType<typeof aitbc> {
  return aitbc('start', '--home', at.cluster.node(index).home);
}

describe('a node refuses', function () {
  this.timeout(120_000);
  let at: TestCluster;
  const transfer = async (rpcIndex: number): Promise<string> => {
    const { signer, address } = at.account('alice');
    const rpc = at.rpc(rpcIndex);
    const tx = makeTransfer(at.genesis, signer, at.account('bob').address, { nonce: await nonceOf(rpc, address) });
    await submitFinal(rpc, tx);
    return toHex(tx.id);
  };
  const guardFolderOf = (index: number): string => {
    const { chain } = nodeLayout(at.cluster.node(index).home, at.genesis.chain.chainId);
    const name = readdirSync(chain).find((entry) => entry.startsWith('sign_guard'));
    assert.ok(name);
    return join(chain, name);
  };
  const doctor = async (index: number) => {
    const { code, stdout } = await aitbc('doctor', '--home', at.cluster.node(index).home, '--json');
    const { findings } = JSON.parse(stdout) as { findings: { check: string; level: string; what: string }[] };
    return { code, first: findings.find(({ level }) => level === 'fault') };
  };
  before(async () => {
    at = await startCluster({ validators: 3 });
    await untilFinal([1, 2, 3].map(at.rpc), await transfer(1));
  });
  after(() => at.close());

  it('a data folder in use, with exit code 3', async () => {
    const { code, stderr } = await startAlone(at, 1);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /DATA_LOCKED/);
    assert.equal((await get(`${at.rpc(1)}/rpc/status`)).status, 200);
    assert.deepEqual(await doctor(1), { code: 0, first: undefined });
  });

  it('a port in use, with exit code 3', async () => {
    await at.cluster.kill([3]);
    for (const port of nodePorts(at.cluster.node(3)).slice(0, 2)) {
      // Its peers go on dialling n3.
      const server = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) => server.listen(port, HOST, resolve));
      try {
        const { code, stderr } = await startAlone(at, 3);
        assert.equal(code, 3, stderr);
        assert.match(stderr, /PORT_IN_USE/);
        assert.ok(stderr.includes(String(port)), stderr);
      } finally {
        await new Promise((resolve) => server.close(resolve));
      }
    }
  });

  it('a data folder of a newer program, with exit code 3', async () => {
    const format = join(at.cluster.node(3).home, 'FORMAT');
    const before = readFileSync(format);
    writeFileSync(format, '999\n');
    const { code, stderr } = await startAlone(at, 3);
    writeFileSync(format, before);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /DATA_TOO_NEW/);
  });

  it('a genesis other than the one its blocks are of, with exit code 10', async () => {
    const { genesis } = nodeLayout(at.cluster.node(3).home, at.genesis.chain.chainId);
    const before = readFileSync(genesis, 'utf8');
    writeFileSync(genesis, JSON.stringify({ ...JSON.parse(before), time_ms: 1 }));
    const { code, stderr } = await startAlone(at, 3);
    const examined = await doctor(3);
    writeFileSync(genesis, before);
    assert.equal(code, 10, stderr);
    assert.deepEqual([examined.code, examined.first?.check], [10, 'genesis'], JSON.stringify(examined));
    assert.match(stderr, /WRONG_GENESIS/);
  });

  describe('to sign, and follows the chain all the same, with', () => {
    let old: string;
    before(async () => {
      // A copy of the guard as it was some blocks ago.
      old = join(at.cluster.dataDir, 'old-guard');
      cpSync(guardFolderOf(3), old, { recursive: true });
      await at.cluster.restart([3]);
      await until('n3 signs', async () => (await get(`${at.rpc(3)}/rpc/status`)).json.signing === true);
      for (let i = 0; i < 3; i++) await untilFinal([1, 2, 3].map(at.rpc), await transfer(1));
      await at.cluster.kill([3]);
    });

    const followsWithoutSigning = async (reason: RegExp): Promise<void> => {
      await at.cluster.restart([3]);
      const { height: reached } = await until('n3 has caught up', async () => {
        const { json } = await get(`${at.rpc(3)}/rpc/status`);
        return json.height >= (await height(at.rpc(1))) && json;
      });
      assert.ok(reached > 0);
      const id = await transfer(3);
      await untilFinal([1, 2, 3].map(at.rpc), id);
      const { json } = await get(`${at.rpc(3)}/rpc/status`);
      assert.equal(json.signing, false);
      assert.match(json.not_signing.join(' '), reason);
      const running = await doctor(3);
      assert.deepEqual([running.code, running.first?.check], [10, 'signing'], JSON.stringify(running));
      assert.match(running.first?.what ?? '', reason);
      await at.cluster.kill([3]);
    };

    it('an older sign guard', async () => {
      const guard = guardFolderOf(3);
      const current = join(at.cluster.dataDir, 'current-guard');
      cpSync(guard, current, { recursive: true });
      rmSync(guard, { recursive: true });
      cpSync(old, guard, { recursive: true });
      await followsWithoutSigning(/sign guard is older than the blocks/);
      rmSync(guard, { recursive: true });
      cpSync(current, guard, { recursive: true });
    });

    it('a corrupt sign guard', async () => {
      const guard = guardFolderOf(3);
      for (const name of ['a', 'b']) writeFileSync(join(guard, name), 'damage');
      await followsWithoutSigning(/sign guard cannot be used/);
    });
  });
});
