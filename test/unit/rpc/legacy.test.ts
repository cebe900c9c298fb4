import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { transactionToJson } from '../../../src/chain/tx-json.ts';
import { MAX_RANGE_BLOCKS, MAX_RANGE_TXS } from '../../../src/rpc/routes/legacy.ts';
import { addressText, signer } from '../../util/chain-fixture.ts';
import { World } from './document-world.ts';
import type { Answer } from './http.ts';
import { ask, post } from './http.ts';

describe('names of the replaced system', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
  });

  afterEach(() => world.close());

  const get = (path: string): Promise<Answer> => ask(world.server.url, path);
  const blockTime = (height: number): string =>
    new Date(world.node.applied[height - 1]?.block.header.timeMs ?? 0).toISOString();

  it('say that they are deprecated, until when, and what to use, whatever the answer', async () => {
    const hash = '00'.repeat(32);
    const cases: [string, string, number][] = [
      ['/rpc/get_head', '/rpc/head', 200],
      ['/rpc/get_block/2', '/rpc/blocks/2', 200],
      [`/rpc/tx/${hash}`, `/rpc/transactions/${hash}`, 404],
      ['/rpc/getBalance/no', '/rpc/accounts/no', 400],
    ];
    for (const [path, successor, status] of cases) {
      const answer = await get(path);
      assert.equal(answer.status, status);
      assert.match(String(answer.headers['deprecation']), /^@\d{10}$/);
      assert(Date.parse(String(answer.headers['sunset'])) >= Date.UTC(2028, 0, 1));
      assert.equal(answer.headers['link'], `<${successor}>; rel="successor-version"`);
    }
    assert.equal((await get('/rpc/head')).headers['deprecation'], undefined);
  });

  it('tell the problem where their clients look for it', async () => {
    const { json } = await get(`/rpc/account/${addressText('nobody')}`);
    assert.equal(json.detail, 'Account not found');
  });

  it('show head and blocks with all fields of before', async () => {
    const { json: head } = await get('/rpc/get_head');
    assert.deepEqual([head.height, head.tx_count, head.timestamp], [3, 1, blockTime(3)]);
    const { json: block } = await get('/rpc/get_block/3');
    assert.deepEqual([block.height, block.hash], [3, head.hash]);
    assert.equal(block.parent_hash, (await get('/rpc/get_block/2')).json.hash);
    assert.deepEqual((await get('/rpc/height')).json, { height: 3 });
  });

  it('show what is pending, an account with its last transactions, and blocks as the explorer reads them', async () => {
    const pending = world.transfer();
    await post(world.server.url, '/rpc/transactions', { tx: toHex(pending.bytes) });
    for (const path of ['/rpc/mempool', '/rpc/pending?limit=1']) {
      const { json } = await get(path);
      assert.deepEqual([json.success, json.count, json.transactions[0].tx_hash], [true, 1, toHex(pending.id)]);
      assert.deepEqual([json.transactions[0].status, json.transactions[0].type], ['pending', 'TRANSFER']);
    }
    const { json: account } = await get(`/rpc/address/${addressText('account-1')}?limit=2`);
    assert.deepEqual([account.latest_sent.length, account.latest_received.length], [0, 2]);
    assert.equal(account.latest_received[0].counterparty, addressText('account-0'));
    const { json: list } = await get('/v1/explorer/blocks?limit=2');
    assert.deepEqual(
      list.items.map(({ height }: { height: number }) => height),
      [3, 2],
    );
    assert.equal(list.next_offset, 2);
    const { json: rest } = await get('/api/explorer/blocks?limit=2&offset=2');
    assert.deepEqual([rest.items.length, rest.next_offset], [1, null]);
    const { json: block } = await get('/api/blocks/2');
    assert.equal(block.transactions.length, 1);
    const { json: tx } = await get(`/api/transactions/${world.hash(2)}`);
    assert.deepEqual([tx.block_height, tx.from, tx.amount], [2, addressText('account-0'), 1]);
  });

  it('show a range, both ends included, with and without transactions', async () => {
    const { json } = await get('/rpc/blocks-range?start=2&end=9');
    assert.deepEqual([json.success, json.start, json.end, json.count], [true, 2, 9, 2]);
    assert.deepEqual(
      json.blocks.map(({ height }: { height: number }) => height),
      [2, 3],
    );
    assert.equal(json.blocks[0].transactions[0].tx_hash, world.hash(2));
    const plain = (await get('/rpc/blocks-range?start=0&end=1&include_tx=false')).json;
    assert.deepEqual([plain.count, plain.blocks[0].transactions], [1, undefined]);
    assert.equal((await get('/rpc/blocks-range?start=2&end=1')).json.code, 'INVALID_PARAMS');
    assert.equal((await get('/rpc/blocks-range?start=2')).json.code, 'INVALID_PARAMS');
  });

  it(`show at most ${MAX_RANGE_BLOCKS} blocks and ${MAX_RANGE_TXS} transactions of a range`, async () => {
    assert.equal((await get(`/rpc/blocks-range?start=1&end=${MAX_RANGE_BLOCKS}`)).status, 200);
    assert.equal((await get(`/rpc/blocks-range?start=1&end=${MAX_RANGE_BLOCKS + 1}`)).json.code, 'TOO_LARGE');
    const block = world.node.chain.block.bind(world.node.chain);
    Object.assign(world.node.chain, {
      block: (height: number) => {
        const { header, txs = [], ...rest } = block(height) ?? assert.fail();
        return { ...rest, header, txs: Array(MAX_RANGE_TXS).fill(txs[0]) };
      },
    });
    assert.equal((await get('/rpc/blocks-range?start=2&end=2')).json.blocks[0].transactions.length, MAX_RANGE_TXS);
    const { json } = await get('/rpc/blocks-range?start=2&end=3');
    assert.equal(json.code, 'TOO_LARGE');
    assert.match(json.hint, /2 to 2/);
  });

  it('show final transactions with sender and recipient, and no others', async () => {
    const hash = world.hash(2);
    const [from, to] = [addressText('account-0'), addressText('account-1')];
    const small = {
      tx_hash: hash,
      block_height: 2,
      sender: from,
      recipient: to,
      payload: { to, amount_uait: '1' },
      created_at: blockTime(2),
    };
    for (const path of ['tx', 'get_tx']) assert.deepEqual((await get(`/rpc/${path}/${hash}`)).json, small);
    const tx = world.node.applied[1]?.block.txs[0] ?? assert.fail();
    assert.deepEqual((await get(`/rpc/transaction/${hash}`)).json, {
      ...small,
      ...{ transaction_id: hash, chain_id: 'ait-devnet', type: 'TRANSFER', status: 'confirmed' },
      ...{ timestamp: blockTime(2), nonce: 1, value: 1, fee: tx.feeUait },
    });
    const pending = world.transfer();
    await post(world.server.url, '/rpc/transactions', { tx: toHex(pending.bytes) });
    assert.equal((await get(`/rpc/tx/${toHex(pending.id)}`)).status, 404);
  });

  it('show balances as numbers', async () => {
    const address = addressText('account-0');
    const balance = Number((await get(`/rpc/accounts/${address}`)).json.balance_uait);
    const updated_at = blockTime(3);
    for (const path of ['getBalance', 'get_balance']) {
      assert.deepEqual((await get(`/rpc/${path}/${address}`)).json, { address, balance, nonce: 3, updated_at });
    }
    const nobody = addressText('nobody');
    const empty = { address: nobody, balance: 0, nonce: 0, updated_at };
    assert.deepEqual((await get(`/rpc/getBalance/${nobody}`)).json, empty);
    const { json } = await get(`/rpc/balance/${address}`);
    assert.deepEqual([json.available_balance, json.total_balance, json.staked], [balance, balance, 0]);
    const account = (await get(`/rpc/account/${address}`)).json;
    assert.deepEqual(account, { address, balance, nonce: 3, chain_id: 'ait-devnet' });
  });

  it('tell of chain, peers and catching up', async () => {
    world.node.reach = { state: 'syncing', targetHeight: 9 };
    for (const path of ['/rpc/syncStatus', '/sync_status']) {
      const { json } = await get(path);
      assert.deepEqual([json.chain_id, json.head_height, json.total_blocks], ['ait-devnet', 3, 3]);
      assert.deepEqual([json.syncing, json.target_height, json.max_reorg_depth], [true, 9, 0]);
      assert.equal(json.trusted_proposers.length, 3);
      assert.equal(json.head_timestamp, blockTime(3));
    }
    const { json: net } = await get('/net_info');
    assert.deepEqual([net.n_peers, net.peers.length, net.listening], [1, 1, true]);
    const { json: info } = await get('/rpc/info');
    assert.deepEqual([info.height, info.supported_chains], [3, ['ait-devnet']]);
    assert.equal(info.proposer_id, toHex(signer('validator-0').publicKey));
    assert.equal(info.genesis_params.block_time_seconds, 0.02);
    assert.deepEqual((await get('/v1/health')).json, { status: 'ok' });
  });

  it('take transactions in our forms, and say so of theirs', async () => {
    const paths = ['sendTx', 'send_tx', 'broadcast_tx', 'transaction'];
    for (const [i, path] of paths.entries()) {
      const tx = world.transfer({ nonce: 3 + i });
      const body = i % 2 ? transactionToJson(tx) : { tx: toHex(tx.bytes) };
      const { status, json } = await post(world.server.url, `/rpc/${path}`, body);
      assert.equal(status, 200, path);
      const message = 'Transaction submitted to mempool';
      const expected =
        path === 'transaction' ? { success: true, transaction_hash: toHex(tx.id), message } : { tx_hash: toHex(tx.id) };
      assert.deepEqual(json, expected);
      const old = { type: 'TRANSFER', sender: 'ait1x', nonce: 0, fee: 10, payload: { recipient: 'ait1y', amount: 1 } };
      assert.equal((await post(world.server.url, `/rpc/${path}`, old)).json.code, 'INVALID_PARAMS');
    }
    assert.equal(world.node.mempool.size, 4);
  });

  it('that are gone answer 410 with the reason, whatever they are sent', async () => {
    for (const body of ['{"height":1}', '{', '']) {
      const { status, json, headers } = await post(world.server.url, '/rpc/importBlock', body);
      assert.equal(status, 410);
      assert.equal(json.code, 'GONE');
      assert.match(json.detail, /come from peers/);
      assert(headers['deprecation']);
    }
    for (const path of ['/blocks/import', '/rpc/admin/mintFaucet']) {
      assert.equal((await post(world.server.url, path, '{}')).status, 410);
    }
  });
});
