import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { gzipSync } from 'node:zlib';
import { toHex } from '../../../src/bytes.ts';
import { transactionToJson } from '../../../src/chain/tx-json.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { ERRORS, isNodeError, NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { createClient } from '../../../src/sdk/client.ts';
import type { Client } from '../../../src/sdk/client.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';

async function failure(promise: Promise<unknown>): Promise<NodeError> {
  try {
    await promise;
  } catch (error) {
    assert(isNodeError(error), String(error));
    return error;
  }
  assert.fail('expected an error');
}

describe('sdk client', () => {
  let node: FakeNode;
  let server: RpcServer;
  let client: Client;

  beforeEach(async () => {
    node = new FakeNode();
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
    client = createClient({ url: `${server.url}/` });
  });

  afterEach(() => server.close());

  it('reads everything a node tells', async () => {
    const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    const { blockId } = node.produce([tx]);
    const head = await client.head();
    assert.equal(head.hash, toHex(blockId));
    const block = await client.block(1);
    assert.deepEqual(await client.block(head.hash), block);
    assert.deepEqual(block.transactions[0]?.transaction, transactionToJson(tx));
    assert.equal((await client.account(addressText('account-1'))).balance_uait, '1000000001');
    assert.equal((await client.nonce(addressText('account-0'))).next_nonce, 1);
    assert.equal((await client.validators()).current.validators.length, 3);
    assert.equal((await client.peers()).peers.length, 1);
    assert.equal((await client.consensus()).validators.length, 3);
    assert.equal((await client.status()).genesis_hash, toHex(node.genesis.chain.genesisHash));
    assert.deepEqual((await client.genesis()).genesis, node.genesisJson);
  });

  it('sends a transaction and waits until it is final', async () => {
    const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    const hash = toHex(tx.id);
    assert.equal((await client.transaction(hash)).status, 'unknown');
    const sent = await client.sendTransaction(tx.bytes);
    assert.equal(sent.status, 'pending');
    const waiting = client.waitForTransaction(hash);
    assert.equal((await client.transaction(hash)).status, 'pending');
    node.produce();
    const final = await waiting;
    assert.equal(final.status, 'final');
    assert.equal(final.code, 0);
    assert.equal((await client.sendTransaction(tx.bytes, 'commit')).status, 'final');
  });

  it('stops waiting in time, and says that the transaction may still become final', async () => {
    const tx = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    await client.sendTransaction(tx.bytes);
    const error = await failure(client.waitForTransaction(toHex(tx.id), { timeoutMs: 60 }));
    assert.equal(error.code, 'TIMEOUT');
    assert.equal(error.data['status'], 'pending');
  });

  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    it(`throws what the node threw: ${code}`, async () => {
      node.fault = new NodeError(code, 'what happened', { hint: 'what to do', data: { height: 3 } });
      const error = await failure(client.status());
      assert.equal(error.code, code);
      assert.equal(error.hint, 'what to do');
      assert.equal(error.data['height'], 3);
    });
  }

  it('names the faults of a request', async () => {
    const error = await failure(client.block('latest'));
    assert.equal(error.code, 'INVALID_PARAMS');
    assert.match(error.message, /\/height/);
  });

  it('cannot be led to another path by what it is given', async () => {
    const error = await failure(client.account('../head?x=1'));
    assert.equal(error.code, 'BAD_ADDRESS');
  });
});

describe('sdk client without a node', () => {
  async function serve(listener: RequestListener, timeoutMs = 300): Promise<{ server: Server; client: Client }> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    return { server, client: createClient({ url: `http://127.0.0.1:${port}`, timeoutMs }) };
  }

  async function close(server: Server): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  it('says that nobody answers', async () => {
    const { server, client } = await serve(() => undefined);
    await close(server);
    const error = await failure(client.head());
    assert.equal(error.code, 'UNREACHABLE');
    assert(error.hint);
  });

  it('times out on silence', async () => {
    const { server, client } = await serve(() => undefined);
    try {
      assert.equal((await failure(client.head())).code, 'TIMEOUT');
    } finally {
      await close(server);
    }
  });

  it('times out on a body that never ends', async () => {
    const { server, client } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{');
    });
    try {
      assert.equal((await failure(client.head())).code, 'TIMEOUT');
    } finally {
      await close(server);
    }
  });

  it('recognises that something else answers', async () => {
    const bodies: [string, string][] = [
      ['text/html', '<html>'],
      ['application/json', 'not json'],
      ['text/plain', '{}'],
    ];
    for (const [type, body] of bodies) {
      const { server, client } = await serve((_request, response) => {
        response.writeHead(200, { 'content-type': type }).end(body);
      });
      try {
        assert.equal((await failure(client.head())).code, 'UNREACHABLE', body);
      } finally {
        await close(server);
      }
    }
  });

  it('takes no code it does not know, and no nested data', async () => {
    const { server, client } = await serve((_request, response) => {
      response.writeHead(500, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({ code: '__proto__', detail: 'x'.repeat(5000), data: { a: { b: 1 }, c: 1 }, hint: 5 }),
      );
    });
    try {
      const error = await failure(client.head());
      assert.equal(error.code, 'INTERNAL');
      assert(error.message.length <= 1000);
      assert.deepEqual(error.data, { code: '__proto__', c: 1 });
      assert.equal(error.hint, undefined);
    } finally {
      await close(server);
    }
  });

  it('stops reading an answer larger than any of a node', async () => {
    const chunk = Buffer.alloc(1024 * 1024, ' ');
    const { server, client } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        response.once('drain', more);
      };
      more();
    }, 30_000);
    try {
      assert.equal((await failure(client.head())).code, 'TOO_LARGE');
    } finally {
      await close(server);
    }
  });

  it('stops unpacking a small answer that is large unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 * 1024, ' '));
    assert.ok(bomb.length < 1024 * 1024, String(bomb.length));
    const { server, client } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
      response.end(bomb);
    }, 30_000);
    try {
      assert.equal((await failure(client.head())).code, 'TOO_LARGE');
    } finally {
      await close(server);
    }
  });

  it('refuses an address that is no URL', () => {
    for (const url of ['127.0.0.1:8006', 'ftp://host', '', 'file:///etc/passwd']) {
      assert.throws(
        () => createClient({ url }),
        (error) => isNodeError(error) && error.code === 'INVALID_PARAMS',
      );
    }
  });
});
