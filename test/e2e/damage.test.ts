import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/bytes.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { nodeLayout } from '../../testnet/layout.ts';
import type { TestCluster } from './support.ts';
import { aitbc, get, height, makeTransfer, nonceOf, startCluster, submitFinal, until, untilFinal } from './support.ts';

describe('a validator whose database is damaged', function () {
  this.timeout(120_000);
  let at: TestCluster;
  const transfer = async (): Promise<void> => {
    const { signer, address } = at.account('alice');
    const nonce = await nonceOf(at.rpc(1), address);
    const tx = makeTransfer(at.genesis, signer, at.account('bob').address, { nonce });
    await submitFinal(at.rpc(1), tx);
    await untilFinal([at.rpc(2)], toHex(tx.id));
  };
  before(async () => {
    at = await startCluster({ validators: 3 });
    for (let i = 0; i < 3; i++) await transfer();
    await until('n3 holds them', async () => (await height(at.rpc(3))) >= 3);
  });
  after(() => at.close());

  it('refuses to start, says how to repair it, and after that catches up and signs safely', async () => {
    const { home } = at.cluster.node(3);
    const { database } = nodeLayout(home, at.genesis.chain.chainId);
    await at.cluster.kill([3]);
    // The first start writes what the log holds into a table.
    await at.cluster.restart([3]);
    await transfer();
    await at.cluster.kill([3]);
    const table = readdirSync(database).find((name) => name.endsWith('.ldb'));
    assert.ok(table);
    const bytes = readFileSync(join(database, table));
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    writeFileSync(join(database, table), bytes);

    const { code, stderr } = await aitbc('start', '--home', home);
    assert.equal(code, 11, stderr);
    assert.match(stderr, /CORRUPT/);
    assert.match(stderr, /move that folder away and start again/);

    renameSync(database, `${database}.damaged`);
    await at.cluster.restart([3]);
    await until('n3 has caught up and signs', async () => {
      const { json } = await get(`${at.rpc(3)}/rpc/status`);
      return json.signing === true && json.height >= (await height(at.rpc(1)));
    });
    // Its vote is needed now.
    await at.cluster.kill([2]);
    const before = await height(at.rpc(1));
    const { signer, address } = at.account('alice');
    const nonce = await nonceOf(at.rpc(1), address);
    const tx = makeTransfer(at.genesis, signer, at.account('bob').address, { nonce });
    await submitFinal(at.rpc(1), tx);
    assert.ok((await height(at.rpc(1))) > before);
    await at.cluster.restart([2]);
    assert.ok((await compareNodes(at.cluster)).equal);
  });
});
