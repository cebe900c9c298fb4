import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAX_PART_BYTES } from '../../../src/cli/debug-bundle.ts';
import { homeLayout } from '../../../src/config/home.ts';
import { toHex } from '../../../src/bytes.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { genesisJson, seed } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import { cliHere } from './in-process.ts';
import { makeFolder, removeFolder } from './run.ts';

describe('aitbc debug bundle', () => {
  let folder: string;
  let home: string;
  let server: RpcServer;

  beforeEach(async () => {
    folder = makeFolder();
    home = join(folder, 'home');
    const { chain, genesis, nodeKey, validatorKey, config, keystore } = homeLayout(home, 'ait-devnet');
    for (const path of [chain, keystore, join(home, 'identity')]) mkdirSync(path, { recursive: true, mode: 0o700 });
    server = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 } },
      { api: fakeNode(new FakeNode()), log: nopLogger },
    );
    writeFileSync(config, `[rpc]\nlisten = "${new URL(server.url).host}"\n[metrics]\nlisten = "off"\n`);
    writeFileSync(genesis, JSON.stringify(genesisJson()));
    for (const [path, name] of [
      [nodeKey, 'node'],
      [validatorKey, 'validator-0'],
    ] as const) {
      writeFileSync(path, toHex(seed(name)), { mode: 0o600 });
    }
  });

  afterEach(async () => {
    await server.close();
    removeFolder(folder);
  });

  const bundle = (...args: string[]) => cliHere(['debug', 'bundle', join(folder, 'out'), '--home', home, ...args]);
  const all = (): string =>
    readdirSync(join(folder, 'out'))
      .map((name) => readFileSync(join(folder, 'out', name), 'utf8'))
      .join('\n');

  it('holds what the node tells, says what is inside, and none of the keys', async () => {
    const key = `aitbc_abc123_${'0f'.repeat(32)}`;
    const log = join(folder, 'log');
    writeFileSync(log, `before\n{"msg":"asked","key":"${key}","password":"hunter2"}\nseed: hunter2\nafter\n`);
    const { code, stderr, json } = await bundle('--log', log, '--json');
    assert.equal(code, 0, stderr);
    assert.deepEqual(new Set([...json.files, 'README.txt']), new Set(readdirSync(join(folder, 'out'))));
    assert.equal(statSync(join(folder, 'out')).mode & 0o777, 0o700);
    const text = all();
    assert.equal(JSON.parse(readFileSync(join(folder, 'out', 'status.json'), 'utf8')).chain_id, 'ait-devnet');
    assert.match(text, /metrics\.txt\s+all metrics: not to be had \(METHOD_DISABLED\)/);
    assert.match(text, /before/);
    assert.match(text, /after/);
    for (const secret of [toHex(seed('node')), toHex(seed('validator-0')), key, 'hunter2']) {
      assert(!text.includes(secret), secret);
    }
    assert.equal((await bundle()).code, 7, 'nothing that is there is written into');
  });

  it('is made of a node that does not answer too', async () => {
    await server.close();
    const { code, stderr } = await bundle();
    assert.equal(code, 0, stderr);
    assert.match(all(), /status\.json\s+head, state, pool: not to be had \(UNREACHABLE\)/);
    assert.match(readFileSync(join(folder, 'out', 'config.json'), 'utf8'), /rpc\.listen/);
  });

  it(`bound: at most ${MAX_PART_BYTES} bytes of the end of a log`, async () => {
    const log = join(folder, 'log');
    writeFileSync(log, `first ${'x'.repeat(2 * MAX_PART_BYTES)} last`);
    assert.equal((await bundle('--log', log)).code, 0);
    const text = readFileSync(join(folder, 'out', 'log.txt'), 'utf8');
    assert(text.length <= MAX_PART_BYTES + 100);
    assert(text.endsWith('last') && !text.includes('first'));
  });
});
