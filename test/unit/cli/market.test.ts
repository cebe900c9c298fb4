import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { addressText, seed, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import { cliHere } from './in-process.ts';
import type { Ended } from './run.ts';
import { makeFolder, removeFolder } from './run.ts';

describe('command line of the market', () => {
  let folder: string;
  let server: RpcServer;

  beforeEach(async () => {
    folder = makeFolder();
    const node = new FakeNode();
    node.autoCommit = true;
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
  });

  afterEach(async () => {
    await server.close();
    removeFolder(folder);
  });

  const ask = (...args: string[]): Promise<Ended> =>
    cliHere([...args, '--rpc', server.url, '--json'], { AITBC_HOME: folder });

  async function pay(name: string, ...args: string[]): Promise<Ended> {
    const path = join(folder, `${name}.key`);
    writeFileSync(path, `${toHex(seed(name))}\n`, { mode: 0o600 });
    const ended = await ask(...args, '--key-file', path, '-y');
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(ended.json.code, 0);
    return ended;
  }

  it('stakes, opens, tops up, extends and closes', async () => {
    const refused = async (code: number, ...args: string[]): Promise<void> => {
      assert.equal((await ask(...args, '--key-file', join(folder, 'account-1.key'), '-y')).code, code);
    };
    await pay('account-1', 'miner', 'stake', '3');
    await refused(2, 'miner', 'unstake', '2.5');
    await refused(2, 'agreement', 'open', addressText('account-1'), '9999uait', '--for', '10m');
    await refused(7, 'agreement', 'open', addressText('account-2'), '5', '--for', '10m');
    await pay('account-1', 'miner', 'unstake', '1');
    const stake = await ask('miner', 'show', addressText('account-1'));
    assert.deepEqual([stake.json.staked_uait, stake.json.cooling_uait], ['2000000', '1000000']);

    const open = ['agreement', 'open', addressText('account-1'), '5', '--for', '10m'];
    const unsigned = await ask(...open, '--key-file', join(folder, 'account-1.key'), '--unsigned');
    assert.equal(unsigned.code, 0, unsigned.stderr);
    assert.match(unsigned.stderr, /It opens agreement [0-9a-f]{64}\./);
    const file = join(folder, 'unsigned.json');
    writeFileSync(file, unsigned.stdout);
    assert.equal((await ask('tx', 'decode', file)).json.transaction.type, unsigned.json.transaction.type);

    const opened = await pay('account-0', 'agreement', 'open', addressText('account-1'), '5', '--for', '10m');
    const id: string = opened.json.agreement;
    assert.match(id, /^[0-9a-f]{64}$/);
    const first = await ask('agreement', 'show', id);
    assert.equal(first.json.signer, toHex(signer('account-0').publicKey));
    await pay('account-0', 'agreement', 'topup', id, '500000uait');
    await pay('account-0', 'agreement', 'extend', id, '--for', '20m');
    await pay('account-0', 'agreement', 'close', id);
    const { json } = await ask('agreement', 'show', id);
    assert.deepEqual([json.state, json.cap_uait, json.held_uait], ['closing', '5500000', '5500000']);
    assert.ok(Date.parse(json.expires_at) >= Date.parse(first.json.expires_at) + 600_000);

    assert.equal((await ask('agreement', 'show', '00'.repeat(32))).code, 4);
  }).timeout(60_000);
});
