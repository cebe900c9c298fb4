import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config.ts';
import type { Ended, Env } from './run.ts';
import { cliHere as cli } from './in-process.ts';
import { makeFolder, removeFolder } from './run.ts';

describe('config show', () => {
  let home: string;

  beforeEach(() => {
    home = makeFolder();
    mkdirSync(join(home, 'identity'));
    writeFileSync(join(home, 'identity', 'store_key'), `${'5e'.repeat(32)}\n`, { mode: 0o600 });
    writeFileSync(join(home, 'config.toml'), 'name = "n1"\n[rpc]\nlisten = "127.0.0.1:4"\n');
  });

  afterEach(() => {
    removeFolder(home);
  });

  const run = (args: readonly string[], env: Env = {}): Promise<Ended> =>
    cli(['config', 'show', ...args], { AITBC_HOME: home, ...env });

  it('names flag, variable, file or default of each option, and shows no secret', async () => {
    const env = { AITBC_LOG_LEVEL: 'debug', AITBC_NAME: 'n2' };
    const words = await run(['--origin', '--no-sign'], env);
    const json = await run(['--json', '--no-sign'], env);
    const plain = await run([]);
    const line = (option: string): string =>
      words.stdout.split('\n').find((text) => text.startsWith(`${option} =`)) ?? '';
    assert.match(line('name'), /^name = "n2" +# env AITBC_NAME$/);
    assert.match(line('log.level'), /^log\.level = "debug" +# env AITBC_LOG_LEVEL$/);
    assert.match(line('rpc.listen'), /^rpc\.listen = "127\.0\.0\.1:4" +# file .*config\.toml$/);
    assert.match(line('consensus.sign'), /^consensus\.sign = false +# flag$/);
    assert.match(line('mempool.journal'), /^mempool\.journal = true +# default$/);
    const settings = json.json.settings as { option: string; value: unknown; origin: string; source: string | null }[];
    assert.deepEqual(
      settings.find(({ option }) => option === 'name'),
      { option: 'name', value: 'n2', origin: 'env', source: 'AITBC_NAME' },
    );
    for (const { stdout } of [words, json, plain]) assert(!stdout.includes('5e5e'));
    assert.equal(loadConfig({ fileText: plain.stdout }).name, 'n1', 'without --origin it is a config.toml');
  });

  it('reads, and makes nothing', async () => {
    const before = readFileSync(join(home, 'config.toml'), 'utf8');
    assert.equal((await run([])).code, 0);
    assert.deepEqual(readdirSync(home).sort(), ['config.toml', 'identity']);
    assert.equal(readFileSync(join(home, 'config.toml'), 'utf8'), before);
    const unknown = await run([], { AITBC_RCP_LISTEN: 'x' });
    assert.equal(unknown.code, 3);
    assert.match(unknown.stderr, /did you mean AITBC_RPC_LISTEN/);
  });

  it('check tells whether a node would start with them', async () => {
    const check = (env: Env = {}): Promise<Ended> => cli(['config', 'check', '--json'], { AITBC_HOME: home, ...env });
    const good = await check({ AITBC_LOG_LEVEL: 'debug' });
    assert.equal(good.code, 0, good.stderr);
    assert.deepEqual(good.json.set, ['name', 'rpc.listen', 'log.level']);
    for (const env of [{ AITBC_LOG_LEVEL: 'loud' }, { AITBC_SNAPSHOT_TRUST_HEIGHT: '7' }, { AITBC_NO_SUCH: '1' }]) {
      const bad = await check(env);
      assert.deepEqual([bad.code, JSON.parse(bad.stderr).error.code], [3, 'CONFIG']);
    }
  });
}).timeout(30_000);
