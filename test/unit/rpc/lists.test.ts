import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { transactionToJson } from '../../../src/chain/tx-json.ts';
import {
  MAX_PAGE_BLOCKS,
  MAX_PAGE_ITEMS,
  MAX_PAGE_TXS,
  MAX_SEARCH_BLOCKS,
  MAX_SEARCH_TXS,
} from '../../../src/rpc/paging.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { World } from './document-world.ts';
import type { Answer } from './http.ts';
import { ask, post } from './http.ts';

describe('rpc lists', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
    const nonces = [3, 4, 5];
    world.node.produce(nonces.map((nonce) => world.transfer({ nonce })));
  });

  afterEach(() => world.close());

  const get = (path: string): Promise<Answer> => ask(world.server.url, path);
  const cursorOf = ({ json }: Answer): string => Buffer.from(json.next_cursor, 'base64url').toString();

  /** All pages, and something new between them. */
  async function pages(path: string, limit: number, between: () => void): Promise<Answer['json'][][]> {
    const all: Answer['json'][][] = [];
    let next = `${path}${path.includes('?') ? '&' : '?'}limit=${limit}`;
    for (;;) {
      const { status, headers, json } = await get(next);
      assert.equal(status, 200);
      assert.equal(headers['cache-control'], 'no-store');
      all.push(json.items);
      if (json.next_cursor === null) {
        assert.equal(headers['link'], undefined);
        return all;
      }
      const [, link = ''] = /^<(.*)>; rel="next"$/.exec(String(headers['link'])) ?? [];
      assert.equal(new URLSearchParams(link.slice(link.indexOf('?'))).get('cursor'), json.next_cursor);
      next = link;
      between();
    }
  }

  it('of blocks go back to the first, whatever becomes final meanwhile', async () => {
    let nonce = 6;
    const found = await pages('/rpc/blocks', 3, () => world.node.produce([world.transfer({ nonce: nonce++ })]));
    assert.deepEqual(
      found.map((items) => items.map(({ height }) => height)),
      [[4, 3, 2], [1]],
    );
    assert.deepEqual(found[0]?.[0].hash, (await get('/rpc/blocks/4')).json.hash);
  });

  it('of transactions go back to the first, also from within a block', async () => {
    let nonce = 6;
    const found = await pages('/rpc/transactions', 2, () => world.node.produce([world.transfer({ nonce: nonce++ })]));
    assert.deepEqual(
      found.map((items) => items.map(({ height, index }) => [height, index])),
      [
        [
          [4, 2],
          [4, 1],
        ],
        [
          [4, 0],
          [3, 0],
        ],
        [
          [2, 0],
          [1, 0],
        ],
      ],
    );
    const tx = world.node.applied[1]?.block.txs[0] ?? assert.fail();
    const expected = { hash: toHex(tx.id), height: 2, index: 0, code: 0, code_name: 'OK' };
    assert.deepEqual(found[2]?.[0], { ...expected, transaction: transactionToJson(tx) });
  });

  it('end at the lowest height kept, and refuse what is below', async () => {
    world.node.base = 3;
    for (const path of ['/rpc/blocks', '/rpc/transactions']) {
      const heights = (await pages(path, 1, () => undefined)).flat().map(({ height }) => height);
      assert.equal(Math.min(...heights), 3);
      const cursor = Buffer.from('2.0').toString('base64url');
      assert.equal((await get(`${path}?cursor=${cursor}`)).json.code, 'PRUNED');
    }
  });

  /** From here on the chain has 5,000 blocks, each with the transactions that `holding` is given. */
  const longChain = () => {
    const { chain } = world.node;
    const one = { block: chain.block(1) ?? assert.fail(), certificate: chain.certificate(1) };
    const tip = { ...chain.tip(), height: 5000 };
    let read = 0;
    const holding = (txs: readonly unknown[]): void => {
      read = 0;
      Object.assign(chain, {
        tip: () => tip,
        block: (height: number) => {
          read++;
          return { ...one.block, header: { ...one.block.header, height }, txs };
        },
        certificate: () => one.certificate,
        receipts: () => [],
      });
    };
    return { first: one.block.txs[0], holding, read: () => read };
  };

  it('of a chain without blocks are empty', async () => {
    Object.assign(world.node.chain, { tip: () => ({ height: 0 }) });
    for (const path of ['/rpc/blocks', '/rpc/transactions']) {
      assert.deepEqual((await get(path)).json, { items: [], next_cursor: null });
    }
  });

  it('refuse cursors and limits that are none', async () => {
    for (const query of ['limit=0', `limit=${MAX_PAGE_ITEMS + 1}`, 'limit=x', 'cursor=', 'cursor=abc', 'cursor=!']) {
      for (const path of ['/rpc/blocks', '/rpc/transactions']) {
        assert.equal((await get(`${path}?${query}`)).json.code, 'INVALID_PARAMS', query);
      }
    }
    assert.equal((await get(`/rpc/blocks?limit=${MAX_PAGE_ITEMS}`)).status, 200);
    const far = Buffer.from('999999999999999.0').toString('base64url');
    assert.equal((await get(`/rpc/blocks?cursor=${far}`)).json.items[0].height, 4);
  });

  it(`read at most ${MAX_PAGE_BLOCKS} blocks and ${MAX_PAGE_TXS} transactions for a page`, async () => {
    const { first, holding, read } = longChain();
    holding([]);
    const empty = (await get('/rpc/transactions')).json;
    assert.deepEqual([empty.items.length, read()], [0, MAX_PAGE_BLOCKS + 1]);
    assert.equal(Buffer.from(empty.next_cursor, 'base64url').toString(), `${5000 - MAX_PAGE_BLOCKS}.0`);
    holding(Array(MAX_PAGE_TXS / 2).fill(first));
    assert.equal((await get('/rpc/blocks')).json.items.length, 2);
    assert.equal(read(), 3);
  });

  it('of transactions are those of one account, where it is named', async () => {
    const { node } = world;
    node.produce([makeTransfer(node.genesis, { from: 'account-2', to: 'account-3', nonce: 0 })]);
    const of = async (name: string): Promise<number[]> => {
      const found = await pages(`/rpc/transactions?address=${addressText(name)}`, 2, () => undefined);
      return found.flat().map(({ height }) => height);
    };
    assert.deepEqual(await of('account-3'), [5]);
    assert.deepEqual(await of('account-2'), [5]);
    assert.deepEqual(new Set(await of('account-1')), new Set([4, 3, 2, 1]));
    assert.deepEqual(await of('nobody'), []);
    assert.equal((await get('/rpc/transactions?address=ait1nothing')).json.code, 'BAD_ADDRESS');
  });

  it(`bound: those of an account are looked for in ${MAX_SEARCH_BLOCKS} blocks, and ${MAX_SEARCH_TXS} transactions`, async () => {
    const { first, holding, read } = longChain();
    const path = `/rpc/transactions?address=${addressText('nobody')}`;
    holding([]);
    assert.equal(cursorOf(await get(path)), `${5000 - MAX_SEARCH_BLOCKS}.0`);
    assert.equal(read(), MAX_SEARCH_BLOCKS + 1);
    holding(Array(MAX_SEARCH_TXS + 1).fill(first));
    assert.equal(cursorOf(await get(path)), `4999.${MAX_SEARCH_TXS}`);
    assert.equal(read(), 2);
  });

  it('of blocks answer offsets in the shape of the replaced system', async () => {
    const { json, headers } = await get('/rpc/blocks?limit=2&offset=1');
    assert.deepEqual([json.total, json.limit, json.offset], [4, 2, 1]);
    assert.deepEqual(
      json.blocks.map(({ height }: { height: number }) => height),
      [3, 2],
    );
    assert(headers['deprecation']);
    assert.deepEqual((await get('/rpc/blocks?offset=9')).json.blocks, []);
  });
});

describe('final objects', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start();
  });

  afterEach(() => world.close());

  it('are kept by clients: ETag, immutable, 304', async () => {
    const hash = world.hash(2);
    const paths = [
      ...[
        '/rpc/blocks/2',
        '/rpc/blocks/2?transactions=hashes',
        '/rpc/blocks/2/receipts',
        '/rpc/light/2',
        '/rpc/genesis',
      ],
      ...[`/rpc/transactions/${hash}`, `/rpc/transactions/${hash}?proof=1`],
    ];
    const tags = new Set<string>();
    for (const path of paths) {
      const first = await ask(world.server.url, path);
      const tag = String(first.headers['etag']);
      assert.match(tag, /^"[\x21\x23-\x7e]+"$/, path);
      assert.match(String(first.headers['cache-control']), /immutable/);
      for (const held of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
        const again = await ask(world.server.url, path, { headers: { 'if-none-match': held } });
        assert.deepEqual([again.status, again.text, again.headers['etag']], [304, '', tag], path);
      }
      const other = await ask(world.server.url, path, { headers: { 'if-none-match': '"other"' } });
      assert.deepEqual([other.status, other.text], [200, first.text]);
      const head = await ask(world.server.url, path, { method: 'HEAD' });
      assert.deepEqual([head.status, head.text, head.headers['etag']], [200, '', tag]);
      tags.add(tag);
    }
    assert.equal(tags.size, paths.length);
  });

  it('are these alone: what can change is never stored', async () => {
    const pending = world.transfer();
    await post(world.server.url, '/rpc/transactions', { tx: toHex(pending.bytes) });
    for (const path of ['/rpc/head', '/rpc/light/latest', `/rpc/transactions/${toHex(pending.id)}`, '/rpc/blocks/99']) {
      const { headers } = await ask(world.server.url, path, { headers: { 'if-none-match': '*' } });
      assert.deepEqual([headers['etag'], headers['cache-control']], [undefined, 'no-store'], path);
    }
  });

  it('show the receipts of a block in the order of its transactions', async () => {
    world.node.produce([
      world.transfer({ amountUait: 600_000_000 }),
      world.transfer({ nonce: 4, amountUait: 600_000_000 }),
    ]);
    const { json } = await ask(world.server.url, '/rpc/blocks/4/receipts');
    assert.equal(json.height, 4);
    const txs = world.node.applied[3]?.block.txs ?? [];
    assert.deepEqual(
      json.receipts.map(({ hash, code_name, fee_uait }: Record<string, unknown>) => [hash, code_name, fee_uait]),
      txs.map((tx, i) => [toHex(tx.id), i === 0 ? 'OK' : 'INSUFFICIENT_FUNDS', String(tx.feeUait)]),
    );
  });
});
