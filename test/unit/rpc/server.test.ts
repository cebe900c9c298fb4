import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { isNodeError, ERRORS, NodeError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { toHex } from '../../../src/bytes.ts';
import { MAX_JSON_DEPTH } from '../../../src/rpc/json-body.ts';
import { startMetricsServer } from '../../../src/rpc/metrics-server.ts';
import { toProblem } from '../../../src/rpc/problem.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { waitFor } from '../../util/wait.ts';
import { ask, openSocket, post, rawAsk } from './http.ts';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

describe('rpc server', () => {
  let node: FakeNode;
  let server: RpcServer;

  beforeEach(async () => {
    node = new FakeNode();
    server = await startRpcServer(
      { listen: LOOPBACK, hosts: ['node.example'] },
      { api: fakeNode(node), log: nopLogger },
    );
  });

  afterEach(async () => {
    await server.close();
    assert.equal(node.listeners, 0);
  });

  describe('failures', () => {
    it('are problem documents with code, hint and request id', async () => {
      const { status, headers, json } = await ask(server.url, '/rpc/head', { headers: { 'x-request-id': 'mine-1' } });
      assert.equal(status, 404);
      assert.match(String(headers['content-type']), /^application\/problem\+json/);
      assert.equal(headers['x-request-id'], 'mine-1');
      assert.equal(json.code, 'NOT_FOUND');
      assert.equal(json.type, 'urn:aitbc:error:not-found');
      assert.equal(json.instance, 'urn:request:mine-1');
      assert.equal(json.retryable, false);
      assert.equal(json.status, 404);
      assert(json.hint.length > 0);
    });

    it('get a request id of the server when the client sends a harmful one', async () => {
      const { headers } = await ask(server.url, '/livez', { headers: { 'x-request-id': 'a b"<' } });
      assert.match(String(headers['x-request-id']), /^[0-9a-f-]{36}$/);
    });

    it('do not tell what broke inside', async () => {
      node.fault = new Error('secret /path of things');
      const { status, json, text } = await ask(server.url, '/rpc/status');
      assert.equal(status, 500);
      assert.equal(json.code, 'INTERNAL');
      assert(!text.includes('secret'));
    });

    it('of the disk keep their code', async () => {
      node.fault = new NodeError('STORAGE', 'the disk is full');
      const { status, json } = await ask(server.url, '/rpc/status');
      assert.equal(status, 500);
      assert.equal(json.code, 'STORAGE');
    });

    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      it(`follow the table for ${code}`, async () => {
        node.fault = new NodeError(code, 'a sentence', { hint: 'a hint' });
        const { status, headers, json } = await ask(server.url, '/rpc/status');
        const { http, retryable, title } = ERRORS[code];
        assert.equal(status, http);
        assert.equal(json.code, code);
        assert.equal(json.retryable, retryable);
        assert.equal(json.title, title);
        assert.equal(headers['retry-after'] !== undefined, retryable && (http === 429 || http === 503));
      });
    }

    it('of unknown kind are INTERNAL', () => {
      assert.equal(toProblem('text', 'r').code, 'INTERNAL');
      assert.equal(toProblem(undefined, 'r').status, 500);
    });
  });

  describe('hostile requests', () => {
    it('with a foreign Host are refused, by name only', async () => {
      for (const host of ['evil.example', 'localhost.evil.example', 'evil.example:8006', 'node.example.evil']) {
        const { status, json } = await ask(server.url, '/livez', { headers: { host } });
        assert.equal(status, 403, host);
        assert.equal(json.code, 'FORBIDDEN');
      }
      for (const host of [
        'localhost',
        'localhost:1',
        'n1.localhost',
        '127.0.0.1:80',
        '[::1]:80',
        'NODE.example',
        '10.0.0.1',
      ]) {
        assert.equal((await ask(server.url, '/livez', { headers: { host } })).status, 200, host);
      }
    });

    it('without Host are refused', async () => {
      assert.match(await rawAsk(server.url, 'GET /livez HTTP/1.0\r\n\r\n'), /^HTTP\/1\.\d 403/);
    });

    it('get no permission for other origins', async () => {
      const { status, headers } = await ask(server.url, '/rpc/transactions', {
        method: 'OPTIONS',
        headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
      });
      assert.equal(status, 404);
      assert.equal(headers['access-control-allow-origin'], undefined);
    });

    it('from pages of listed origins are answered to them, and to no other page', async () => {
      const options = { listen: LOOPBACK, corsOrigins: ['https://app.example', 'http://localhost:5173'] };
      const listed = await startRpcServer(options, { api: fakeNode(node), log: nopLogger });
      const of = (origin: string) => ask(listed.url, '/rpc/head', { headers: { origin } });
      const preflight = (origin: string) =>
        ask(listed.url, '/rpc/transactions', {
          method: 'OPTIONS',
          headers: {
            origin,
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'content-type',
          },
        });
      try {
        for (const origin of options.corsOrigins) {
          const { status, headers } = await preflight(origin);
          assert.equal(status, 204);
          assert.equal(headers['access-control-allow-origin'], origin);
          assert.match(String(headers['access-control-allow-methods']), /POST/);
          assert.match(String(headers['access-control-allow-headers']), /content-type/);
          assert.equal(headers['access-control-max-age'], '600');
          const answer = await of(origin);
          // A failure too is theirs to read.
          assert.equal(answer.status, 404);
          assert.equal(answer.headers['access-control-allow-origin'], origin);
          assert.match(String(answer.headers['access-control-expose-headers']), /retry-after/);
        }
        for (const origin of ['https://app.example:444', 'http://app.example', 'https://x.app.example', 'null', '*']) {
          assert.equal((await preflight(origin)).status, 404, origin);
          for (const { headers } of [await preflight(origin), await of(origin)]) {
            assert.equal(headers['access-control-allow-origin'], undefined, origin);
          }
        }
        const { headers } = await ask(listed.url, '/rpc/head');
        assert.equal(headers['vary'], 'Origin');
        assert.equal(headers['access-control-allow-origin'], undefined);
        assert.equal(headers['access-control-allow-credentials'], undefined);
        const stranger = { host: 'evil.example', origin: 'https://app.example' };
        assert.equal((await ask(listed.url, '/livez', { headers: stranger })).status, 403);
      } finally {
        await listed.close();
      }
    });

    it('from any page are answered where all origins are listed, never with credentials', async () => {
      const options = { listen: LOOPBACK, corsOrigins: ['*'] };
      const open = await startRpcServer(options, { api: fakeNode(node), log: nopLogger });
      try {
        const { headers } = await ask(open.url, '/livez', { headers: { origin: 'https://any.example' } });
        assert.equal(headers['access-control-allow-origin'], '*');
        assert.equal(headers['access-control-allow-credentials'], undefined);
      } finally {
        await open.close();
      }
    });

    it('with an unknown path or method are not found', async () => {
      assert.equal((await ask(server.url, '/rpc/nothing')).json.code, 'METHOD_NOT_FOUND');
      assert.equal((await ask(server.url, '/rpc/head', { method: 'DELETE' })).json.code, 'METHOD_NOT_FOUND');
      assert.equal((await ask(server.url, '/rpc/%ff')).status, 400);
    });

    it('with an unknown query parameter name it', async () => {
      const { status, json } = await ask(server.url, '/rpc/head?chain=x');
      assert.equal(status, 400);
      assert.equal(json.code, 'INVALID_PARAMS');
      assert.match(JSON.stringify(json.errors), /chain/);
      for (const path of [
        '/livez?x',
        '/readyz?verbose=2',
        '/rpc/blocks/1?transactions=no',
        `/rpc/accounts/${addressText('account-0')}?proof=yes`,
      ]) {
        assert.equal((await ask(server.url, path)).status, 400, path);
      }
    });

    it('with a body that is too large are cut', async () => {
      const { status, json } = await post(server.url, '/rpc/transactions', `{"tx":"${'0'.repeat(2.6 * 1024 * 1024)}"}`);
      assert.equal(status, 413);
      assert.equal(json.code, 'TOO_LARGE');
    });

    it('with another content type are refused', async () => {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
        const { status, json } = await post(server.url, '/rpc/transactions', '{}', { 'content-type': type });
        assert.equal(status, 400, type);
        assert.equal(json.code, 'INVALID_REQUEST');
        assert.match(json.hint, /application\/json/);
      }
    });

    it('with JSON that is broken, deep, or reaches for prototypes are refused', async () => {
      const deep = '['.repeat(MAX_JSON_DEPTH + 1) + ']'.repeat(MAX_JSON_DEPTH + 1);
      const bodies = [
        '{',
        '',
        'nul',
        `{"tx":${deep}}`,
        '['.repeat(900_000),
        '{"__proto__":{"tx":"00"}}',
        '{"constructor":{"prototype":{}}}',
        '{"tx":"\\u0000',
      ];
      for (const body of bodies) {
        const { status, json } = await post(server.url, '/rpc/transactions', body);
        assert.equal(status, 400, body.slice(0, 40));
        assert.equal(json.code, 'PARSE_ERROR', body.slice(0, 40));
      }
      const text = `{"tx":"${'['.repeat(100)}"}`;
      assert.equal((await post(server.url, '/rpc/transactions', text)).json.code, 'PARSE_ERROR');
    });

    it('with a body of the wrong shape are refused', async () => {
      for (const body of [
        '1',
        '"x"',
        'null',
        '[]',
        '{}',
        '{"tx":1}',
        '{"tx":"00","more":1}',
        '{"txs":"00"}',
        '{"txs":[1]}',
        '{"txs":[]}',
      ]) {
        const { status, json } = await post(server.url, '/rpc/transactions', body);
        assert.equal(status, 400, body);
        assert.equal(json.code, 'INVALID_PARAMS', body);
      }
    });

    it('with large headers are refused', async () => {
      const answer = await rawAsk(
        server.url,
        `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
      );
      assert.match(answer, /^HTTP\/1\.1 431/);
    });
  });

  describe('chain', () => {
    it('shows the head once there is one', async () => {
      const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
      const { block, blockId } = node.produce([tx]);
      const { status, headers, json } = await ask(server.url, '/rpc/head');
      assert.equal(status, 200);
      assert.equal(headers['cache-control'], 'no-store');
      assert.deepEqual(json, {
        chain_id: 'ait-devnet',
        height: 1,
        hash: toHex(blockId),
        timestamp: new Date(block.header.timeMs).toISOString(),
        tx_count: 1,
        state_root: toHex(block.header.stateRoot),
        proposer: toHex(block.header.proposer),
        round: 0,
      });
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 1 })]);
      assert.equal((await ask(server.url, '/rpc/head')).json.height, 2);
    });

    it('shows a block by height and by hash, cached for good', async () => {
      const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0, amountUait: 5 });
      const { blockId } = node.produce([tx]);
      const byHeight = await ask(server.url, '/rpc/blocks/1');
      const byHash = await ask(server.url, `/rpc/blocks/${toHex(blockId)}`);
      assert.equal(byHeight.status, 200);
      assert.deepEqual(byHash.json, byHeight.json);
      assert.equal(byHeight.json.transactions[0].hash, toHex(tx.id));
      assert.equal(byHeight.json.transactions[0].transaction.payload.amount_uait, '5');
      assert.equal(byHeight.json.certificate.signatures.length, 3);
      assert.match(String(byHeight.headers['cache-control']), /immutable/);
      const tag = String(byHeight.headers['etag']);
      const again = await ask(server.url, '/rpc/blocks/1', { headers: { 'if-none-match': tag } });
      assert.equal(again.status, 304);
      assert.equal(again.text, '');
      const hashes = await ask(server.url, '/rpc/blocks/1?transactions=hashes');
      assert.equal(hashes.json.transactions[0].transaction, undefined);
      assert.notEqual(hashes.headers['etag'], tag);
    });

    it('says which heights there are when one is missing', async () => {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
      for (const id of ['0', '2', '9007199254740991', 'ab'.repeat(32)]) {
        const { status, json } = await ask(server.url, `/rpc/blocks/${id}`);
        assert.equal(status, 404, id);
        assert.match(json.hint, /1 to 1/);
      }
      for (const id of ['latest', '-1', '01', 'AB'.repeat(32), '1.5']) {
        assert.equal((await ask(server.url, `/rpc/blocks/${id}`)).json.code, 'INVALID_PARAMS', id);
      }
    });

    it('shows the genesis with its hash', async () => {
      const { json } = await ask(server.url, '/rpc/genesis');
      assert.equal(json.hash, toHex(node.genesis.chain.genesisHash));
      assert.deepEqual(json.genesis, node.genesisJson);
    });
  });

  describe('accounts', () => {
    it('are shown with balance and nonce, unknown ones as empty', async () => {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'fresh', nonce: 0, amountUait: 7 })]);
      const known = await ask(server.url, `/rpc/accounts/${addressText('fresh')}`);
      assert.deepEqual(known.json, { address: addressText('fresh'), balance_uait: '7', nonce: 0, height: 1 });
      const unknown = await ask(server.url, `/rpc/accounts/${addressText('nobody')}`);
      assert.deepEqual(unknown.json, { address: addressText('nobody'), balance_uait: '0', nonce: 0, height: 1 });
      assert.equal((await ask(server.url, `/rpc/accounts/${addressText('account-0')}`)).json.nonce, 1);
    });

    it('say the next nonce after what is pending', async () => {
      const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
      await post(server.url, '/rpc/transactions', { tx: toHex(tx.bytes) });
      const { json } = await ask(server.url, `/rpc/accounts/${addressText('account-0')}/nonce`);
      assert.deepEqual(json, { address: addressText('account-0'), nonce: 0, next_nonce: 1 });
    });

    it('refuse what is no address', async () => {
      const { status, json } = await ask(server.url, `/rpc/accounts/${addressText('account-0').slice(0, -1)}q`);
      assert.equal(status, 400);
      assert.equal(json.code, 'BAD_ADDRESS');
      assert.equal((await ask(server.url, `/rpc/accounts/${'a'.repeat(100)}`)).status, 400);
    });

    it('cannot be proven before the first block', async () => {
      const { status, json } = await ask(server.url, `/rpc/accounts/${addressText('account-0')}?proof=1`);
      assert.equal(status, 404);
      assert.match(json.detail, /no block yet/);
    });
  });

  describe('node', () => {
    it('reports its status with the fields programs rely on', async () => {
      node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
      node.reach = { state: 'halted', validatorsReachable: 1 };
      const { json } = await ask(server.url, '/rpc/status');
      assert.equal(json.chain_id, 'ait-devnet');
      assert.equal(json.height, 1);
      assert.equal(json.state, 'halted');
      assert.equal(json.validators_reachable, 1);
      assert.equal(json.validators_total, 3);
      assert.equal(json.quorum, 2);
      assert.equal(json.signing, true);
      assert.equal(json.round, 0);
      assert.equal(json.params.base_fee_uait, '1000');
      assert.equal(json.genesis_hash, toHex(node.genesis.chain.genesisHash));
    });

    it('reports agreement, validators and peers', async () => {
      const consensus = (await ask(server.url, '/rpc/consensus')).json;
      assert.equal(consensus.height, 1);
      assert.equal(consensus.step, 'idle');
      assert.deepEqual(consensus.reasons, ['nothing to do']);
      const votes = consensus.validators.map(({ prevote }: { prevote: string | null }) => prevote);
      assert.deepEqual(new Set(votes), new Set(['07'.repeat(32), 'nil', null]));
      const validators = (await ask(server.url, '/rpc/validators')).json;
      assert.equal(validators.current.validators.length, 3);
      for (const { demoted_until } of validators.current.validators) assert.equal(demoted_until, null);
      assert.equal(validators.next.total_power, 3);
      assert.equal(validators.last, null);
      assert.deepEqual(validators.proposals, []);
      const { peers } = (await ask(server.url, '/rpc/peers')).json;
      assert.equal(peers[0].peer_id, '12D3KooOther');
    });

    it('is alive and ready, or says what is missing', async () => {
      assert.deepEqual((await ask(server.url, '/livez')).json, { status: 'ok' });
      assert.equal((await ask(server.url, '/health')).json.status, 'ok');
      assert.equal((await ask(server.url, '/readyz')).status, 200);
      node.checks = [
        { name: 'quorum', ok: false, detail: '1 of 3 validators reachable, 2 needed' },
        { name: 'progress', ok: true, detail: 'the pool is empty' },
      ];
      const { status, headers, json } = await ask(server.url, '/readyz?verbose=1');
      assert.equal(status, 503);
      assert.match(String(headers['content-type']), /^application\/problem\+json/);
      assert.equal(headers['retry-after'], '1');
      assert.equal(json.code, 'NO_QUORUM');
      assert.deepEqual(json.errors, [
        { pointer: '/ait-devnet/quorum', detail: '1 of 3 validators reachable, 2 needed' },
      ]);
      assert.deepEqual(
        json.checks.map(({ chain_id, name, ok }: { chain_id: string; name: string; ok: boolean }) => [
          chain_id,
          name,
          ok,
        ]),
        [
          ['ait-devnet', 'runs', true],
          ['ait-devnet', 'quorum', false],
          ['ait-devnet', 'progress', true],
        ],
      );
      assert.match(json.detail, /1 of 3 validators reachable, 2 needed/);
    });
  });

  describe('slow and many clients', () => {
    const limits = {
      connections: 2,
      clientConnections: 2,
      headersMs: 60,
      requestMs: 120,
      idleMs: 500,
      checkEveryMs: 20,
    };
    let small: RpcServer;

    beforeEach(async () => {
      small = await startRpcServer({ listen: LOOPBACK, limits }, { api: fakeNode(node), log: nopLogger });
    });

    afterEach(() => small.close());

    it('are cut off while they still send headers', async () => {
      assert.match(await rawAsk(small.url, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n'), /^HTTP\/1\.1 408/);
    });

    it('are cut off while they still send a body', async () => {
      const head = 'POST /rpc/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
      assert.match(await rawAsk(small.url, `${head}Content-Length: 100\r\n\r\n{`), /^HTTP\/1\.1 408/);
    });

    it('beyond the most connections are turned away', async () => {
      const sockets = await Promise.all([openSocket(small.url), openSocket(small.url)]);
      await assert.rejects(ask(small.url, '/livez'));
      for (const socket of sockets) socket.destroy();
      await waitFor('room', () =>
        ask(small.url, '/livez').then(
          ({ status }) => status === 200,
          () => false,
        ),
      );
    });
  });

  it('listens on IPv6 too, where the machine has it', async function () {
    const listen = { host: '::1', port: 0 };
    const six = await startRpcServer({ listen }, { api: fakeNode(node), log: nopLogger }).catch(() => null);
    if (!six) this.skip();
    assert.match(six.url, /^http:\/\/\[::1\]:\d+$/);
    assert.equal((await ask(six.url, '/rpc/status')).status, 200);
    await six.close();
  });

  it('says that its port is in use', async () => {
    const port = Number(new URL(server.url).port);
    await assert.rejects(
      startRpcServer({ listen: { host: '127.0.0.1', port } }, { api: fakeNode(node), log: nopLogger }),
      (error) => isNodeError(error) && error.code === 'PORT_IN_USE' && error.kind.exit === 3,
    );
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const taken = (blocker.address() as { port: number }).port;
    await assert.rejects(
      startMetricsServer(
        { host: '127.0.0.1', port: taken },
        { contentType: 'text/plain', text: () => Promise.resolve('') },
      ),
      (error) => isNodeError(error) && error.code === 'PORT_IN_USE',
    );
    await new Promise((resolve) => blocker.close(resolve));
  });

  it('says that an address is not of this machine', async () => {
    await assert.rejects(
      startRpcServer({ listen: { host: '192.0.2.1', port: 1 } }, { api: fakeNode(node), log: nopLogger }),
      (error) => isNodeError(error) && error.code === 'CONFIG',
    );
  });
});

describe('metrics server', () => {
  it('serves the text and nothing else', async () => {
    const source = { contentType: 'text/plain; version=0.0.4', text: () => Promise.resolve('aitbc_up 1\n') };
    const server = await startMetricsServer(LOOPBACK, source);
    try {
      const { status, headers, text } = await ask(server.url, '/metrics');
      assert.equal(status, 200);
      assert.match(String(headers['content-type']), /text\/plain/);
      assert.equal(text, 'aitbc_up 1\n');
      assert.equal((await ask(server.url, '/')).status, 404);
      assert.equal((await ask(server.url, '/metrics', { headers: { host: 'evil.example' } })).status, 403);
    } finally {
      await server.close();
    }
  });
});
