import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nopLogger } from '../../../src/log.ts';
import type { AdminServer } from '../../../src/rpc/admin-server.ts';
import { startAdminServer } from '../../../src/rpc/admin-server.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { memoryAccess } from '../../util/access.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import { cliHere } from './in-process.ts';
import { makeFolder, removeFolder } from './run.ts';

describe('aitbc key', () => {
  let home: string;
  let admin: AdminServer;
  let server: RpcServer;

  beforeEach(async () => {
    home = makeFolder();
    mkdirSync(join(home, 'run'), { mode: 0o700 });
    const { access, keys } = memoryAccess({ requireApiKey: true });
    const modules = { api: fakeNode(new FakeNode()), log: nopLogger };
    admin = await startAdminServer(join(home, 'run', 'admin.sock'), { ...modules, keys });
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { ...modules, access });
  });

  afterEach(async () => {
    await admin.close();
    await server.close();
    removeFolder(home);
  });

  const key = (...args: string[]) => cliHere(['--home', home, 'key', ...args]);

  it('makes a key that is shown once, lists it with its budget, and ends it', async () => {
    const shop = ['--scope', 'read', '--scope', 'jobs', '--budget-per-day', '10ait', '--models', 'a,b'];
    const made = await key('create', 'shop', ...shop, '--expires', '30d', '--json');
    assert.equal(made.code, 0, made.stderr);
    const { key: text, id, ...rest } = made.json as Record<string, string>;
    assert.match(text ?? '', /^aitbc_k/);
    assert.equal(Date.parse(rest['expires_at'] ?? '') - Date.parse(rest['created_at'] ?? ''), 30 * 86_400_000);
    assert.equal(rest['budget_per_day_uait'], '10000000');
    const shown = await key('create', 'plain');
    assert.match(shown.stdout, /^aitbc_k[0-9a-f]{12}_[0-9a-f]{64}\n$/);
    assert.match(shown.stderr, /read, submit[^]*shown once/);
    const { stdout } = await key('list');
    assert.match(stdout, /shop +read,jobs +active +\S+ +10 AIT +0 AIT\n/);
    assert(!stdout.includes(text ?? '-'));
    assert.equal((await key('revoke', id ?? '')).stdout, `${id}: revoked\n`);
    assert.match((await key('list')).stdout, /shop +read,jobs +revoked/);
  });

  it('says what is wrong', async () => {
    for (const [args, code, words] of [
      [['create', 'shop', '--scope', 'jobs'], 2, /--budget-per-day/],
      [['create', 'shop', '--budget-per-day', '1'], 2, /go together/],
      [['create', 'shop', '--scope', 'all'], 2, /read, submit, jobs/],
      [['create', 'a shop'], 2, /name/],
      [['revoke', 'k1'], 4, /aitbc key list/],
      [['list', '--rpc', 'http://127.0.0.1:1'], 2, /not over --rpc/],
    ] as const) {
      const ended = await key(...args);
      assert.equal(ended.code, code, ended.stderr);
      assert.match(ended.stderr, words);
    }
  });

  it('writes a key into a file that other commands read it from', async () => {
    const file = join(home, 'shop.key');
    assert.equal((await key('create', 'shop', '--file', file)).code, 0);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const again = await key('create', 'other', '--file', file);
    assert.equal(again.code, 10, again.stderr);
    assert.match((await key('list')).stdout, /other +read,submit +revoked/);

    const list = ['--rpc', server.url, 'chain', 'list', '--json'];
    const without = await cliHere(list);
    assert.equal(without.code, 6, without.stderr);
    const sure = await cliHere([...list, '--api-key-file', file]);
    assert.equal(sure.code, 0, sure.stderr);
    assert.equal((await cliHere(list, { AITBC_API_KEY_FILE: file })).code, 0);
    writeFileSync(file, readFileSync(file, 'utf8').slice(1));
    assert.equal((await cliHere([...list, '--api-key-file', file])).code, 3);
  });
});
