import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../src/bytes.ts';
import { homeLayout } from '../../src/config/home.ts';
import { createClient } from '../../src/sdk/client.ts';
import { connectLive } from '../../src/sdk/live.ts';
import { fixtureGenesis, genesisJson, makeTransfer, seed } from '../util/chain-fixture.ts';
import { waitFor } from '../util/wait.ts';
import { cli, makeFolder, removeFolder, spawnCli } from '../unit/cli/run.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('live events of a node', function () {
  this.timeout(60_000);
  let folder: string;
  let child: ChildProcess | undefined;

  beforeEach(() => {
    folder = makeFolder();
  });

  afterEach(async () => {
    await kill();
    removeFolder(folder);
  });

  async function kill(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child?.on('close', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  it('go on without gap or double over kills of its process, as its store has them', async () => {
    const home = join(folder, 'home');
    const json = genesisJson({ powers: [1], timeMs: Date.now() - 60_000 });
    const genesis = fixtureGenesis({ powers: [1], timeMs: Number((json as { time_ms: number }).time_ms) });
    writeFileSync(join(folder, 'genesis.json'), JSON.stringify(json));
    const { chain, validatorKey } = homeLayout(home, 'ait-devnet');
    mkdirSync(chain, { recursive: true, mode: 0o700 });
    writeFileSync(validatorKey, `${toHex(seed('validator-0'))}\n`, { mode: 0o600 });
    const listen = `127.0.0.1:${await freePort()}`;
    const made = await cli([
      ...['init', '--home', home, '--genesis', join(folder, 'genesis.json'), '--rpc-listen', listen],
      ...['--metrics-listen', 'off', '--p2p-listen', '/ip4/127.0.0.1/tcp/0'],
    ]);
    assert.equal(made.code, 0, made.stderr);

    const client = createClient({ url: `http://${listen}` });
    const start = async (): Promise<void> => {
      child = spawnCli(['start', '--home', home]);
      child.stderr?.resume();
      await waitFor('the node', async () => (await client.status().catch(() => null))?.state === 'synced');
    };
    await start();
    const heads: { height: number; hash: string }[] = [];
    const txs: string[] = [];
    const steps = new Set<string>();
    const live = connectLive({ url: client.url, waits: { firstMs: 20, longestMs: 200 } });
    live.subscribe('blocks', { fromHeight: 1, onEvent: ({ height, hash }) => heads.push({ height, hash }) });
    live.subscribe('txs', {
      fromHeight: 1,
      onEvent: (event) => {
        if ('transactions' in event) txs.push(...event.transactions.map(({ hash }) => hash));
      },
    });
    live.subscribe('consensus', { onEvent: ({ step }) => steps.add(step) });
    const sent: string[] = [];
    let nonce = 0;
    try {
      for (let run = 0; run < 3; run++) {
        for (let i = 0; i < 4; i++) {
          const tx = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce: nonce++ });
          sent.push(toHex(tx.id));
          assert.equal((await client.sendTransaction(tx.bytes, 'commit')).status, 'final');
        }
        if (run === 2) break;
        await kill();
        await start();
      }
      await waitFor('all transactions', () => txs.length >= sent.length);
    } finally {
      live.close();
    }
    assert.deepEqual(txs, sent);
    assert.deepEqual(
      heads.map(({ height }) => height),
      heads.map((_, i) => i + 1),
    );
    for (const { height, hash } of heads) assert.equal((await client.block(height)).hash, hash);
    assert(steps.has('precommit'), [...steps].join(', '));
  });
});
