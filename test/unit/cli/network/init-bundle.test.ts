import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { homeLayout } from '../../../../src/config/home.ts';
import { cliHere } from '../in-process.ts';
import type { Ended } from '../run.ts';
import { CHAIN_ID, configOf, useNetworkFolder } from './network-folder.ts';

describe('aitbc init --bundle', () => {
  const made = useNetworkFolder();
  const { at } = made;
  const init = (home: string, ...args: string[]): Promise<Ended> =>
    cliHere([
      'init',
      '--home',
      at(home),
      '--bundle',
      at('bundles'),
      ...args,
      '--password-file',
      made.passwordFile,
      '--json',
    ]);

  it('makes the home of one node: keys for its owner alone, genesis, document, peers, the wallet of its operator', async () => {
    const done = await init('at1', '--name', 'at1-1', '--rpc-listen', '127.0.0.1:7777');
    assert.equal(done.code, 0, done.stderr);
    const layout = homeLayout(at('at1'), CHAIN_ID);
    for (const path of [layout.nodeKey, layout.validatorKey, layout.config, layout.genesis, layout.joinDocument]) {
      assert.equal(statSync(path).mode & 0o777, 0o600, path);
    }
    const config = configOf(at('at1'));
    assert.deepEqual([config.name, config.chains, config.rpc.listen.port], ['at1-1', [CHAIN_ID], 7777]);
    assert.deepEqual(
      config.p2p.peers.map((peer) => peer.split('/')[2]),
      ['aitbc1', 'ns3'],
    );
    assert.ok(JSON.stringify(made.network.genesisJson['modules']).includes(done.json.validator));
    const wallets = await cliHere(['wallet', 'list', '--home', at('at1'), '--json']);
    assert.deepEqual([wallets.json.wallets[0].name, wallets.json.wallets[0].address], ['at1-1', done.json.operator]);
    const again = await init('at1', '--name', 'at1-1');
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(
      new Set(again.json.files.map(({ action }: { action: string }) => action)),
      new Set(['found', 'changed']),
    );
  });

  it('changes nothing with a wrong password, for a home with other keys, or unless it is said which bundle is meant', async () => {
    writeFileSync(at('wrong'), 'another password\n');
    const bundle = at('bundles', 'ns3-1.bundle.json');
    const wrong = await cliHere(['init', '--home', at('none'), '--bundle', bundle, '--password-file', at('wrong')]);
    assert.deepEqual([wrong.code, /WRONG_PASSWORD/.test(wrong.stderr)], [6, true]);
    const both = await init('none');
    assert.deepEqual([both.code, /--name/.test(both.stderr)], [2, true]);
    assert.equal((await init('none', '--name', 'at9-1')).code, 2);
    assert.equal((await init('none', '--name', 'ns3-1', '--genesis', at('x'))).code, 2);
    assert.equal((await init('none', '--name', 'ns3-1', '--chain', 'ait-mainnet')).code, 7);
    assert.throws(() => statSync(at('none')));
    await cliHere(['init', '--home', at('other'), '--chain', CHAIN_ID]);
    const key = readFileSync(homeLayout(at('other'), CHAIN_ID).validatorKey, 'utf8');
    const taken = await init('other', '--name', 'ns3-1');
    assert.deepEqual([taken.code, /KEY_EXISTS/.test(taken.stderr)], [10, true]);
    assert.equal(readFileSync(homeLayout(at('other'), CHAIN_ID).validatorKey, 'utf8'), key);
    assert.throws(() => statSync(homeLayout(at('other'), CHAIN_ID).genesis));
  });
});
