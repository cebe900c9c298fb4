import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../../src/bytes.ts';
import { blockId, decodeHeader } from '../../../src/chain/block.ts';
import { decodeCertificate } from '../../../src/chain/votes.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { ask } from './http.ts';

describe('rpc proofs', () => {
  let node: FakeNode;
  let server: RpcServer;

  beforeEach(async () => {
    node = new FakeNode();
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
    for (const nonce of [0, 1]) node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'fresh', nonce })]);
  });
  afterEach(() => server.close());

  it('give header, certificate and sets of a height', async () => {
    const { status, json, headers } = await ask(server.url, '/rpc/light/1');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(json).sort(), [
      'certificate',
      'chain_id',
      'hash',
      'header',
      'height',
      'next_validators',
      'validators',
    ]);
    const header = decodeHeader(fromHex(json.header));
    assert.equal(toHex(blockId(nativeCrypto, header)), json.hash);
    assert.equal(decodeCertificate(fromHex(json.certificate)).height, 1);
    assert.equal(json.validators.validators.length, 3);
    assert.equal(json.next_validators, null);
    assert.match(String(headers['cache-control']), /immutable/);
    const latest = await ask(server.url, '/rpc/light/latest');
    assert.equal(latest.json.height, 2);
    assert.equal(latest.headers['cache-control'], 'no-store');
  });

  it('say which heights there are, and when a set is not kept', async () => {
    for (const height of ['0', '3', '9007199254740991']) {
      const { status, json } = await ask(server.url, `/rpc/light/${height}`);
      assert.equal(status, 404, height);
      assert.match(json.hint, /heights 1 to 2/);
    }
    Object.assign(node.chain, { validatorSet: () => undefined });
    const { status, json } = await ask(server.url, '/rpc/light/1');
    assert.equal(status, 404);
    assert.match(json.detail, /does not keep the validator set/);
    assert.match(json.hint, /another node/);
  });

  it('answer 410 with what is kept, for everything of a pruned height', async () => {
    const [first] = node.applied;
    assert.ok(first);
    const tx = toHex(first.block.txs[0]?.id ?? assert.fail());
    node.base = 2;
    const paths = ['/rpc/blocks/1', `/rpc/blocks/${toHex(first.blockId)}`, '/rpc/light/1'];
    for (const path of [...paths, `/rpc/transactions/${tx}?proof=1`]) {
      const { status, json } = await ask(server.url, path);
      assert.equal(status, 410, path);
      assert.equal(json.code, 'PRUNED');
      assert.deepEqual(json.data, { height: 1, base: 2, head: 2 });
      assert.match(json.hint, /keeps heights 2 to 2/);
    }
    const found = await ask(server.url, `/rpc/transactions/${tx}`);
    assert.equal(found.status, 200);
    const { status, height, code, reason } = found.json;
    assert.deepEqual({ status, height, code }, { status: 'final', height: 1, code: null });
    assert.match(reason, /no longer kept/);
    assert.equal(found.headers['cache-control'], 'no-store');
    const unknown = await ask(server.url, `/rpc/transactions/${'00'.repeat(32)}`);
    assert.match(unknown.json.reason, /keeps blocks from height 2/);
    assert.equal((await ask(server.url, '/rpc/status')).json.base_height, 2);
    assert.equal((await ask(server.url, '/rpc/blocks/2')).status, 200);
    assert.match((await ask(server.url, '/rpc/blocks/3')).json.hint, /heights 2 to 2/);
  });

  it('answer 404 before the first block', async () => {
    const empty = new FakeNode();
    const other = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 } },
      { api: fakeNode(empty), log: nopLogger },
    );
    for (const path of ['/rpc/light/latest', '/rpc/state/01', `/rpc/accounts/${addressText('fresh')}?proof=1`]) {
      assert.equal((await ask(other.url, path)).status, 404, path);
    }
    await other.close();
  });

  it('are given for keys that are there and for others, up to a length', async () => {
    for (const key of ['0201', '00', 'ff'.repeat(64)]) {
      const { status, json, headers } = await ask(server.url, `/rpc/state/${key}`);
      assert.equal(status, 200, key);
      assert.equal(json.key, key);
      assert.equal(json.height, 2);
      assert.equal(json.proof.height, 2);
      assert.equal(json.proof.value === null, key !== '0201');
      assert.equal(headers['cache-control'], 'no-store');
    }
  });

  it('are refused for what is no key, height or hash', async () => {
    const id = toHex(node.applied[0]?.block.txs[0]?.id ?? new Uint8Array());
    const wrong = [
      '/rpc/state/0',
      '/rpc/state/zz',
      '/rpc/state/AA',
      '/rpc/state/01?proof=1',
      '/rpc/light/-1',
      '/rpc/light/01',
      '/rpc/light/1?x=1',
      '/rpc/light/99999999999999999',
      `/rpc/transactions/${id}?proof=2`,
    ];
    for (const path of wrong) assert.equal((await ask(server.url, path)).status, 400, path);
    assert((await ask(server.url, `/rpc/state/${'ff'.repeat(65)}`)).status >= 400);
  });

  it('stand beside a final transaction when asked for', async () => {
    const id = toHex(node.applied[1]?.block.txs[0]?.id ?? new Uint8Array());
    const plain = await ask(server.url, `/rpc/transactions/${id}`);
    assert.equal(plain.json.proof, undefined);
    const { json } = await ask(server.url, `/rpc/transactions/${id}?proof=1`);
    const { proof, ...rest } = json;
    assert.deepEqual(rest, plain.json);
    assert.equal(proof.height, 2);
    assert.equal(proof.count, 1);
    const unknown = await ask(server.url, `/rpc/transactions/${'00'.repeat(32)}?proof=1`);
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json.proof, undefined);
  });
});
