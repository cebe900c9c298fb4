import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { createClient } from '../../../src/sdk/client.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask, post } from './http.ts';

describe('rpc of several chains', () => {
  let devnet: FakeNode;
  let testnet: FakeNode;
  let node: ReturnType<typeof fakeNode>;
  let server: RpcServer;

  beforeEach(async () => {
    devnet = new FakeNode();
    testnet = new FakeNode({ chainId: 'ait-testnet' });
    node = fakeNode(devnet, testnet);
    const listen = { host: '127.0.0.1', port: 0 };
    server = await startRpcServer({ listen }, { api: node, log: nopLogger });
  });

  afterEach(async () => {
    await server.close();
    assert.equal(devnet.listeners + testnet.listeners, 0);
  });

  const transferOf = (chain: FakeNode, nonce = 0) =>
    makeTransfer(chain.genesis, { from: 'account-0', to: 'account-1', nonce });

  it('answers each with its own blocks, and the default one to whoever names none', async () => {
    testnet.produce([transferOf(testnet)]);
    assert.equal((await ask(server.url, '/rpc/head?chain_id=ait-testnet')).json.chain_id, 'ait-testnet');
    assert.equal((await ask(server.url, '/rpc/head')).status, 404);
    const paths = ['status', 'consensus', 'validators', 'genesis', `accounts/${addressText('account-0')}`];
    for (const path of paths) {
      const own = (await ask(server.url, `/rpc/${path}?chain_id=ait-testnet`)).json;
      const other = (await ask(server.url, `/rpc/${path}`)).json;
      assert.notDeepEqual(own, other, path);
      if ('chain_id' in own) assert.deepEqual([own.chain_id, other.chain_id], ['ait-testnet', 'ait-devnet']);
    }
  });

  it('takes chain_id on every path of a chain', async () => {
    const hash = 'ab'.repeat(32);
    const address = addressText('account-0');
    for (const path of [
      ...['head', 'blocks/1', 'genesis', 'status', 'consensus', 'validators', 'peers', 'light/1', 'state/01'],
      ...[`accounts/${address}`, `accounts/${address}/nonce`, `transactions/${hash}`],
    ]) {
      const { status, json } = await ask(server.url, `/rpc/${path}?chain_id=ait-mainnet`);
      assert.equal(status, 404, path);
      assert.equal(json.code, 'UNKNOWN_CHAIN', path);
      assert.equal((await ask(server.url, `/rpc/${path}?chain_id=A`)).status, 400, path);
    }
    const sent = await post(server.url, '/rpc/transactions?chain_id=ait-mainnet', { tx: '00' });
    assert.equal(sent.json.code, 'UNKNOWN_CHAIN');
    assert.equal((await ask(server.url, '/readyz?chain_id=ait-mainnet')).json.code, 'UNKNOWN_CHAIN');
  });

  it('takes a transaction for the chain that query or body name, and for no other', async () => {
    testnet.autoCommit = true;
    const tx = transferOf(testnet);
    const body = { tx: toHex(tx.bytes) };
    const wrong = await post(server.url, '/rpc/transactions', body);
    assert.equal(wrong.status, 422);
    assert.equal(wrong.json.code, 'WRONG_CHAIN');
    assert.deepEqual([wrong.json.data.signed_for, wrong.json.data.sent_to], ['ait-testnet', 'ait-devnet']);
    assert.equal(devnet.mempool.size, 0);
    const named = await post(server.url, '/rpc/transactions', { ...body, chain_id: 'ait-testnet' });
    assert.equal(named.json.status, 'final', named.text);
    const next = { tx: toHex(transferOf(testnet, 1).bytes) };
    const inQuery = await post(server.url, '/rpc/transactions?chain_id=ait-testnet', next);
    assert.equal(inQuery.json.status, 'final', inQuery.text);
    const both = await post(server.url, '/rpc/transactions?chain_id=ait-devnet', { ...next, chain_id: 'ait-testnet' });
    assert.equal(both.json.code, 'INVALID_PARAMS');
    const client = createClient({ url: server.url, chainId: 'ait-testnet' });
    assert.equal((await client.transaction(toHex(tx.id))).status, 'final');
    assert.equal((await createClient({ url: server.url }).transaction(toHex(tx.id))).status, 'rejected');
  });

  it('lists them with head, health and failure; a failed one hides no other', async () => {
    testnet.produce([transferOf(testnet)]);
    devnet.failure = new NodeError('CORRUPT', 'a block is missing', { hint: 'fetch it again' });
    const { chains } = await createClient({ url: server.url }).chains();
    assert.deepEqual(
      chains.map(({ chain_id, state, height, health }) => [chain_id, state, height, health]),
      [
        ['ait-devnet', 'failed', null, null],
        ['ait-testnet', 'running', 1, 'synced'],
      ],
    );
    assert.deepEqual(chains[0]?.error, { code: 'CORRUPT', message: 'a block is missing', hint: 'fetch it again' });
    assert.deepEqual([chains[0]?.default, chains[1]?.default], [true, false]);
    testnet.fault = new NodeError('STORAGE', 'unreadable');
    const again = await createClient({ url: server.url }).chains();
    assert.equal(again.chains[1]?.error?.code, 'STORAGE');
  });

  it('says that a chain does not run, and is not ready while one has failed', async () => {
    devnet.failure = new NodeError('CORRUPT', 'a block is missing');
    const { status, json, headers } = await ask(server.url, '/rpc/status');
    assert.equal(status, 503);
    assert.equal(json.code, 'CHAIN_STOPPED');
    assert.equal(headers['retry-after'], '1');
    const ready = await ask(server.url, '/readyz');
    assert.equal(ready.status, 503);
    assert.equal(ready.json.code, 'CHAIN_STOPPED');
    assert.deepEqual(
      ready.json.errors.map(({ pointer }: { pointer: string }) => pointer),
      ['/ait-devnet/runs'],
    );
    assert.equal((await ask(server.url, '/readyz?chain_id=ait-testnet')).status, 200);
    const { json: health } = await ask(server.url, '/health');
    assert.deepEqual([health.status, health.state, health.height], ['ok', 'failed', null]);
    assert.deepEqual(health.chains[1], { chain_id: 'ait-testnet', state: 'synced', height: 0 });
  });

  it('ends the waits of a chain that stops, with a code', async () => {
    const tx = transferOf(testnet);
    const answer = post(server.url, '/rpc/transactions?mode=commit&chain_id=ait-testnet', { tx: toHex(tx.bytes) });
    await waitFor('the wait', () => testnet.mempool.size === 1 && testnet.listeners === 1);
    testnet.closing.abort();
    assert.equal((await answer).json.code, 'CHAIN_STOPPED');
    assert.equal(testnet.listeners, 0);
  });
});
