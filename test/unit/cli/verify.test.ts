import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { createContext } from '../../../src/cli/context.ts';
import { readTrustedHeads, writeTrustedHeads } from '../../../src/cli/trusted-heads-file.ts';
import { isVerifying } from '../../../src/cli/verification.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { addressText, makeTransfer, seed } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import type { Ended } from './run.ts';
import { cli, makeFolder, removeFolder } from './run.ts';

/** In front of a node: passes requests on, and changes the JSON of answers. */
class LyingProxy {
  readonly #server: Server;
  lie: (path: string, json: ReturnType<typeof JSON.parse>) => unknown = (_path, json) => json;
  url = '';

  constructor(target: string) {
    this.#server = createServer((incoming, outgoing) => {
      const { method = 'GET', url = '/', headers } = incoming;
      const upstream = request(target + url, { method, headers: { ...headers, host: '127.0.0.1' } }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const told = this.lie(url, JSON.parse(Buffer.concat(chunks).toString('utf8')));
          outgoing.writeHead(answer.statusCode ?? 500, { 'content-type': answer.headers['content-type'] ?? '' });
          outgoing.end(JSON.stringify(told));
        });
      });
      incoming.pipe(upstream);
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }

  close(): Promise<unknown> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('command line, verified', () => {
  let folder: string;
  let node: FakeNode;
  let server: RpcServer;
  let proxy: LyingProxy;

  beforeEach(async () => {
    folder = makeFolder();
    node = new FakeNode();
    node.autoCommit = true;
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
    proxy = await new LyingProxy(server.url).listen();
    for (const nonce of [0, 1, 2]) {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'fresh', nonce, amountUait: 5 })]);
    }
    const genesis = join(folder, 'chains', 'ait-devnet', 'genesis.json');
    mkdirSync(dirname(genesis), { recursive: true });
    writeFileSync(genesis, JSON.stringify(node.genesisJson));
  });

  afterEach(async () => {
    await proxy.close();
    await server.close();
    removeFolder(folder);
  });

  const run = (...args: string[]): Promise<Ended> => cli(args, { AITBC_HOME: folder });
  const ask = (...args: string[]): Promise<Ended> => run(...args, '--verify', '--json', '--rpc', proxy.url);
  const genesisHash = (): string => toHex(node.genesis.chain.genesisHash);
  const lightFolder = (): string => join(folder, 'light');

  it('is on unless the node is one’s own or a flag says so', () => {
    const verifies = (options: object): boolean =>
      isVerifying(createContext({ optsWithGlobals: () => ({ home: folder, ...options }) } as never));
    assert.equal(verifies({}), false);
    for (const rpc of ['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1', 'http://127.9.9.9:1']) {
      assert.equal(verifies({ rpc }), false, rpc);
      assert.equal(verifies({ rpc, verify: true }), true, rpc);
    }
    for (const rpc of [
      'https://node.example',
      'http://10.0.0.1:8006',
      'http://localhost.evil.example',
      'http://127.0.0.1.nip.example',
    ]) {
      assert.equal(verifies({ rpc }), true, rpc);
      assert.equal(verifies({ rpc, verify: false }), false, rpc);
    }
  });

  it('says in one line what was verified, and answers as always', async () => {
    const id = toHex(node.applied[1]?.block.txs[0]?.id ?? new Uint8Array());
    const reads = [
      [['wallet', 'balance', addressText('nobody')], `accounts/${addressText('nobody')}`],
      [['chain', 'head'], 'head'],
      [['chain', 'block', toHex(node.applied[0]?.blockId ?? new Uint8Array())], 'blocks/1'],
      [['chain', 'tx', id], `transactions/${id}`],
      [['validator', 'list'], 'validators'],
    ] as const;
    for (const [args, path] of reads) {
      const { code, json, stderr } = await ask(...args);
      assert.equal(code, 0, stderr);
      assert.deepEqual(json, await (await fetch(`${server.url}/rpc/${path}`)).json(), path);
      assert.match(
        stderr,
        /^verified: .* of ait-devnet \(.*\), signed by 3 of 3 validators, followed from genesis .*\n$/,
      );
    }
  });

  it('remembers heads in a small private file, and goes on from it', async () => {
    await ask('chain', 'head');
    const [name] = readdirSync(lightFolder());
    assert.equal(name, `ait-devnet-${genesisHash().slice(0, 8)}.json`);
    const path = join(lightFolder(), name);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(JSON.parse(readFileSync(path, 'utf8')).heads.at(-1).height, 3);
    node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'fresh', nonce: 3 })]);
    await ask('chain', 'head');
    const { chain } = node.genesis;
    const heads = await readTrustedHeads(folder, chain);
    assert.deepEqual(
      heads.map(({ height }) => height),
      [3, 4],
    );
    const many = Array.from({ length: 9 }, (_, i) => heads.map((head) => ({ ...head, height: i }))).flat();
    await writeTrustedHeads(folder, chain, many);
    assert.equal((await readTrustedHeads(folder, chain)).length, 4);
    // What is no such file begins from genesis again.
    for (const text of ['{', '{"version":1}', 'null', JSON.stringify('x'.repeat(300_000))]) {
      writeFileSync(path, text);
      assert.deepEqual(await readTrustedHeads(folder, chain), []);
    }
    assert.equal((await ask('chain', 'head')).code, 0);
  });

  it('begins from a genesis hash, or from a block given by a person', async () => {
    removeFolder(join(folder, 'chains'));
    const without = await ask('chain', 'head');
    assert.equal(without.code, 3);
    assert.match(JSON.parse(without.stderr).error.hint, /--genesis-hash HASH/);
    assert.equal((await ask('chain', 'head', '--genesis-hash', genesisHash())).code, 0);
    assert.equal((await ask('chain', 'head', '--genesis-hash', '00'.repeat(32))).code, 10);
    assert.equal((await ask('chain', 'head', '--genesis-hash', 'abc')).code, 2);
    const trusted = `2:${toHex(node.applied[1]?.blockId ?? new Uint8Array())}`;
    const given = await ask('chain', 'head', '--genesis-hash', genesisHash(), '--trust', trusted);
    assert.equal(given.code, 0);
    assert.match(given.stderr, /followed from block 2/);
    assert.equal((await ask('chain', 'head', '--trust', 'abc', '--genesis-hash', genesisHash())).code, 2);
    const wrong = await ask('chain', 'head', '--trust', `2:${'00'.repeat(32)}`, '--genesis-hash', genesisHash());
    assert.equal(wrong.code, 11);
  });

  it('says that what is not final is not verified', async () => {
    const { code, json, stderr } = await ask('chain', 'tx', '00'.repeat(32));
    assert.equal(code, 4);
    assert.equal(json.status, 'unknown');
    assert.match(stderr, /not verified/);
  });

  it('checks what was sent', async () => {
    const key = join(folder, 'key');
    writeFileSync(key, toHex(seed('account-1')), { mode: 0o600 });
    const send = ['send', addressText('fresh'), '1', '--key-file', key, '-y'];
    const sent = await ask(...send);
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stderr, /verified: transaction and receipt/);
    proxy.lie = (path, json) => (path.includes('proof=1') ? { ...json, proof: { ...json.proof, index: 7 } } : json);
    const lied = await ask(...send);
    assert.equal(lied.code, 11);
    assert.equal(lied.json.status, 'pending');
    proxy.lie = (path, json) => (path === '/rpc/status' ? { ...json, genesis_hash: '11'.repeat(32) } : json);
    const elsewhere = await ask(...send);
    assert.equal(elsewhere.code, 10);
    assert.match(elsewhere.stderr, /nothing was signed/);
  });

  describe('refuses', () => {
    const lies: [string, string[], string, (json: ReturnType<typeof JSON.parse>) => unknown][] = [
      [
        'balance',
        ['wallet', 'balance', addressText('fresh')],
        '/rpc/accounts/',
        (json) => ({ ...json, balance_uait: '1' }),
      ],
      [
        'account without proof',
        ['wallet', 'balance', addressText('fresh')],
        '/rpc/accounts/',
        ({ proof: _, ...json }) => json,
      ],
      ['head', ['chain', 'head'], '/rpc/blocks/', (json) => ({ ...json, state_root: '00'.repeat(32) })],
      [
        'hidden transaction',
        ['chain', 'block', '2'],
        '/rpc/blocks/',
        (json) => ({ ...json, transactions: [], tx_count: 0 }),
      ],
      [
        'certificate',
        ['chain', 'head'],
        '/rpc/light/',
        (json) => ({ ...json, certificate: json.certificate.replace(/.{8}$/, '00000000') }),
      ],
      [
        'validators',
        ['validator', 'list'],
        '/rpc/state/',
        (json) => ({ ...json, proof: { ...json.proof, value: '00' } }),
      ],
    ];
    for (const [lie, args, path, change] of lies) {
      it(lie, async () => {
        proxy.lie = (asked, json) => (asked.startsWith(path) ? change(json) : json);
        const { code, stdout, stderr } = await ask(...args);
        assert.equal(code, 11, stderr);
        assert.equal(stdout, '');
        const { error } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
        assert(['BAD_PROOF', 'BAD_CERTIFICATE'].includes(error.code));
        assert.match(error.hint ?? '', /another node/);
      });
    }

    it('one of two endpoints, and takes the honest one', async () => {
      proxy.lie = (asked, json) => (asked.startsWith('/rpc/accounts/') ? { ...json, balance_uait: '1' } : json);
      const { code, json, stderr } = await ask('wallet', 'balance', addressText('fresh'), '--witness', server.url);
      assert.equal(code, 0, stderr);
      assert.equal(json.balance_uait, '15');
      assert.match(stderr, new RegExp(`not relied on: ${proxy.url}`));
    });

    it('both sides of a fork', async () => {
      const other = new FakeNode({ timeMs: node.genesis.timeMs });
      const second = await startRpcServer(
        { listen: { host: '127.0.0.1', port: 0 } },
        { api: fakeNode(other), log: nopLogger },
      );
      try {
        for (const nonce of [0, 1, 2]) {
          other.produce([makeTransfer(other.genesis, { from: 'account-0', to: 'account-1', nonce })]);
        }
        const { code, stderr } = await ask('chain', 'head', '--witness', second.url);
        assert.equal(code, 10);
        const { error } = JSON.parse(stderr);
        assert.equal(error.code, 'FORK');
        assert.notEqual(error.data.first_hash, error.data.second_hash);
      } finally {
        await second.close();
      }
    });
  });
});
