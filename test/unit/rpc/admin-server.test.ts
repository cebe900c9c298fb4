import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { isNodeError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { fetchOver } from '../../../src/cli/admin-socket.ts';
import { startAdminServer } from '../../../src/rpc/admin-server.ts';
import { MAX_PATH_BYTES } from '../../../src/rpc/unix-socket.ts';
import { createClient } from '../../../src/sdk/client.ts';
import { memoryAccess } from '../../util/access.ts';
import { collectLines } from '../../util/log-lines.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask } from './http.ts';

describe('admin socket', () => {
  let folder: string;
  let path: string;
  let node: ReturnType<typeof fakeNode>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-admin-'));
    path = join(folder, 'admin.sock');
    node = fakeNode(new FakeNode(), new FakeNode({ chainId: 'ait-testnet' }));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const start = (at = path, log = nopLogger) => startAdminServer(at, { api: node, keys: memoryAccess().keys, log });
  const failsWith = (code: ErrorCode, at?: string) =>
    assert.rejects(start(at), (error) => isNodeError(error) && error.code === code && error.hint !== undefined);

  it('starts and stops chains, for this user alone, and the log says so', async () => {
    const { log, lines } = collectLines();
    const server = await start(path, log);
    try {
      assert.equal(statSync(path).mode & 0o777, 0o600);
      const client = createClient({ url: 'http://localhost', fetch: fetchOver(path) });
      assert.equal((await client.stopChain('ait-testnet')).chain_id, 'ait-testnet');
      assert.equal((await client.startChain('ait-testnet')).chain_id, 'ait-testnet');
      await assert.rejects(client.startChain('ait-other'), { code: 'UNKNOWN_CHAIN' });
      assert.deepEqual(node.acts, ['stop ait-testnet', 'start ait-testnet']);
      const audit = lines.filter(({ msg }) => msg === 'operator request');
      assert.deepEqual(
        audit.map(({ path: asked, status }) => [asked, status]),
        [
          ['/api/chains/ait-testnet/stop', 200],
          ['/api/chains/ait-testnet/start', 200],
          ['/api/chains/ait-other/start', 404],
        ],
      );
    } finally {
      await server.close();
    }
    assert.throws(() => statSync(path), 'the socket goes with the server');
  });

  it('bound: five requests a second', async () => {
    const server = await start();
    try {
      const answers = [];
      for (let i = 0; i < 30; i++) answers.push(await ask(`unix:${path}`, '/api/chains/x/stop', { method: 'POST' }));
      const refused = answers.filter(({ status }) => status === 429);
      assert(refused.length > 0 && refused[0]?.headers['retry-after'] === '1');
    } finally {
      await server.close();
    }
  });

  it('takes the place of one that a killed process left, never of one that answers or of a file', async () => {
    const killed = fork(new URL('./admin-process.ts', import.meta.url), [path]);
    await once(killed, 'message');
    await failsWith('PORT_IN_USE');
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    assert(statSync(path).isSocket());
    await (await start()).close();

    writeFileSync(path, 'a file');
    await failsWith('CONFIG');
    rmSync(path);
    writeFileSync(join(folder, 'other'), 'another');
    symlinkSync(join(folder, 'other'), path);
    await failsWith('CONFIG');
    assert(statSync(join(folder, 'other')).isFile());
  });

  it(`bound: ${MAX_PATH_BYTES} bytes of path`, async () => {
    const fill = (bytes: number): string => join(folder, 'x'.repeat(bytes - folder.length - 1));
    await (await start(fill(MAX_PATH_BYTES))).close();
    await failsWith('CONFIG', fill(MAX_PATH_BYTES + 1));
  });

  it('is in no folder that others may enter', async () => {
    for (const mode of [0o755, 0o711, 0o770, 0o1777]) {
      chmodSync(folder, mode);
      await failsWith('CONFIG');
    }
    chmodSync(folder, 0o700);
    await failsWith('CONFIG', join(folder, 'none', 'admin.sock'));
    mkdirSync(join(folder, 'inner'), { mode: 0o700 });
    await (await start(join(folder, 'inner', 'admin.sock'))).close();
  });

  it('tells who asks without a node what is wrong', async () => {
    const client = createClient({ url: 'http://localhost', fetch: fetchOver(path), timeoutMs: 50 });
    await assert.rejects(client.stopChain('ait-devnet'), { code: 'UNREACHABLE' });
    const silent = createServer().listen(path);
    await once(silent, 'listening');
    await assert.rejects(client.stopChain('ait-devnet'), { code: 'TIMEOUT' });
    silent.close();
  });
});
