import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { ERRORS, NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { startAdminServer } from '../../../src/rpc/admin-server.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { createKeystore } from '../../../src/wallet/keystore.ts';
import { memoryAccess } from '../../util/access.ts';
import { addressText, makeTransfer, seed, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import type { Ended, Env } from './run.ts';
import { cli, makeFolder, removeFolder } from './run.ts';

const PASSWORD = 'correct horse';

describe('command line', () => {
  let folder: string;
  let node: FakeNode;
  let server: RpcServer;

  beforeEach(async () => {
    folder = makeFolder();
    node = new FakeNode();
    node.autoCommit = true;
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
  });

  afterEach(async () => {
    await server.close();
    removeFolder(folder);
  });

  const run = (args: readonly string[], env: Env = {}): Promise<Ended> => cli(args, { AITBC_HOME: folder, ...env });
  const ask = (...args: string[]): Promise<Ended> => run([...args, '--rpc', server.url]);

  function keyFile(name: string): string {
    const path = join(folder, `${name}.key`);
    writeFileSync(path, `${toHex(seed(name))}\n`, { mode: 0o600 });
    return path;
  }

  function passwordFile(password = PASSWORD): string {
    const path = join(folder, 'password');
    writeFileSync(path, `${password}\n`);
    return path;
  }

  describe('usage', () => {
    it('shows help on stdout, with the exit codes', async () => {
      for (const args of [
        ['--help'],
        ['help'],
        ['send', '--help'],
        ['wallet', 'create', '--help'],
        ['validator', 'propose', 'add', '--help'],
      ]) {
        const { code, stdout } = await run(args);
        assert.equal(code, 0, args.join(' '));
        assert.match(stdout, /Usage: aitbc/);
      }
      assert.match((await run(['--help'])).stdout, /12 storage failure/);
    });

    const wrong = [
      [],
      ['nosuch'],
      ['wallet'],
      ['wallet', 'nosuch'],
      ['send'],
      ['send', 'x'],
      ['status', '--nosuch'],
      ['status', 'extra'],
      ['status', '--timeout', '5'],
      ['validator', 'vote', 'x'],
      ['validator', 'propose', 'add'],
      ['send', addressText('account-1'), '1e3', '-y'],
      ['send', addressText('account-1'), '1', '-y', '--from', 'a', '--key-file', 'b'],
      ['send', addressText('account-1'), '1', '-y', '--memo', 'x'.repeat(257)],
      ['status', '--rpc', 'localhost'],
    ];
    for (const args of wrong) {
      it(`exits 2 on: ${args.join(' ').slice(0, 60)}`, async () => {
        const { code, stdout, stderr } = await run(args.includes('--rpc') ? args : [...args, '--rpc', server.url]);
        assert.equal(code, 2, stderr);
        assert.equal(stdout, '');
        assert.notEqual(stderr, '');
      });
    }

    it('says its version', async () => {
      const { json } = await run(['version', '--json']);
      assert.equal(json.version, JSON.parse(readFileSync('package.json', 'utf8')).version);
    });

    it('takes global options before and after the command', async () => {
      const before = await run(['--rpc', server.url, '--json', 'status']);
      const after = await run(['status', '--json', '--rpc', server.url]);
      assert.equal(before.code, 0);
      assert.deepEqual(before.json, after.json);
    });
  });

  describe('exit codes', () => {
    const one = new Map<number, ErrorCode>();
    for (const [code, { exit }] of Object.entries(ERRORS)) if (!one.has(exit)) one.set(exit, code as ErrorCode);
    for (const [exit, code] of one) {
      it(`${exit} for ${code}`, async () => {
        node.fault = new NodeError(code, 'what happened', { hint: 'what to do' });
        const { code: got, stdout, stderr } = await ask('status', '--json');
        assert.equal(got, exit);
        assert.equal(stdout, '');
        assert.deepEqual(JSON.parse(stderr).error.code, code);
      });
    }

    it('5 when nobody answers', async () => {
      const blocker = createServer();
      await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
      const { port } = blocker.address() as AddressInfo;
      await new Promise((resolve) => blocker.close(resolve));
      const { code, stderr } = await run(['status', '--rpc', `http://127.0.0.1:${port}`]);
      assert.equal(code, 5);
      assert.match(stderr, /nobody answers at .*UNREACHABLE/);
    });

    it('8 when the answer does not come in time', async () => {
      const silent = createServer((socket) => socket.resume());
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const { port } = silent.address() as AddressInfo;
      const { code } = await run(['status', '--check', '--timeout', '200ms', '--rpc', `http://127.0.0.1:${port}`]);
      assert.equal(code, 8);
      await new Promise((resolve) => silent.close(resolve));
    });
  });

  describe('status', () => {
    it('has exactly the fields programs rely on', async () => {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
      const { code, json, stderr } = await ask('status', '--json');
      assert.equal(code, 0, stderr);
      const head = node.applied[0];
      assert(head);
      assert.deepEqual(json, {
        chain_id: 'ait-devnet',
        height: 1,
        hash: toHex(head.blockId),
        state_root: toHex(head.block.header.stateRoot),
        round: 0,
        state: 'synced',
        validators_reachable: 3,
        validators_total: 3,
        quorum: 2,
        signing: true,
      });
    });

    it('says in words that the chain halted safely, and --check exits 5', async () => {
      node.reach = { state: 'halted', validatorsReachable: 1 };
      const { code, stdout } = await ask('status');
      assert.equal(code, 0);
      assert.match(stdout, /^halted safely: 1 of 3 validators reachable, 2 needed\n/);
      const checked = await ask('status', '--check');
      assert.equal(checked.code, 5);
      assert.match(checked.stderr, /halted safely: 1 of 3 validators reachable, 2 needed/);
      node.reach = {};
      assert.equal((await ask('status', '--check')).code, 0);
    });

    it('says that the node does not hold the chain of --chain', async () => {
      const { code, stderr } = await ask('status', '--chain', 'ait-mainnet');
      assert.equal(code, 4);
      assert.match(stderr, /UNKNOWN_CHAIN/);
    });

    it('asks the node of config.toml', async () => {
      writeFileSync(join(folder, 'config.toml'), `[rpc]\nlisten = "${new URL(server.url).host}"\n`);
      assert.equal((await run(['status'])).code, 0);
      writeFileSync(join(folder, 'config.toml'), '[rpc]\nlissten = "x"\n');
      const { code, stderr } = await run(['status']);
      assert.equal(code, 3);
      assert.match(stderr, /rpc\.listen/);
    });
  });

  describe('chains of the node', () => {
    let several: ReturnType<typeof fakeNode>;
    let testnet: FakeNode;
    let other: RpcServer;

    beforeEach(async () => {
      testnet = new FakeNode({ chainId: 'ait-testnet' });
      several = fakeNode(node, testnet);
      const listen = { host: '127.0.0.1', port: 0 };
      other = await startRpcServer({ listen }, { api: several, log: nopLogger });
    });
    afterEach(() => other.close());
    const at = (...args: string[]): Promise<Ended> => run([...args, '--rpc', other.url]);

    it('are listed, and --chain says which one is meant', async () => {
      testnet.failure = new NodeError('CORRUPT', 'a block is missing');
      const { stdout, json } = await at('chain', 'list', '--json');
      assert.equal(json.chains.length, 2, stdout);
      const text = (await at('status')).stdout;
      assert.match(text, /ait-testnet +failed: CORRUPT: a block is missing/);
      const failed = await at('status', '--chain', 'ait-testnet');
      assert.equal(failed.code, 5, failed.stderr);
      testnet.failure = null;
      assert.equal((await at('status', '--chain', 'ait-testnet', '--json')).json.chain_id, 'ait-testnet');
      assert.match((await at('chain', 'list')).stdout, /ait-devnet +default +running, synced at height 0 +yes\n/);
    });

    it('are started and stopped over the admin socket of the home, and over no port', async () => {
      const without = await run(['chain', 'stop', 'ait-testnet']);
      assert.equal(without.code, 5, without.stderr);
      assert.match(without.stderr, /run\/admin\.sock/);
      mkdirSync(join(folder, 'run'), { recursive: true, mode: 0o700 });
      const path = join(folder, 'run', 'admin.sock');
      const admin = await startAdminServer(path, { api: several, keys: memoryAccess().keys, log: nopLogger });
      try {
        assert.equal((await run(['chain', 'stop', 'ait-testnet'])).code, 0);
        const started = await run(['chain', 'start', 'ait-testnet', '--json']);
        assert.equal(started.json.chain_id, 'ait-testnet', started.stderr);
        assert.deepEqual(several.acts, ['stop ait-testnet', 'start ait-testnet']);
        const unknown = await run(['chain', 'start', 'ait-mainnet']);
        assert.equal(unknown.code, 4, unknown.stderr);
        const far = await at('chain', 'stop', 'ait-testnet');
        assert.equal(far.code, 2, far.stderr);
        assert.match(far.stderr, /not over --rpc/);
      } finally {
        await admin.close();
      }
    });
  });

  describe('send', () => {
    it('prints exactly {hash,status,height,code} once final', async () => {
      const { code, json, stderr } = await ask(
        'send',
        addressText('account-1'),
        '10',
        '--key-file',
        keyFile('account-0'),
        '-y',
        '--json',
      );
      assert.equal(code, 0, stderr);
      assert.deepEqual(Object.keys(json), ['hash', 'status', 'height', 'code']);
      assert.equal(json.status, 'final');
      assert.equal(json.height, 1);
      assert.equal(json.code, 0);
      assert.equal(node.applied[0]?.block.txs[0]?.nonce, 0);
    });

    it('returns at once with --async, and takes the next nonce after what is pending', async () => {
      node.autoCommit = false;
      const args = [
        'send',
        addressText('account-1'),
        '1uait',
        '--key-file',
        keyFile('account-0'),
        '-y',
        '--json',
        '--async',
      ];
      const first = await ask(...args);
      assert.equal(first.code, 0, first.stderr);
      assert.deepEqual([first.json.status, first.json.height, first.json.code], ['pending', null, null]);
      assert.equal((await ask(...args)).code, 0);
      assert.deepEqual(
        [...node.mempool.pending()].map(({ nonce }) => nonce),
        [0, 1],
      );
    });

    it('carries fee, nonce and memo', async () => {
      node.autoCommit = false;
      const args = ['--fee', '1', '--nonce', '3', '--memo', 'hello', '--async', '-y'];
      const { code, stderr } = await ask(
        'send',
        addressText('account-1'),
        '1',
        '--key-file',
        keyFile('account-0'),
        ...args,
      );
      assert.equal(code, 0, stderr);
      const [tx] = node.mempool.pending();
      assert.equal(tx?.feeUait, 1_000_000);
      assert.equal(tx.nonce, 3);
      assert(Buffer.from(tx.payload).includes('hello'));
    });

    it('exits 7 with the code when the chain refuses', async () => {
      const { code, json, stderr } = await ask(
        'send',
        addressText('account-1'),
        '5000',
        '--key-file',
        keyFile('account-0'),
        '-y',
        '--json',
      );
      assert.equal(code, 7, stderr);
      assert.deepEqual([json.status, json.height, json.code], ['rejected', null, 'INSUFFICIENT_FUNDS']);
      assert.equal(JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error.code, 'INSUFFICIENT_FUNDS');
    });

    it('exits 8 when the transfer is not final in time, and says how to ask later', async () => {
      node.autoCommit = false;
      const args = ['-y', '--json', '--timeout', '1500ms'];
      const { code, json, stderr } = await ask(
        'send',
        addressText('account-1'),
        '1',
        '--key-file',
        keyFile('account-0'),
        ...args,
      );
      assert.equal(code, 8);
      assert.equal(json.status, 'pending');
      assert.match(stderr, /aitbc chain tx [0-9a-f]{64}/);
    });

    it('names the transaction when the node does not say in time whether it took it', async () => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      node.verification = promise.then(() => undefined);
      const args = ['-y', '--json', '--timeout', '1500ms', '--key-file', keyFile('account-0')];
      const { code, json, stderr } = await ask('send', addressText('account-1'), '1', ...args);
      resolve(undefined);
      assert.equal(code, 8);
      assert.deepEqual([json.status, json.height, json.code], ['pending', null, null]);
      const { error } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
      assert.match(error.hint, new RegExp(`aitbc chain tx ${json.hash}`));
    });

    it('refuses a bare key off development chains', async () => {
      const other = new FakeNode({ chainId: 'ait-testnet' });
      const otherServer = await startRpcServer(
        { listen: { host: '127.0.0.1', port: 0 } },
        { api: fakeNode(other), log: nopLogger },
      );
      try {
        const { code, stderr } = await run([
          'send',
          addressText('account-1'),
          '1',
          '--key-file',
          keyFile('account-0'),
          '-y',
          '--rpc',
          otherServer.url,
        ]);
        assert.equal(code, 10);
        assert.match(stderr, /DEV_KEY/);
        assert.equal(other.submitted, 0);
        other.autoCommit = true;
        const wallet = join(folder, 'wallet.json');
        const keystore = await createKeystore({
          name: 'a',
          seed: seed('account-0'),
          password: PASSWORD,
          scryptN: 1024,
        });
        writeFileSync(wallet, JSON.stringify(keystore), { mode: 0o600 });
        const args = ['--key-file', wallet, '--password-file', passwordFile(), '-y', '--rpc', otherServer.url];
        const sent = await run(['send', addressText('account-1'), '1', ...args]);
        assert.equal(sent.code, 0, sent.stderr);
      } finally {
        await otherServer.close();
      }
    });

    it('needs -y or a terminal, and names the flag', async () => {
      const { code, stderr } = await ask('send', addressText('account-1'), '1', '--key-file', keyFile('account-0'));
      assert.equal(code, 2);
      assert.match(stderr, /-y/);
      assert.equal(node.submitted, 0);
    });

    it('refuses keys that others may read, that are broken or missing, and bad addresses', async () => {
      const open = keyFile('account-0');
      chmodSync(open, 0o644);
      const broken = join(folder, 'broken');
      writeFileSync(broken, 'xyz', { mode: 0o600 });
      const large = join(folder, 'large');
      writeFileSync(large, `{${' '.repeat(20_000)}}`, { mode: 0o600 });
      for (const path of [open, broken, large, join(folder, 'none')]) {
        const { code, stderr } = await ask('send', addressText('account-1'), '1', '--key-file', path, '-y');
        assert.equal(code, 3, stderr);
        assert.match(stderr, /KEY_FILE/);
      }
      const target = addressText('account-1');
      const { code } = await ask(
        'send',
        `${target.slice(0, -1)}${target.endsWith('q') ? 'p' : 'q'}`,
        '1',
        '--key-file',
        keyFile('account-0'),
        '-y',
      );
      assert.equal(code, 2);
    });
  });

  describe('wallets', () => {
    it('are made 0600 in a folder 0700, never overwritten, and pay', async () => {
      const password = passwordFile();
      const words = ['--words-file', join(folder, 'words')];
      const made = await run(['wallet', 'create', 'alice', '--password-file', password, '--json', ...words]);
      assert.equal(made.code, 0, made.stderr);
      assert.equal(statSync(made.json.path).mode & 0o777, 0o600);
      assert.equal(statSync(join(folder, 'keystore')).mode & 0o777, 0o700);
      assert.deepEqual(readdirSync(join(folder, 'keystore')), ['alice.json']);
      const again = await run(['wallet', 'create', 'alice', '--password-file', password]);
      assert.equal(again.code, 10);

      const paid = await ask('send', 'alice', '5', '--key-file', keyFile('account-0'), '-y', '--json');
      assert.equal(paid.code, 0, paid.stderr);
      const back = await ask(
        'send',
        addressText('account-0'),
        '1',
        '--from',
        'alice',
        '--password-file',
        password,
        '-y',
        '--json',
      );
      assert.equal(back.code, 0, back.stderr);
      const balance = await ask('wallet', 'balance', 'alice', '--json');
      assert.equal(balance.json.address, made.json.address);
      assert.equal(balance.json.nonce, 1);
      const all = await ask('wallet', 'balance');
      assert.match(all.stdout, /alice/);
      const byAddress = await ask('wallet', 'balance', made.json.address, '--json');
      assert.deepEqual(byAddress.json, balance.json);

      const wrong = await ask(
        'send',
        addressText('account-0'),
        '1',
        '--password-file',
        passwordFile('wrong horse'),
        '-y',
      );
      assert.equal(wrong.code, 6);
      assert.match(wrong.stderr, /WRONG_PASSWORD/);
    });

    it('are listed without a password; none is no failure', async () => {
      const none = await run(['wallet', 'list']);
      assert.equal(none.code, 0);
      assert.match(none.stdout, /aitbc wallet create/);
      assert.deepEqual((await run(['wallet', 'list', '--json'])).json, { wallets: [] });
      mkdirSync(join(folder, 'keystore'));
      writeFileSync(join(folder, 'keystore', 'bad.json'), '{}');
      writeFileSync(join(folder, 'keystore', 'notes.txt'), '');
      const { code, json, stderr } = await run(['wallet', 'list', '--json']);
      assert.equal(code, 0);
      assert.deepEqual(json, { wallets: [] });
      assert.match(stderr, /left out .*bad\.json/);
    });

    it('refuse odd names, short passwords, and unknown wallets', async () => {
      const create = (name: string, ...more: string[]): Promise<Ended> =>
        run(['wallet', 'create', name, '--words-file', join(folder, 'words'), ...more]);
      assert.equal((await create('../x', '--password-file', passwordFile())).code, 2);
      assert.equal((await create('a', '--password-file', passwordFile('short'))).code, 2);
      assert.equal((await create('a')).code, 2);
      assert.equal((await create('a', '--password-file', join(folder, 'none'))).code, 3);
      assert(!existsSync(join(folder, 'words')));
      assert(!existsSync(join(folder, 'keystore', 'a.json')));
      assert.equal((await ask('wallet', 'balance', 'nobody')).code, 4);
    });
  });

  describe('chain and node', () => {
    it('show head, blocks and transactions, or exit 4', async () => {
      assert.equal((await ask('chain', 'head')).code, 4);
      const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
      const { blockId } = node.produce([tx]);
      const head = await ask('chain', 'head', '--json');
      assert.equal(head.json.hash, toHex(blockId));
      for (const id of ['1', 'latest', toHex(blockId)]) {
        assert.equal((await ask('chain', 'block', id, '--json')).json.transactions[0].hash, toHex(tx.id), id);
      }
      assert.match((await ask('chain', 'block', '1')).stdout, /transfer +OK/);
      const found = await ask('chain', 'tx', toHex(tx.id), '--json');
      assert.equal(found.json.status, 'final');
      const unknown = await ask('chain', 'tx', 'ab'.repeat(32), '--json');
      assert.equal(unknown.code, 4);
      assert.equal(unknown.json.status, 'unknown');
      assert.equal((await ask('chain', 'block', '7')).code, 4);
      assert.equal((await ask('chain', 'tx', 'xyz')).code, 2);
    });

    it('show peers', async () => {
      node.refused = [
        {
          peerId: '12D3KooStranger',
          address: '/ip4/127.0.0.1/tcp/2',
          ourGenesis: '11'.repeat(32),
          theirGenesis: '22'.repeat(32),
          atMs: 0,
        },
      ];
      const shown = await ask('peers');
      assert.match(shown.stdout, /n2 +12D3KooOther +direct out +1\.3 ms +0 +-3 ms/);
      assert.match(shown.stdout, /12D3KooStranger .*another genesis/);
      const { json } = await ask('node', 'peers', '--json');
      assert.equal(json.peers.length, 1);
      assert.equal(json.peers[0].rtt_ms, 1.25);
      assert.equal(json.refused[0].time, '1970-01-01T00:00:00.000Z');
    });
  });

  describe('watch', () => {
    it('tells final blocks from a height on, a document a line, and ends after as many as asked', async () => {
      for (let i = 0; i < 3; i++) node.produce([]);
      const { code, stdout, stderr } = await ask('watch', '--from-height', '2', '--count', '2', '--json');
      assert.equal(code, 0, stderr);
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ topic, chain_id, height, data }) => [topic, chain_id, height, data.height]),
        [
          ['blocks', 'ait-devnet', 2, 2],
          ['blocks', 'ait-devnet', 3, 3],
        ],
      );
      assert.match(stderr, /listening to http/);
    });

    it('tells transactions of an account and its balance in words', async () => {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
      const topic = `account:${addressText('account-1')}`;
      const { code, stdout } = await ask('watch', topic, 'txs', '--from-height', '1', '--count', '2');
      assert.equal(code, 0);
      assert.equal(stdout.match(/^tx [0-9a-f]{64} {2}transfer {2}OK {2}block 1$/gm)?.length, 2);
      assert.match(stdout, /1 000\.000001 AIT {2}nonce 0$/m);
    });

    it('fails when nobody is there, when a topic is none, and when a height is pruned', async () => {
      assert.equal((await run(['watch', '--rpc', 'http://127.0.0.1:1'])).code, 5);
      assert.equal((await ask('watch', 'nosuch')).code, 2);
      for (let i = 0; i < 5; i++) node.produce([]);
      node.base = 4;
      const { code, stderr } = await ask('watch', '--from-height', '1');
      assert.equal(code, 4);
      assert.match(stderr, /PRUNED/);
    });
  });

  describe('validators', () => {
    it('are added with the proof of a home, by votes of the operators', async () => {
      const home = join(folder, 'new');
      assert.equal((await run(['init', '--home', home])).code, 0);
      const id = await run(['node', 'id', '--home', home, '--json']);
      const operator = addressText('account-3');
      const proposed = await ask(
        ...['validator', 'propose', 'add', '--home', home, '--operator', operator, '--name', 'n4'],
        ...['--key-file', keyFile('operator-0'), '-y', '--json'],
      );
      assert.equal(proposed.code, 0, proposed.stderr);
      const { json } = await ask('validator', 'list', '--json');
      assert.equal(json.proposals[0].key, id.json.validator);
      assert.match((await ask('validator', 'list')).stdout, /add .* 1 of 3/);
      const vote = await ask('validator', 'vote', '1', '--key-file', keyFile('operator-1'), '-y', '--json');
      assert.equal(vote.code, 0, vote.stderr);
      const shown = await ask('validator', 'show', '--home', home, '--json');
      assert.equal(shown.json.validates_next, true);
      assert.equal(shown.json.operator, operator);
      const twice = await ask('validator', 'vote', '1', '--key-file', keyFile('operator-1'), '-y', '--json');
      assert.equal(twice.code, 7);
      assert.deepEqual([twice.json.status, twice.json.code], ['final', 3]);
    });

    it('are rotated with a proof made elsewhere, and removed', async () => {
      const old = toHex(signer('validator-2').publicKey);
      const made = await ask(
        ...[
          'validator',
          'prove',
          '--operator',
          addressText('operator-2'),
          '--key-file',
          keyFile('validator-9'),
          '--json',
        ],
      );
      assert.equal(made.code, 0, made.stderr);
      const send = ['--key-file', keyFile('operator-2'), '-y', '--json'];
      const rotated = await ask(
        'validator',
        'propose',
        'rotate',
        old,
        made.json.public_key,
        '--proof',
        made.json.proof,
        ...send,
      );
      assert.equal(rotated.code, 0, rotated.stderr);
      const removed = await ask('validator', 'propose', 'remove', old, ...send);
      assert.equal(removed.code, 0, removed.stderr);
      assert.equal(
        (await ask('validator', 'propose', 'add', old, '--operator', addressText('account-0'), ...send)).code,
        2,
      );
      assert.equal((await ask('validator', 'propose', 'remove', 'xyz', ...send)).code, 2);
      assert.equal((await ask('validator', 'show')).code, 4);
    });
  });
}).timeout(120_000);
