import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GlobalOptions } from '../../../src/cli/context.ts';
import { contextOf } from '../../../src/cli/context.ts';
import { makeFolder, removeFolder } from './run.ts';

describe('the node that is asked', () => {
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

  const find = (options: GlobalOptions = {}) => {
    const context = contextOf({ home: join(folder, 'home'), ...options }, [root]);
    return [context.client().url, context.cluster()?.account?.name ?? null];
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

  it('is the one given, the one of the home, a local cluster that runs, or the usual one', () => {
    assert.deepEqual(find(), ['http://127.0.0.1:8006', null]);
    cluster('b', 20_000);
    cluster('a', 30_000, {}, null);
    assert.deepEqual(find(), ['http://127.0.0.1:20001', 'alice']);
    assert.deepEqual(find({ chain: 'ait-testnet' }), ['http://127.0.0.1:8006', null]);
    mkdirSync(join(folder, 'home'));
    writeFileSync(join(folder, 'home', 'config.toml'), '[rpc]\nlisten = "127.0.0.1:7000"\n');
    assert.deepEqual(find(), ['http://127.0.0.1:7000', null]);
    process.env['AITBC_RPC'] = 'http://127.0.0.1:7001';
    assert.deepEqual(find(), ['http://127.0.0.1:7001', null]);
    assert.deepEqual(find({ rpc: 'http://127.0.0.1:20001' }), ['http://127.0.0.1:20001', 'alice']);
  });

  it('is none of a file that is damaged, and brings no account without a key', () => {
    cluster('a', 20_000, { accounts: [{ name: 'alice', key_file: null }] });
    assert.deepEqual(find(), ['http://127.0.0.1:20001', null]);
    for (const text of ['', '{}', '{"nodes":1}', ' '.repeat(2 * 1024 * 1024)]) {
      writeFileSync(join(root, 'a', 'testnet.json'), text);
      assert.deepEqual(find(), ['http://127.0.0.1:8006', null]);
    }
  });
});
