import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { loadConfig } from '../../../src/config.ts';
import { homeLayout } from '../../../src/config/home.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RunningNode } from '../../../src/node.ts';
import { startNode } from '../../../src/node.ts';
import { readMarketKey } from '../../../src/node/client-wallet.ts';
import { createKeystore } from '../../../src/wallet/keystore.ts';
import { genesisJson, seed, signer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { ask, post } from '../rpc/http.ts';

describe('the jobs of a node', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-market-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const keyFile = (): string => {
    const path = join(folder, 'key');
    writeFileSync(path, `${toHex(seed('account-0'))}\n`, { mode: 0o600 });
    return path;
  };

  const start = (home: string, market: Record<string, unknown>): Promise<RunningNode> =>
    startNode({
      home,
      config: loadConfig({
        flags: {
          ...{ 'rpc.listen': '127.0.0.1:0', 'metrics.listen': 'off', 'admin.socket': 'off' },
          ...{ 'p2p.listen': ['/ip4/127.0.0.1/tcp/0'], ...market },
        },
      }),
      log: nopLogger,
    });

  const makeHome = (): string => {
    const home = join(folder, 'home');
    const { chain, validatorKey, genesis, nodeKey } = homeLayout(home, 'ait-devnet');
    mkdirSync(chain, { recursive: true, mode: 0o700 });
    mkdirSync(join(home, 'identity'), { mode: 0o700 });
    writeFileSync(genesis, JSON.stringify(genesisJson({ powers: [1] })));
    writeFileSync(validatorKey, `${toHex(seed('validator-0'))}\n`, { mode: 0o600 });
    writeFileSync(nodeKey, `${toHex(seed('node'))}\n`, { mode: 0o600 });
    chmodSync(home, 0o700);
    return home;
  };

  it('wait for a miner, are kept over a restart, and end with it; without a wallet there are none', async () => {
    const home = makeHome();
    const market = { 'market.key_file': keyFile() };
    let node = await start(home, market);
    try {
      const submitted = await post(node.rpcUrl, '/v1/jobs', { prompt: 'Capital?' }, { 'idempotency-key': 'k' });
      assert.equal(submitted.status, 201, submitted.text);
      const { job_id } = submitted.json;
      const why = await ask(node.rpcUrl, `/v1/jobs/${job_id}/why`);
      assert.match(why.json.summary, /there is none now/);
      assert.deepEqual((await ask(node.rpcUrl, '/v1/models')).json.data, []);
      await node.stop();
      node = await start(home, market);
      const view = await ask(node.rpcUrl, `/v1/jobs/${job_id}`);
      assert.equal(view.json.state, 'QUEUED', view.text);
      const again = await post(node.rpcUrl, '/v1/jobs', { prompt: 'Capital?' }, { 'idempotency-key': 'k' });
      assert.equal(again.json.job_id, job_id);
      // Nine jobs of the largest price, with the fees of opening agreements, are within the budget of a day.
      const more = () => post(node.rpcUrl, '/v1/jobs', { prompt: 'More?' });
      for (let i = 0; i < 8; i++) assert.equal((await more()).status, 201);
      assert.equal((await more()).json.code, 'BUDGET_SPENT');
      assert.equal((await ask(node.rpcUrl, `/v1/jobs/${job_id}`, { method: 'DELETE' })).json.state, 'CANCELED');
      await waitFor('the settlement', async () => (await more()).status === 201);
      await node.stop();
      node = await start(home, {});
      assert.equal((await more()).json.code, 'METHOD_DISABLED');
    } finally {
      await node.stop();
    }
  });

  it('are paid by a key file on chains of development alone, and by a wallet with its password everywhere', async () => {
    const { market } = loadConfig({});
    const code = (given: Partial<typeof market>, chainId: string) =>
      readMarketKey({ ...market, ...given }, chainId).then(
        (key) => key && toHex(key.publicKey),
        (error: { code: string }) => error.code,
      );
    const own = toHex(signer('account-0').publicKey);
    const file = keyFile();
    assert.equal(await code({}, 'ait-devnet'), null);
    assert.equal(await code({ keyFile: file }, 'ait-devnet'), own);
    assert.equal(await code({ keyFile: file }, 'ait-testnet'), 'DEV_KEY');
    const write = async (name: string, devnetOnly: boolean): Promise<string> => {
      const options = { name, seed: seed('account-0'), password: 'correct horse', devnetOnly, scryptN: 1024 };
      const path = join(folder, `${name}.json`);
      writeFileSync(path, JSON.stringify(await createKeystore(options)));
      return path;
    };
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'correct horse\n');
    const wallet = await write('payer', false);
    assert.equal(await code({ wallet, passwordFile }, 'ait-mainnet'), own);
    assert.equal(await code({ wallet, passwordFile: wallet }, 'ait-mainnet'), 'WRONG_PASSWORD');
    assert.equal(await code({ wallet }, 'ait-mainnet'), 'CONFIG');
    assert.equal(await code({ wallet, keyFile: file }, 'ait-devnet'), 'CONFIG');
    assert.equal(await code({ wallet: join(folder, 'none'), passwordFile }, 'ait-devnet'), 'KEY_FILE');
    const playMoney = { wallet: await write('play', true), passwordFile };
    assert.equal(await code(playMoney, 'ait-testnet'), 'DEV_KEY');
    assert.equal(await code(playMoney, 'ait-devnet'), own);
  });
});
