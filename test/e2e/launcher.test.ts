import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { REPOSITORY } from '../../testnet/layout.ts';
import type { Manifest } from '../../testnet/manifest.ts';
import { freePorts, HOST } from '../../testnet/ports.ts';
import { processId } from '../../testnet/processes.ts';
import { sessionOf } from '../util/child-processes.ts';
import type { Finished } from './support.ts';
import { aitbc, get, head, height, testnet, until } from './support.ts';

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

describe('npm run testnet', function () {
  this.timeout(180_000);
  let dataDir: string;
  const run = (...args: string[]): Promise<Finished> => testnet('--data', dataDir, ...args);
  const manifest = (): Manifest => JSON.parse(readFileSync(join(dataDir, 'testnet.json'), 'utf8'));
  const node = (index: number): Manifest['nodes'][number] => {
    const found = manifest().nodes.find((candidate) => candidate.index === index);
    assert.ok(found);
    return found;
  };
  const send = async (index: number): Promise<{ height: number; hash: string }> => {
    const [alice, bob] = manifest().accounts;
    assert.ok(alice?.key_file && bob);
    const sent = await aitbc(
      'send',
      bob.address,
      '1',
      '--key-file',
      alice.key_file,
      '--rpc',
      node(index).rpc,
      '-y',
      '--json',
    );
    assert.equal(sent.code, 0, sent.stderr);
    const result = JSON.parse(sent.stdout);
    assert.deepEqual(Object.keys(result).sort(), ['code', 'hash', 'height', 'status']);
    assert.equal(result.status, 'final');
    return result;
  };
  before(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'aitbc-launcher-'));
  });
  after(async () => {
    await run('--down');
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('has actions that exit with 5 while no cluster runs', async () => {
    for (const action of [
      ['--kill', '1'],
      ['--restart', '1'],
      ['--pause', '1'],
      ['--resume', '1'],
      ['--add'],
      ['--down'],
    ]) {
      assert.equal((await run(...action)).code, 5, action.join(' '));
    }
  });

  it('exits with 3 when a port is in use, and starts nothing', async () => {
    const ports = await freePorts(new Set());
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(ports.p2p + 1, HOST, resolve));
    try {
      const other = join(dataDir, 'blocked');
      const { code, stderr } = await testnet(
        '--nodes',
        '1',
        '--data',
        other,
        '--base-port',
        String(ports.p2p),
        '--detach',
      );
      assert.equal(code, 3, stderr);
      assert.match(stderr, /PORT_IN_USE/);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('starts a detached cluster whose file is the contract', async () => {
    const { p2p: basePort } = await freePorts(new Set());
    const started = performance.now();
    const { code, stdout, stderr } = await run('--nodes', '3', '--base-port', String(basePort), '--detach', '--json');
    assert.equal(code, 0, stderr);
    process.stderr.write(`      ready in ${Math.round(performance.now() - started)} ms (bar 10000)\n`);
    const text = readFileSync(join(dataDir, 'testnet.json'), 'utf8');
    assert.equal(stdout, text);
    const cluster = JSON.parse(lastLine(stdout)) as Manifest;
    assert.deepEqual(Object.keys(cluster).sort(), [
      'accounts',
      'chain_id',
      'genesis_hash',
      'nodes',
      'quorum',
      'version',
    ]);
    assert.deepEqual([cluster.version, cluster.chain_id, cluster.quorum], [1, 'ait-devnet', 2]);
    assert.match(cluster.genesis_hash, /^[0-9a-f]{64}$/);
    cluster.nodes.forEach((item, i) => {
      assert.deepEqual(Object.keys(item).sort(), [
        'home',
        'index',
        'metrics',
        'name',
        'p2p',
        'peer_id',
        'pid',
        'rpc',
        'state',
        'validator',
      ]);
      assert.deepEqual([item.index, item.name, item.state], [i + 1, `n${i + 1}`, 'running']);
      assert.equal(item.rpc, `http://127.0.0.1:${basePort + 10 * i + 1}`);
      assert.equal(item.p2p, `/ip4/127.0.0.1/tcp/${basePort + 10 * i}/p2p/${item.peer_id}`);
      assert.ok(item.pid !== null && processId(item.pid));
    });
    for (const account of cluster.accounts) {
      assert.deepEqual(Object.keys(account).sort(), ['address', 'balance_uait', 'key_file', 'name']);
      assert.ok(account.key_file);
      assert.match(readFileSync(account.key_file, 'utf8').trim(), /^[0-9a-f]{64}$/);
      assert.equal(statSync(account.key_file).mode & 0o777, 0o600);
    }
    for (const { rpc, peer_id, validator } of cluster.nodes) {
      const { json } = await get(`${rpc}/rpc/status`);
      assert.deepEqual([json.peer_id, json.validator], [peer_id, validator]);
      assert.equal((await fetch(`${rpc}/readyz`)).status, 200);
    }
    const metrics = await fetch(cluster.nodes[0]?.metrics ?? '');
    assert.equal(metrics.status, 200);
  });

  it('takes a transfer by the command line', async () => {
    await send(1);
  });

  it('refuses a second start, unknown nodes and other options', async () => {
    assert.equal((await run('--nodes', '3', '--detach')).code, 3);
    assert.equal((await run('--nodes', '4', '--detach')).code, 3);
    for (const action of ['--kill', '--restart', '--pause', '--resume'])
      assert.equal((await run(action, '9')).code, 4, action);
    assert.equal((await run('--kill', 'x')).code, 2);
  });

  it('kills and restarts a node', async () => {
    const { pid } = node(2);
    assert.equal((await run('--kill', '2')).code, 0);
    assert.deepEqual([node(2).pid, node(2).state], [null, 'killed']);
    assert.ok(pid !== null && !processId(pid));
    await send(1);
    const { code, stdout } = await run('--restart', '2', '--json');
    assert.equal(code, 0);
    assert.equal(lastLine(stdout), readFileSync(join(dataDir, 'testnet.json'), 'utf8').trim());
    assert.equal(node(2).state, 'running');
    await until('n2 has caught up', async () => (await height(node(2).rpc)) >= (await height(node(1).rpc)));
  });

  it('pauses and resumes a node', async () => {
    assert.equal((await run('--pause', '3')).code, 0);
    assert.equal(node(3).state, 'paused');
    await send(1);
    assert.equal((await run('--resume', '3')).code, 0);
    assert.equal(node(3).state, 'running');
    await until('n3 has caught up', async () => (await height(node(3).rpc)) >= (await height(node(1).rpc)));
  });

  it('adds a node that follows', async () => {
    const { code, stderr } = await run('--add');
    assert.equal(code, 0, stderr);
    const added = node(4);
    assert.equal(added.name, 'n4');
    assert.equal(Number(new URL(added.rpc).port), Number(new URL(node(1).rpc).port) + 30);
    await until('n4 follows', async () => (await height(added.rpc)) >= (await height(node(1).rpc)));
    const { json } = await get(`${added.rpc}/rpc/status`);
    assert.equal(json.signing, false);
    const { height: at } = await send(1);
    await until('n4 has the new block', async () => (await height(added.rpc)) >= at);
  });

  it('is brought down without a trace, and resumes the chain on the same ports', async () => {
    const before = manifest();
    const { height: at } = await send(1);
    assert.equal((await run('--down')).code, 0);
    for (const { pid } of before.nodes) assert.ok(pid !== null && !processId(pid));
    assert.ok(manifest().nodes.every(({ state, pid }) => state === 'stopped' && pid === null));
    assert.equal((await run('--down')).code, 5);
    assert.equal((await run('--nodes', '3', '--detach', '--json')).code, 0);
    assert.deepEqual(
      manifest().nodes.map(({ rpc, p2p }) => [rpc, p2p]),
      before.nodes.map(({ rpc, p2p }) => [rpc, p2p]),
    );
    assert.equal(manifest().genesis_hash, before.genesis_hash);
    const head1 = await head(node(1).rpc);
    assert.ok(head1 && head1.height >= at);
    assert.ok((await send(2)).height > at);
    assert.equal((await run('--down')).code, 0);
  });

  it('in the foreground ends all nodes on Ctrl-C, which reaches none of them: they share the session of their launcher', async () => {
    const { child, ready } = foreground(dataDir);
    await ready;
    const { nodes } = manifest();
    assert.ok(child.pid !== undefined);
    if (process.platform === 'linux') {
      const sessions = await Promise.all(nodes.map(({ pid }) => sessionOf(pid ?? 0)));
      assert.equal(new Set(sessions).size, 1);
      assert.notEqual(sessions[0], await sessionOf(child.pid));
    }
    const exited = once(child, 'exit');
    // As the terminal does: to all of the group in front.
    process.kill(-child.pid, 'SIGINT');
    const [code] = await exited;
    assert.equal(code, 0);
    for (const { pid } of nodes) assert.ok(pid !== null && !processId(pid));
  });

  it('in the foreground leaves no node behind when it is killed itself', async () => {
    const { child, ready } = foreground(dataDir);
    await ready;
    const { nodes } = manifest();
    child.kill('SIGKILL');
    for (const { pid } of nodes) {
      await until('the node ends with its launcher', () => Promise.resolve(pid !== null && !processId(pid)));
    }
    assert.equal((await run('--kill', '1')).code, 5);
  });

  it('reports a node that ends by itself, and can start it again from another terminal', async () => {
    const { child, ready, output } = foreground(dataDir);
    await ready;
    const { pid } = node(1);
    assert.ok(pid !== null);
    process.kill(pid, 'SIGKILL');
    await until('the report', () => Promise.resolve(/n1 ended unexpectedly: killed by SIGKILL/.test(output())));
    assert.equal((await run('--restart', '1')).code, 0);
    assert.equal(node(1).state, 'running');
    const exited = once(child, 'exit');
    assert.equal((await run('--down')).code, 0);
    await exited;
  });
});

function foreground(dataDir: string): {
  child: ReturnType<typeof spawn>;
  ready: Promise<unknown>;
  output: () => string;
} {
  const program = [join(REPOSITORY, 'testnet', 'session.ts'), join(REPOSITORY, 'testnet', 'main.ts')];
  const child = spawn(process.execPath, [...program, '--data', dataDir, '--nodes', '3'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const ready = until('the cluster is ready', () => {
    if (child.exitCode !== null) throw new Error(text);
    return Promise.resolve(text.includes('Ready in'));
  });
  return { child, ready, output: () => text };
}
