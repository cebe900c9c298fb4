import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { loadConfig } from '../../../src/config.ts';
import { homeLayout } from '../../../src/config/home.ts';
import { addressText, genesisJson, seed, signer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import type { Ended } from './run.ts';
import { cli, makeFolder, removeFolder, spawnCli } from './run.ts';

/** A home whose only validator is the fixture's first. */
function writeKeys(home: string): void {
  const { chain, validatorKey } = homeLayout(home, 'ait-devnet');
  mkdirSync(chain, { recursive: true, mode: 0o700 });
  writeFileSync(validatorKey, `${toHex(seed('validator-0'))}\n`, { mode: 0o600 });
}

interface Running {
  readonly rpc: string;
  stderr(): string;
  signal(name: 'SIGINT' | 'SIGTERM' | 'SIGHUP'): void;
  readonly exit: Promise<number | null>;
}

async function startNode(home: string, ...args: string[]): Promise<Running> {
  const child = spawnCli(['start', '--home', home, ...args]);
  let stderr = '';
  let ended = false;
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const exit = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      ended = true;
      resolve(code);
    });
  });
  const ready = (): RegExpExecArray | null => /"rpc":"([^"]+)"/.exec(stderr);
  await waitFor('the node to be ready', () => ready() !== null || ended);
  const rpc = ready()?.[1];
  assert(rpc, stderr);
  return { rpc, stderr: () => stderr, signal: (name) => child.kill(name), exit };
}

describe('init and start', () => {
  let folder: string;
  let home: string;

  beforeEach(() => {
    folder = makeFolder();
    home = join(folder, 'home');
    writeFileSync(join(folder, 'genesis.json'), JSON.stringify(genesisJson({ powers: [1] })));
  });

  afterEach(() => {
    removeFolder(folder);
  });

  const init = (...args: string[]): Promise<Ended> =>
    cli([
      ...['init', '--home', home, '--genesis', join(folder, 'genesis.json'), '--rpc-listen', '127.0.0.1:0'],
      ...['--metrics-listen', 'off', '--p2p-listen', '/ip4/127.0.0.1/tcp/0', ...args],
    ]);

  it('keeps an encrypted database with --encrypt, opens it with its key alone, and takes a new key', async () => {
    const made = await init('--encrypt', '--json');
    assert.equal(made.code, 0, made.stderr);
    const { storeKey } = homeLayout(home, 'ait-devnet');
    assert.equal(made.json.store_key, storeKey);
    assert.equal(statSync(storeKey).mode & 0o777, 0o600);
    const run = async (): Promise<void> => {
      const node = await startNode(home);
      node.signal('SIGTERM');
      assert.equal(await node.exit, 0, node.stderr());
    };
    await run();
    const other = join(folder, 'other-key');
    const rotated = await cli(['node', 'rotate-store-key', '--home', home, '--to', other, '--json']);
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.deepEqual(rotated.json.chains, ['ait-devnet']);
    const refused = await cli(['start', '--home', home]);
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /KEY_FILE/);
    const hex = readFileSync(other, 'utf8').trim();
    assert.match(hex, /^[0-9a-f]{64}$/);
    for (const text of [rotated.stdout, rotated.stderr, refused.stderr]) assert.equal(text.includes(hex), false);
    writeFileSync(storeKey, `${hex}\n`);
    await run();
  });

  it('makes a home once and finds it again', async () => {
    const first = await init('--name', 'n1', '--json');
    assert.equal(first.code, 0, first.stderr);
    assert.equal(first.json.chain_id, 'ait-devnet');
    assert.match(first.json.peer_id, /^12D3KooW/);
    assert(first.json.files.every(({ action }: { action: string }) => action === 'generated'));
    const layout = homeLayout(home, 'ait-devnet');
    for (const path of [layout.nodeKey, layout.validatorKey, layout.config]) {
      assert.equal(statSync(path).mode & 0o777, 0o600, path);
    }
    const key = readFileSync(layout.validatorKey, 'utf8');
    const second = await init();
    assert.equal(second.code, 0, second.stderr);
    assert.equal(second.stdout.match(/^Found /gm)?.length, 4);
    assert.doesNotMatch(second.stdout, /Generated/);
    assert.equal(readFileSync(layout.validatorKey, 'utf8'), key);
  });

  it('adds a chain to a home that has one', async () => {
    assert.equal((await init()).code, 0);
    const path = homeLayout(home, '').config;
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n# mine\n`);
    writeFileSync(join(folder, 'genesis.json'), JSON.stringify(genesisJson({ powers: [1], chainId: 'ait-testnet' })));
    const second = await init('--json');
    assert.equal(second.code, 0, second.stderr);
    assert.equal(second.json.chain_id, 'ait-testnet');
    const text = readFileSync(path, 'utf8');
    assert.deepEqual(loadConfig({ fileText: text }).chains, ['ait-devnet', 'ait-testnet']);
    assert.match(text, /# mine\n$/);
    const keys = ['ait-devnet', 'ait-testnet'].map((id) => readFileSync(homeLayout(home, id).validatorKey, 'utf8'));
    assert.notEqual(keys[0], keys[1]);
    writeFileSync(path, text.replace(/^chains = .*$/m, 'chains = [\n  "ait-devnet",\n]'));
    const third = await init();
    assert.equal(third.code, 0, third.stderr);
    assert.match(third.stderr, /add ait-testnet to "chains"/);
  });

  it('refuses another genesis than the one in place, and one of another chain', async () => {
    assert.equal((await init()).code, 0);
    writeFileSync(join(folder, 'genesis.json'), JSON.stringify(genesisJson({ powers: [1, 1] })));
    const other = await init();
    assert.equal(other.code, 10);
    assert.match(other.stderr, /WRONG_GENESIS/);
    assert.equal((await init('--chain', 'ait-mainnet')).code, 3);
    writeFileSync(join(folder, 'genesis.json'), '{');
    assert.equal((await init()).code, 3);
  });

  it('exits 3 without genesis, with a bad option, and with an unknown one', async () => {
    const run = (...args: string[]): Promise<Ended> => cli(['start', '--home', home, ...args]);
    assert.equal((await cli(['init', '--home', home])).code, 0);
    const missing = await run(
      '--rpc-listen',
      '127.0.0.1:0',
      '--p2p-listen',
      '/ip4/127.0.0.1/tcp/0',
      '--metrics-listen',
      'off',
    );
    assert.equal(missing.code, 3, missing.stderr);
    assert.match(missing.stderr, /aitbc init/);
    assert.equal((await run('--rpc-listen', 'nowhere')).code, 3);
    writeFileSync(homeLayout(home, 'x').config, '[rcp]\nlisten = "127.0.0.1:1"\n');
    const unknown = await run();
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /rpc\.listen/);
  });

  it('runs a node that finalises a transfer, stops on SIGTERM with 0, and goes on where it was', async () => {
    writeKeys(home);
    const made = await init('--json');
    assert.equal(made.json.validator, toHex(signer('validator-0').publicKey), made.stderr);
    const node = await startNode(home);
    await waitFor('readiness', async () => (await fetch(`${node.rpc}/readyz`)).status === 200);
    const keyFile = join(folder, 'account-0');
    writeFileSync(keyFile, toHex(seed('account-0')), { mode: 0o600 });
    const sent = await cli(
      ['send', addressText('account-1'), '1', '--key-file', keyFile, '--rpc', node.rpc, '-y', '--json'],
      { AITBC_HOME: home },
    );
    assert.equal(sent.code, 0, sent.stderr);
    assert.equal(sent.json.height, 1);

    const { config } = homeLayout(home, 'ait-devnet');
    const text = readFileSync(config, 'utf8');
    const hangUp = async (change: string, answer: RegExp): Promise<void> => {
      writeFileSync(config, change);
      node.signal('SIGHUP');
      await waitFor('the answer in the log', () => answer.test(node.stderr()));
    };
    const changed = `name = "other"\n${text.replace('# reads_per_s = 60', 'reads_per_s = 7').replace(/^name = .*$/m, '')}`;
    await hangUp(changed, /"taken":\["rpc\.reads_per_s"\],"needRestart":\["name"\]/);
    await hangUp('[', /"level":"error".*configuration was not taken/);
    writeFileSync(config, text);

    const locked = await cli(['start', '--home', home]);
    assert.equal(locked.code, 3, locked.stderr);
    assert.match(locked.stderr, /DATA_LOCKED/);

    node.signal('SIGTERM');
    assert.equal(await node.exit, 0, node.stderr());
    const again = await startNode(home);
    const head = await (await fetch(`${again.rpc}/rpc/head`)).json();
    assert.equal((head as { height: number }).height, 1);
    again.signal('SIGINT');
    assert.equal(await again.exit, 0, again.stderr());
  });

  it('exits 3 when its port is in use or its folder is newer', async () => {
    writeKeys(home);
    assert.equal((await init()).code, 0);
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const { port } = blocker.address() as AddressInfo;
    const used = await cli(['start', '--home', home, '--rpc-listen', `127.0.0.1:${port}`]);
    await new Promise((resolve) => blocker.close(resolve));
    assert.equal(used.code, 3, used.stderr);
    assert.match(used.stderr, /PORT_IN_USE/);
    writeFileSync(join(home, 'FORMAT'), '99\n');
    const newer = await cli(['start', '--home', home]);
    assert.equal(newer.code, 3, newer.stderr);
    assert.match(newer.stderr, /DATA_TOO_NEW/);
  });
}).timeout(120_000);
