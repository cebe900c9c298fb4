/** deploy/nginx.conf, tried where nginx is installed. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { connectLive } from '../../../src/sdk/live.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask, askBegin } from './http.ts';

const CONF = readFileSync(new URL('../../../deploy/nginx.conf', import.meta.url), 'utf8');
const NAME = 'node.example';

describe('a node behind nginx', () => {
  let folder: string;
  let node: FakeNode;
  let server: RpcServer;
  let nginx: ChildProcess;
  let url: string;

  before(async function () {
    if (spawnSync('nginx', ['-v']).error) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'aitbc-nginx-'));
    node = new FakeNode();
    const listen = { host: '127.0.0.1', port: 0 };
    const options = { hosts: [NAME], trustedProxies: ['127.0.0.1'], rates: { read: 10, heavy: 10, write: 10 } };
    server = await startRpcServer({ listen, ...options }, { api: fakeNode(node), log: nopLogger });
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const site = CONF.replace('127.0.0.1:8006', new URL(server.url).host).replace('listen 80;', `listen ${port};`);
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(folder, name)};`,
    );
    const http = ['access_log off;', ...paths, site].join('\n');
    const main = `daemon off; pid ${join(folder, 'pid')}; error_log stderr; events {}\nhttp { ${http} }\n`;
    writeFileSync(join(folder, 'nginx.conf'), main);
    nginx = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await waitFor('nginx', async () => (await ask(url, '/livez').catch(() => null))?.status === 200);
  });

  after(async () => {
    if (!nginx) return;
    const ended = new Promise((resolve) => nginx.once('close', resolve));
    nginx.kill('SIGTERM');
    await ended;
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('answers under its name, and under no other', async () => {
    assert.equal((await ask(url, '/rpc/status', { headers: { host: NAME } })).status, 200);
    assert.equal((await ask(url, '/rpc/status', { headers: { host: 'evil.example' } })).json.code, 'FORBIDDEN');
  });

  it('answers where the replaced system stood', async () => {
    node.produce([]);
    const headers = { host: NAME };
    for (const path of ['/rpc/head', '/api/chains', '/api/v1/health', '/explorer/api/blocks/1', '/health']) {
      assert.equal((await ask(url, path, { headers })).status, 200, path);
    }
    assert.equal((await ask(url, '/wallet/balance', { headers })).status, 410);
  });

  it('passes WebSockets and events on as they come', async () => {
    const heights: number[] = [];
    const live = connectLive({ url });
    try {
      live.subscribe('blocks', {
        onEvent: ({ height }) => heights.push(height),
        onError: (error) => assert.fail(error),
      });
      await waitFor('the subscription', () => live.state === 'open' && node.listeners > 0);
      const before = node.applied.length;
      node.produce([]);
      await waitFor('the block', () => heights.length > 0);
      assert.deepEqual(heights, [before + 1]);
    } finally {
      live.close();
    }
    const stream = await askBegin(url, '/v1/stream?topics=blocks&from_height=1', { headers: { host: NAME } });
    assert.equal(stream.status, 200);
    assert.match(stream.text, /^retry: 3000/);
  });

  it('tells the node who asks: each client has limits of its own', async () => {
    const codeOf = async (forwarded: string): Promise<number> => {
      const headers = { host: NAME, 'x-forwarded-for': forwarded };
      return (await ask(url, '/rpc/status', { headers })).status;
    };
    const statuses = await Promise.all(Array.from({ length: 40 }, () => codeOf('203.0.113.7')));
    // What comes from this machine names itself; the proxy is believed, and so is who it names.
    assert(statuses.includes(429));
    assert.equal(await codeOf('203.0.113.8'), 200);
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
