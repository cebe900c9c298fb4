import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GlobalOptions } from '../../../../src/cli/context.ts';
import { contextOf } from '../../../../src/cli/context.ts';
import { findNode } from '../../../../src/cli/jobs/find-node.ts';
import { makeFolder, removeFolder } from '../run.ts';

describe('the node that a job goes through', () => {
  let folder: string;
  let root: string;
  const before = process.env['AITBC_RPC'];

  beforeEach(() => {
    folder = makeFolder();
    root = join(folder, '.testnet');
    delete process.env['AITBC_RPC'];
  });

  afterEach(() => {
    if (before === undefined) delete process.env['AITBC_RPC'];
    else process.env['AITBC_RPC'] = before;
    removeFolder(folder);
  });

  const find = async (options: GlobalOptions = {}) => {
    const { context, account } = await findNode(contextOf({ home: join(folder, 'home'), ...options }), [root]);
    return [context.client().url, account?.name ?? null];
  };

  function cluster(name: string, port: number, change: object = {}, pid: number | null = process.pid): void {
    mkdirSync(join(root, name), { recursive: true });
    const nodes = [
      { rpc: `http://127.0.0.1:${port}`, pid: null, state: 'killed' },
      { rpc: `http://127.0.0.1:${port + 1}`, pid, state: 'running' },
    ];
    const accounts = [{ name: 'alice', key_file: '/keys/alice' }];
    const manifest = { chain_id: 'ait-devnet', nodes, accounts, ...change };
    writeFileSync(join(root, name, 'testnet.json'), JSON.stringify(manifest));
  }

  it('is the one given, the one of the home, a local cluster that runs, or the usual one', async () => {
    assert.deepEqual(await find(), ['http://127.0.0.1:8006', null]);
    cluster('b', 20_000);
    cluster('a', 30_000, {}, null);
    assert.deepEqual(await find(), ['http://127.0.0.1:20001', 'alice']);
    assert.deepEqual(await find({ chain: 'ait-testnet' }), ['http://127.0.0.1:8006', null]);
    mkdirSync(join(folder, 'home'));
    writeFileSync(join(folder, 'home', 'config.toml'), '[rpc]\nlisten = "127.0.0.1:7000"\n');
    assert.deepEqual(await find(), ['http://127.0.0.1:7000', null]);
    process.env['AITBC_RPC'] = 'http://127.0.0.1:7001';
    assert.deepEqual(await find(), ['http://127.0.0.1:7001', null]);
    assert.deepEqual(await find({ rpc: 'http://127.0.0.1:20001' }), ['http://127.0.0.1:20001', 'alice']);
  });

  it('brings no account off development networks, and is none of a file that is damaged', async () => {
    cluster('a', 20_000, { chain_id: 'ait-testnet' });
    assert.deepEqual(await find(), ['http://127.0.0.1:20001', null]);
    for (const text of ['', '{}', '{"nodes":1}', ' '.repeat(2 * 1024 * 1024)]) {
      writeFileSync(join(root, 'a', 'testnet.json'), text);
      assert.deepEqual(await find(), ['http://127.0.0.1:8006', null]);
    }
  });
});
