import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { transactionToJson } from '../../../src/chain/tx-json.ts';
import { ERRORS, NodeError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { MAX_JSON_DEPTH } from '../../../src/rpc/json-body.ts';
import { MAX_BATCH_ANSWER_BYTES, MAX_BATCH_CALLS } from '../../../src/rpc/json-rpc.ts';
import { MAX_JSON_RPC_BODY_BYTES } from '../../../src/rpc/routes/json-rpc.ts';
import { addressText } from '../../util/chain-fixture.ts';
import { World } from './document-world.ts';
import { ask, post } from './http.ts';
import type { Answer } from './http.ts';

describe('JSON-RPC', () => {
  let world: World;

  beforeEach(async () => {
    world = await World.start({ market: true });
  });

  afterEach(() => world.close());

  const sendText = (text: unknown): Promise<Answer> => post(world.server.url, '/rpc', text);
  const call = async (method: string, params?: unknown) => {
    const { status, json } = await sendText({ jsonrpc: '2.0', id: 7, method, ...(params !== undefined && { params }) });
    assert.equal(status, 200);
    assert.equal(json.id, 7);
    return json;
  };
  const failsWith = (json: Answer['json'], code: ErrorCode): void => {
    assert.equal(json.error?.data.code, code, JSON.stringify(json).slice(0, 300));
    assert.equal(json.error.code, ERRORS[code].jsonRpc);
    assert.equal(json.error.message, json.error.data.detail);
    assert.equal(json.result, undefined);
  };

  describe('methods', () => {
    it('answer as their paths do, by name and by position', async () => {
      const hash = world.hash(2);
      const address = addressText('account-0');
      const cases: [string, object, unknown[], string][] = [
        ['get_head', {}, [], '/rpc/head'],
        ['get_head', { chain_id: 'ait-devnet' }, ['ait-devnet'], '/rpc/head'],
        ['get_block', { height: 2 }, [2], '/rpc/blocks/2'],
        ['get_block', { height: '2', transactions: 'hashes' }, ['2', 'hashes'], '/rpc/blocks/2?transactions=hashes'],
        ['get_tx', { hash }, [hash], `/rpc/transactions/${hash}`],
        ['get_tx', { hash, proof: true }, [hash, true], `/rpc/transactions/${hash}?proof=1`],
        ['get_tx', { hash, proof: false }, [hash, null, 'ait-devnet'], `/rpc/transactions/${hash}`],
        ['get_balance', { address }, [address], `/rpc/accounts/${address}`],
        ['get_account', { address, proof: '1' }, [address, true], `/rpc/accounts/${address}?proof=1`],
        ['get_nonce', { address }, [address], `/rpc/accounts/${address}/nonce`],
        ['get_agreement', { agreement: world.agreement() }, [world.agreement()], `/v1/agreements/${world.agreement()}`],
        ['get_stake', { address, proof: true }, [address, true], `/v1/miners/${address}/stake?proof=1`],
        ['get_market_params', {}, [], '/v1/market/params'],
        ['get_market_stats', {}, [], '/v1/marketplace/stats'],
        ['list_offers', { kind: 'llm.chat' }, ['llm.chat'], '/v1/marketplace/offers?kind=llm.chat'],
        ['list_miners', {}, [], '/v1/miners'],
        ['get_light_block', { height: 'latest' }, ['latest'], '/rpc/light/latest'],
        ['get_state', { key: '0201' }, ['0201'], '/rpc/state/0201'],
        ['get_genesis', {}, [], '/rpc/genesis'],
        ['get_join_document', {}, [], '/rpc/join'],
        ['list_blocks', { limit: 2 }, [2], '/rpc/blocks?limit=2'],
        ['list_txs', { limit: '1' }, [1], '/rpc/transactions?limit=1'],
        ['get_receipts', { height: 2 }, [2], '/rpc/blocks/2/receipts'],
        ['get_status', {}, [], '/rpc/status'],
        ['get_consensus', {}, [], '/rpc/consensus'],
        ['get_validators', {}, [], '/rpc/validators'],
        ['get_peers', {}, [], '/rpc/peers'],
        ['get_snapshots', {}, [], '/rpc/snapshots'],
        ['health', {}, [], '/health'],
        ['net_info', {}, [], '/net_info'],
        ['sync_status', {}, [], '/sync_status'],
        ['list_chains', {}, [], '/api/chains'],
      ];
      for (const [method, named, listed, path] of cases) {
        const { json } = await ask(world.server.url, path);
        assert.deepEqual((await call(method, named)).result, json, method);
        assert.deepEqual((await call(method, listed)).result, json, method);
      }
      const { json } = await sendText({ jsonrpc: '2.0', id: 1, method: 'rpc.discover' });
      assert.deepEqual(
        new Set(json.result.methods.map(({ name }: { name: string }) => name)),
        new Set([...cases.map(([method]) => method), 'send_tx', 'broadcast_tx']),
      );
    });

    it('take transactions in every form', async () => {
      const forms = [
        (nonce: number) => toHex(world.transfer({ nonce }).bytes),
        (nonce: number) => Buffer.from(world.transfer({ nonce }).bytes).toString('base64'),
        (nonce: number) => transactionToJson(world.transfer({ nonce })),
      ];
      for (const [i, form] of forms.entries()) {
        const { result } = await call('send_tx', { tx: form(3 + i) });
        assert.equal(result.status, 'pending');
        assert.equal(result.hash, toHex(world.transfer({ nonce: 3 + i }).id));
      }
      assert.equal((await call('broadcast_tx', [forms[0]?.(6), 'async'])).result.status, 'pending');
      world.node.autoCommit = true;
      assert.equal((await call('send_tx', [forms[0]?.(7), 'commit'])).result.status, 'final');
    });

    it('fail with the number of the code and the problem document', async () => {
      failsWith(await call('nothing'), 'METHOD_NOT_FOUND');
      failsWith(await call('get_block'), 'INVALID_PARAMS');
      failsWith(await call('get_block', { height: 1, nope: 1 }), 'INVALID_PARAMS');
      failsWith(await call('get_block', [1, 'full', 'ait-devnet', 4]), 'INVALID_PARAMS');
      for (const height of [-1, 1.5, 1e300, true, {}, [], 'x']) {
        failsWith(await call('get_block', { height }), 'INVALID_PARAMS');
      }
      failsWith(await call('get_tx', { hash: world.hash(1), proof: 2 }), 'INVALID_PARAMS');
      failsWith(await call('get_block', [99]), 'NOT_FOUND');
      failsWith(await call('get_head', { chain_id: 'ait-mainnet' }), 'UNKNOWN_CHAIN');
      failsWith(await call('get_balance', ['ait1no']), 'BAD_ADDRESS');
      failsWith(await call('send_tx', {}), 'INVALID_PARAMS');
      failsWith(await call('send_tx', { tx: 5 }), 'INVALID_PARAMS');
      failsWith(await call('send_tx', { tx: '00' }), 'CODEC');
      failsWith(await call('send_tx', [toHex(world.transfer({ feeUait: 1 }).bytes)]), 'FEE_TOO_LOW');
      world.fault = new Error('secret');
      const broken = await call('get_status');
      failsWith(broken, 'INTERNAL');
      assert(!JSON.stringify(broken).includes('secret'));
    });

    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      it(`have the number of ${code}`, async () => {
        world.fault = new NodeError(code, 'a sentence');
        failsWith(await call('get_status'), code);
      });
    }

    it('are described with references that lead somewhere', async () => {
      const { result } = await call('rpc.discover');
      assert.match(result.openrpc, /^1\./);
      const refs = [...JSON.stringify(result).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
      assert(refs.length > 10);
      for (const [, name = ''] of refs) assert(name in result.components.schemas, name);
      const block = result.methods.find(({ name }: { name: string }) => name === 'get_block');
      assert.deepEqual(
        block.params.map(({ name, required }: { name: string; required: boolean }) => [name, required]),
        [
          ['height', true],
          ['transactions', false],
          ['chain_id', false],
        ],
      );
    });
  });

  describe('calls', () => {
    it('that are none are answered with id null', async () => {
      const cases: [string, ErrorCode][] = [
        ['', 'PARSE_ERROR'],
        ['{"jsonrpc":"2.0","method":"foobar,"params":"bar"}', 'PARSE_ERROR'],
        ['{"__proto__":1}', 'PARSE_ERROR'],
        ['['.repeat(MAX_JSON_DEPTH + 1), 'PARSE_ERROR'],
        ['1', 'INVALID_REQUEST'],
        ['[]', 'INVALID_REQUEST'],
        ['{}', 'INVALID_REQUEST'],
        ['{"jsonrpc":"1.0","method":"get_head","id":1}', 'INVALID_REQUEST'],
        ['{"jsonrpc":"2.0","method":1,"params":"bar"}', 'INVALID_REQUEST'],
        ['{"jsonrpc":"2.0","method":"get_head","params":"bar"}', 'INVALID_REQUEST'],
        ['{"jsonrpc":"2.0","method":"get_head","id":{}}', 'INVALID_REQUEST'],
      ];
      for (const [text, code] of cases) {
        const { status, json } = await sendText(text);
        assert.equal(status, 200, text);
        assert.equal(json.id, null, text);
        failsWith(json, code);
      }
    });

    it('keep their id, whatever it is', async () => {
      for (const id of ['a', 0, 1.5, null]) {
        assert.equal((await sendText({ jsonrpc: '2.0', id, method: 'get_head' })).json.id, id);
      }
    });

    it('without an id are done and not answered', async () => {
      const tx = toHex(world.transfer().bytes);
      const { status, text } = await sendText({ jsonrpc: '2.0', method: 'send_tx', params: [tx] });
      assert.deepEqual([status, text], [204, '']);
      assert.equal(world.node.mempool.size, 1);
      assert.equal((await sendText({ jsonrpc: '2.0', method: 'nothing' })).status, 204);
    });

    it(`with more than ${MAX_JSON_RPC_BODY_BYTES} bytes, a foreign Host or another type keep their status`, async () => {
      const padded = (bytes: number): string => {
        const text = '{"jsonrpc":"2.0","id":1,"method":"get_head"}';
        return text + ' '.repeat(bytes - text.length);
      };
      assert.equal((await sendText(padded(MAX_JSON_RPC_BODY_BYTES))).json.result.height, 3);
      const large = await sendText(padded(MAX_JSON_RPC_BODY_BYTES + 1));
      assert.deepEqual([large.status, large.json.code], [413, 'TOO_LARGE']);
      const foreign = await post(world.server.url, '/rpc', '{}', { host: 'evil.example' });
      assert.equal(foreign.status, 403);
      assert.equal((await post(world.server.url, '/rpc', '{}', { 'content-type': 'text/plain' })).status, 400);
    });
  });

  describe('batches', () => {
    const head = (id: number) => ({ jsonrpc: '2.0', id, method: 'get_head' });

    it('are answered in order, notifications and failures among them', async () => {
      const { json } = await sendText([
        head(1),
        { jsonrpc: '2.0', method: 'get_head' },
        { foo: 'boo' },
        { jsonrpc: '2.0', id: '5', method: 'nothing' },
        1,
        { jsonrpc: '2.0', id: '9', method: 'get_block', params: [1] },
      ]);
      assert.deepEqual(
        json.map((answer: Answer['json']) => [answer.id, answer.error?.data.code ?? answer.result.height]),
        [
          [1, 3],
          [null, 'INVALID_REQUEST'],
          ['5', 'METHOD_NOT_FOUND'],
          [null, 'INVALID_REQUEST'],
          ['9', 1],
        ],
      );
      const silent = await sendText([{ jsonrpc: '2.0', method: 'get_head' }]);
      assert.deepEqual([silent.status, silent.text], [204, '']);
    });

    it(`hold up to ${MAX_BATCH_CALLS} calls`, async () => {
      const full = Array.from({ length: MAX_BATCH_CALLS }, (_, i) => head(i));
      assert.equal((await sendText(full)).json.length, MAX_BATCH_CALLS);
      failsWith((await sendText([...full, head(100)])).json, 'TOO_LARGE');
    });

    it(`are answered with up to ${MAX_BATCH_ANSWER_BYTES} bytes and one answer`, async () => {
      const memo = 'x'.repeat(MAX_BATCH_ANSWER_BYTES / 4);
      const status = world.node.status();
      world.node.status = () => ({ ...status, notSigning: [memo] });
      const batch = Array.from({ length: 8 }, (_, i) => ({ jsonrpc: '2.0', id: i, method: 'get_status' }));
      const { json } = await sendText(batch);
      assert.deepEqual(
        json.map((answer: Answer['json']) => answer.error?.data.code ?? 'ok'),
        ['ok', 'ok', 'ok', 'ok', ...Array(4).fill('TOO_LARGE')],
      );
    });

    it('carry transactions in order, but are not waited for', async () => {
      const sendTx = (nonce: number, mode: string) => ({
        ...{ jsonrpc: '2.0', id: nonce, method: 'send_tx', params: [toHex(world.transfer({ nonce }).bytes), mode] },
      });
      const { json } = await sendText([sendTx(3, 'sync'), sendTx(4, 'sync'), sendTx(5, 'commit')]);
      assert.deepEqual(
        json.map((answer: Answer['json']) => answer.result?.status),
        ['pending', 'pending', undefined],
      );
      failsWith(json[2], 'INVALID_PARAMS');
    });
  });
});
