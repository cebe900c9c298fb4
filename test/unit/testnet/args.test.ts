import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { isNodeError } from '../../../src/errors.ts';
import { parseLauncherArgs } from '../../../testnet/args.ts';

const refused = (error: unknown): boolean => isNodeError(error) && error.kind.exit === 2;

describe('testnet arguments', () => {
  it('have the defaults of the contract', () => {
    const args = parseLauncherArgs([]);
    assert.equal(args.nodes, 3);
    assert.equal(args.chainId, 'ait-devnet');
    assert.ok(args.dataDir.endsWith('/.testnet/ait-devnet'));
    assert.equal(args.basePort, undefined);
    assert.equal(args.action, undefined);
  });

  it('take several chains, by number or by id', () => {
    const two = parseLauncherArgs(['--chains', '2']);
    assert.deepEqual([two.chainId, two.furtherChains], ['ait-devnet', ['ait-testnet']]);
    assert.ok(two.dataDir.endsWith('/.testnet/ait-devnet+ait-testnet'));
    const named = parseLauncherArgs(['--chains', 'my-testnet,ait-devnet']);
    assert.deepEqual([named.chainId, named.furtherChains], ['my-testnet', ['ait-devnet']]);
    for (const chains of ['0', '4', '', 'a,,b', 'ait-devnet,ait-devnet']) {
      assert.throws(() => parseLauncherArgs(['--chains', chains]), refused, chains);
    }
    assert.throws(() => parseLauncherArgs('--chains 2 --chain ait-devnet'.split(' ')), refused);
  });

  it('lay a cluster out on sites, with a folder of its own', () => {
    const args = parseLauncherArgs('--topology testnet/sites.json --chains 2'.split(' '));
    assert.equal(args.topologyPath, resolve('testnet/sites.json'));
    assert.ok(args.dataDir.endsWith('/.testnet/ait-devnet+ait-testnet@sites'));
    assert.equal(parseLauncherArgs('--topology testnet/sites.json --kill 2'.split(' ')).action?.type, 'kill');
    for (const other of ['--nodes 4', '--miners 1', '--detach', '--add']) {
      assert.throws(() => parseLauncherArgs(`--topology x.json ${other}`.split(' ')), refused, other);
    }
  });

  it('read every option', () => {
    const args = parseLauncherArgs(
      '--nodes 4 --miners 2 --chain ait-testnet --data here --base-port 26000 --detach --json'.split(' '),
    );
    assert.deepEqual(args, {
      help: false,
      action: undefined,
      nodes: 4,
      miners: 2,
      chainId: 'ait-testnet',
      furtherChains: [],
      dataDir: resolve('here'),
      topologyPath: undefined,
      basePort: 26000,
      accounts: 0,
      detach: true,
      json: true,
    });
  });

  it('take one action at a time', () => {
    assert.deepEqual(parseLauncherArgs(['--kill', '2']).action, { type: 'kill', node: 2 });
    assert.deepEqual(parseLauncherArgs(['--kill', 'n2']).action, { type: 'kill', node: 2 });
    assert.deepEqual(parseLauncherArgs(['--restart', 'm1']).action, { type: 'restart', node: 'm1' });
    assert.deepEqual(parseLauncherArgs(['--down']).action, { type: 'down' });
    assert.throws(() => parseLauncherArgs(['--kill', '2', '--restart', '2']), refused);
  });

  it('refuse what they do not know', () => {
    for (const argv of [
      ['--nodes', 'x'],
      ['--nodes', '0'],
      ['--nodes', '-1'],
      ['--bogus'],
      ['3'],
      ['--kill'],
      ['--kill', '1.5'],
      ['--kill', 'mx'],
      ['--miners', 'x'],
    ]) {
      assert.throws(() => parseLauncherArgs(argv), refused, argv.join(' '));
    }
  });
});
