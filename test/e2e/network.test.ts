/** From nothing to a network of three sites and a follower, by the commands that people type. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../../testnet/ports.ts';
import type { NodePorts } from '../../testnet/ports.ts';
import { cliHere } from '../unit/cli/in-process.ts';
import { spawnCli } from '../unit/cli/run.ts';
import { aitbc, get, until } from './support.ts';

const SITES = ['at1', 'aitbc1', 'ns3'];

describe('a network of three sites', function () {
  this.timeout(120_000);
  let folder: string;
  let password: string;
  const ports: NodePorts[] = [];
  const children: ChildProcess[] = [];
  const rpcOf = (index: number): string => `http://127.0.0.1:${ports[index]?.rpc ?? 0}`;
  const listenAt = ({ p2p, rpc }: NodePorts): string[] => [
    ...['--p2p-listen', `/ip4/127.0.0.1/tcp/${p2p}`, '--rpc-listen', `127.0.0.1:${rpc}`],
    ...['--metrics-listen', 'off'],
  ];
  const here = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cliHere([...args, '--password-file', password]);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-e2e-'));
    password = join(folder, 'password');
    writeFileSync(password, 'correct horse battery\n');
    for (let i = 0; i <= SITES.length; i++) {
      ports.push(await freePorts(new Set(ports.flatMap(({ p2p, rpc, metrics }) => [p2p, rpc, metrics]))));
    }
  });

  after(async () => {
    await Promise.all(
      children
        .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
        .map((child) => {
          const gone = new Promise((resolve) => child.once('exit', resolve));
          child.kill('SIGTERM');
          return gone;
        }),
    );
    rmSync(folder, { recursive: true, force: true });
  });

  it('is made, started from its bundles, and joined with nothing but the document that its nodes serve', async () => {
    const out = join(folder, 'net');
    // One of them by name, as sites on other machines are.
    const hosts = SITES.flatMap((site, i) => [
      ...['--host', `${site}=${i === 0 ? 'localhost' : '127.0.0.1'}:${ports[i]?.p2p ?? 0}`],
    ]);
    const said = await here('network', 'new', 'ait-devnet', ...hosts, '--out', out);
    assert.match(said, /Survives the loss of any one site/);
    for (const [i, site] of SITES.entries()) {
      const own = ports[i];
      assert(own);
      const home = join(folder, site);
      await here('init', '--home', home, '--bundle', out, '--name', `${site}-1`, ...listenAt(own));
      children.push(spawnCli(['start', '--home', home]));
    }
    await until('all three are ready', async () => {
      const answers = await Promise.all(SITES.map((_, i) => get(`${rpcOf(i)}/readyz`)));
      return answers.every(({ status }) => status === 200);
    });
    const home = join(folder, 'at1');
    const { json } = await get(`${rpcOf(0)}/rpc/join`);
    const [peer = ''] = json.sites[0].peers as string[];
    assert.match(peer, /^\/dns\/localhost\//);
    await here('network', 'show', peer, '--chain', 'ait-devnet', '--genesis-hash', json.genesis_hash);

    const to = (JSON.parse(await here('wallet', 'list', '--home', join(folder, 'ns3'), '--json')) as Wallets).wallets;
    await here('send', to[0]?.address ?? '', '5', '--home', home, '-y');

    const own = ports[SITES.length];
    assert(own);
    const follower = join(folder, 'follower');
    const joining = spawnCli(['join', rpcOf(1), '--home', follower, '-y', '--stay', ...listenAt(own)]);
    children.push(joining);
    let told = '';
    for (const stream of [joining.stdout, joining.stderr])
      stream.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await until('the follower says "Synced"', () => Promise.resolve(/^Synced: ait-devnet, block 1 /m.test(told))).catch(
      (error: unknown) => assert.fail(`${String(error)}\n${told}`),
    );
    // It has what others join with, too.
    assert.equal((await get(`${rpcOf(SITES.length)}/rpc/join`)).status, 200);
    await until('doctor finds nothing', async () => {
      const { code, stdout } = await aitbc('doctor', '--home', follower, '--json');
      const { findings } = JSON.parse(stdout) as { findings: { check: string; level: string }[] };
      return code === 0 && findings.every(({ level }) => level === 'ok');
    });
    joining.kill('SIGTERM');
    await until('it has ended', () => Promise.resolve(joining.exitCode !== null));
    assert.equal(joining.exitCode, 0, told);
  });
});

interface Wallets {
  readonly wallets: readonly { readonly address: string }[];
}
