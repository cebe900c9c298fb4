import assert from 'node:assert/strict';
import fc from 'fast-check';
import { toHex } from '../../../src/bytes.ts';
import { transactionFromJson, transactionToJson } from '../../../src/chain/tx-json.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { MAX_TX_BYTES } from '../../../src/chain/tx.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { FEW_UNVERIFIED, MAX_BATCH_TXS, MAX_UNVERIFIED, MAX_UNVERIFIED_MS } from '../../../src/rpc/tx-intake.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { FinalityWaiters, MAX_WAITERS } from '../../../src/rpc/tx-status.ts';
import { addressText, fixtureGenesis, makeTransfer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import type { Answer } from './http.ts';
import { ask, post } from './http.ts';

/** A clock whose time passes only when told. */
class StoppedClock {
  readonly #timers = new Set<() => void>();

  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  /** Without running what falls due. */
  advance(ms: number): void {
    this.#nowMs += ms;
  }

  after(_ms: number, fn: () => void): () => void {
    this.#timers.add(fn);
    return () => this.#timers.delete(fn);
  }

  get size(): number {
    return this.#timers.size;
  }

  fire(): void {
    for (const fn of [...this.#timers]) fn();
    this.#timers.clear();
  }
}

describe('rpc transactions', () => {
  let node: FakeNode;
  let clock: StoppedClock;
  let server: RpcServer;

  beforeEach(async () => {
    node = new FakeNode();
    clock = new StoppedClock();
    server = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 } },
      { api: fakeNode(node), log: nopLogger, clock },
    );
  });

  afterEach(() => server.close());

  const tx = (nonce: number, options: Partial<Parameters<typeof makeTransfer>[1]> = {}): Transaction =>
    makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, ...options });

  const path = (id: Transaction): string => `/rpc/transactions/${toHex(id.id)}`;

  describe('taken in', () => {
    const forms: Readonly<Record<string, (item: Transaction) => Promise<Answer>>> = {
      hex: (item) => post(server.url, '/rpc/transactions', { tx: toHex(item.bytes) }),
      base64: (item) => post(server.url, '/rpc/transactions', { tx: Buffer.from(item.bytes).toString('base64') }),
      'base64 without padding': (item) =>
        post(server.url, '/rpc/transactions', { tx: Buffer.from(item.bytes).toString('base64').replace(/=+$/, '') }),
      'readable JSON': (item) => post(server.url, '/rpc/transactions', transactionToJson(item)),
      'plain bytes': (item) =>
        ask(server.url, '/rpc/transactions', {
          method: 'POST',
          headers: { 'content-type': 'application/octet-stream' },
          body: item.bytes,
        }),
    };
    for (const [form, send] of Object.entries(forms)) {
      it(`as ${form}`, async () => {
        const item = tx(0);
        const { status, json } = await send(item);
        assert.equal(status, 200);
        assert.equal(json.status, 'pending');
        assert.equal(json.hash, toHex(item.id));
        assert.equal(node.mempool.size, 1);
      });
    }

    it('again without harm, while pending and when final', async () => {
      const item = tx(0);
      const body = { tx: toHex(item.bytes) };
      await post(server.url, '/rpc/transactions', body);
      const again = await post(server.url, '/rpc/transactions', body);
      assert.equal(again.status, 200);
      assert.equal(again.json.status, 'pending');
      node.produce();
      for (const mode of ['async', 'sync', 'commit']) {
        const final = await post(server.url, `/rpc/transactions?mode=${mode}`, body);
        assert.equal(final.status, 200);
        assert.equal(final.json.status, 'final');
        assert.equal(final.json.height, 1);
      }
    });

    it('in async mode before the signature is checked; a bad one is then found by hash', async () => {
      const stranger = fixtureGenesis({ chainId: 'ait-testnet' });
      const item = makeTransfer(stranger, { from: 'account-0', to: 'account-1', nonce: 0 });
      const { promise, resolve } = Promise.withResolvers<void>();
      node.verification = promise;
      const { status, headers, json } = await post(server.url, '/rpc/transactions?mode=async', {
        tx: toHex(item.bytes),
      });
      assert.equal(status, 202);
      assert.equal(json.status, 'pending');
      assert.equal(headers['location'], path(item));
      assert.equal((await ask(server.url, path(item))).status, 404);
      resolve();
      await waitFor('the rejection', () => node.mempool.rejection(item.id) !== undefined);
      const after = await ask(server.url, path(item));
      assert.equal(after.status, 200);
      assert.equal(after.json.status, 'rejected');
      assert.equal(after.json.code, 'BAD_SIGNATURE');
    });

    it('in async mode up to a bound', async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      node.verification = promise;
      let sent = 0;
      const batch = (): string[] =>
        Array.from({ length: MAX_BATCH_TXS }, () =>
          toHex(tx(sent++ % 16, { amountUait: sent, from: 'account-1' }).bytes),
        );
      for (let i = 0; i < MAX_UNVERIFIED / MAX_BATCH_TXS; i++) {
        const { status } = await post(server.url, '/rpc/transactions?mode=async', { txs: batch() });
        assert.equal(status, 202);
      }
      const { status, headers, json } = await post(server.url, '/rpc/transactions?mode=async', {
        tx: toHex(tx(0).bytes),
      });
      assert.equal(status, 429);
      assert.equal(json.code, 'RATE_LIMITED');
      assert.equal(headers['retry-after'], '1');
      resolve();
    }).timeout(120_000);

    it('bound: no more than a few while others wait a second to be verified', async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      node.verification = promise;
      let sent = 0;
      const batch = (count: number): string[] =>
        Array.from({ length: count }, () => toHex(tx(sent++ % 16, { amountUait: sent, from: 'account-1' }).bytes));
      const send = async (count: number, mode = 'async'): Promise<number> =>
        (await post(server.url, `/rpc/transactions?mode=${mode}`, { txs: batch(count) })).status;
      assert.equal(await send(FEW_UNVERIFIED), 202);
      assert.equal(await send(1), 202);
      clock.advance(MAX_UNVERIFIED_MS + 1);
      assert.equal(await send(1), 429);
      assert.equal(await send(1, 'sync'), 429);
      const patient = post(server.url, '/rpc/transactions', { tx: toHex(tx(0).bytes) });
      resolve();
      assert.equal((await patient).status, 200);
      await waitFor('the answers', async () => (await send(1)) === 202);
      clock.advance(MAX_UNVERIFIED_MS + 1);
      assert.equal(await send(1), 202);
    });

    it('in commit mode until final', async () => {
      const item = tx(0);
      const answer = post(server.url, '/rpc/transactions?mode=commit', { tx: toHex(item.bytes) });
      await waitFor('the wait', () => clock.size === 1);
      node.produce();
      const { status, json } = await answer;
      assert.equal(status, 200);
      assert.equal(json.status, 'final');
      assert.equal(json.height, 1);
      assert.equal(json.index, 0);
      assert.equal(json.code, 0);
      assert.equal(json.code_name, 'OK');
      assert.equal(clock.size, 0);
    });

    it('in commit mode with 202 and where to ask when the time is over', async () => {
      const item = tx(0);
      const answer = post(server.url, '/rpc/transactions?mode=commit', { tx: toHex(item.bytes) });
      await waitFor('the wait', () => clock.size === 1);
      clock.fire();
      const { status, headers, json } = await answer;
      assert.equal(status, 202);
      assert.equal(json.status, 'pending');
      assert.equal(headers['location'], path(item));
    });

    it('in commit mode until the pool drops them', async () => {
      const item = tx(1, { validUntilHeight: 1 });
      const answer = post(server.url, '/rpc/transactions?mode=commit', { tx: toHex(item.bytes) });
      await waitFor('the wait', () => clock.size === 1);
      node.drop(item);
      node.produce([makeTransfer(node.genesis, { from: 'account-2', to: 'account-1', nonce: 0 })]);
      const { status, json } = await answer;
      assert.equal(status, 422);
      assert.equal(json.code, 'EXPIRED');
      assert.equal(json.data.hash, toHex(item.id));
    });

    it('in commit mode without holding up the end of the server', async () => {
      const item = tx(0);
      const answer = post(server.url, '/rpc/transactions?mode=commit', { tx: toHex(item.bytes) });
      await waitFor('the wait', () => clock.size === 1);
      await server.close();
      assert.equal((await answer).status, 202);
    });
  });

  describe('refused', () => {
    const send = (item: Transaction) => post(server.url, '/rpc/transactions', { tx: toHex(item.bytes) });

    it('for what the chain does not allow, with the code and what to do', async () => {
      const other = fixtureGenesis({ chainId: 'ait-testnet' });
      const cases: [string, Transaction][] = [
        ['BAD_SIGNATURE', makeTransfer(other, { from: 'account-0', to: 'account-1', nonce: 0 })],
        ['NONCE_GAP', tx(400)],
        ['INSUFFICIENT_FUNDS', tx(0, { amountUait: 10 ** 12 })],
        ['FEE_TOO_LOW', tx(0, { feeUait: 1 })],
        ['EXPIRED', tx(0, { validUntilHeight: 0 })],
      ];
      for (const [code, item] of cases) {
        const { status, json } = await send(item);
        assert.equal(status, 422, code);
        assert.equal(json.code, code);
        assert.equal(json.data.hash, toHex(item.id));
        assert(json.hint.length > 0);
      }
      node.produce([tx(0)]);
      assert.equal((await send(tx(0, { amountUait: 2 }))).json.code, 'BAD_NONCE');
    });

    it('when bytes are cut, extended, or not of one encoding', async () => {
      const bytes = tx(0).bytes;
      const bad = [
        bytes.subarray(0, -1),
        Uint8Array.of(...bytes, 0),
        bytes.subarray(0, 10),
        Uint8Array.of(9, ...bytes.subarray(1)),
      ];
      for (const item of bad) {
        const { status, json } = await post(server.url, '/rpc/transactions', { tx: toHex(item) });
        assert.equal(status, 400);
        assert.equal(json.code, 'CODEC');
      }
      const big = await post(server.url, '/rpc/transactions', { tx: '00'.repeat(MAX_TX_BYTES + 1) });
      assert.equal(big.json.code, 'TOO_LARGE');
      for (const text of ['', 'AB', '0', '@@@@', 'ab\n']) {
        const { json } = await post(server.url, '/rpc/transactions', { tx: text });
        assert(['PARSE_ERROR', 'CODEC'].includes(json.code), text);
      }
    });

    it('when the type is unknown', async () => {
      const json = { ...transactionToJson(tx(0)), type: 'stake' };
      assert.equal((await post(server.url, '/rpc/transactions', json)).json.code, 'UNKNOWN_TX_TYPE');
    });

    it('when the JSON form lacks, repeats or bends a field', async () => {
      const whole = transactionToJson(tx(0));
      const bent: Record<string, unknown>[] = [
        { ...whole, nonce: '0' },
        { ...whole, nonce: -1 },
        { ...whole, nonce: 2 ** 53 },
        { ...whole, fee_uait: 5 },
        { ...whole, fee_uait: '05' },
        { ...whole, fee_uait: '9007199254740992' },
        { ...whole, fee_uait: '1e3' },
        { ...whole, sender: 'AB'.repeat(32) },
        { ...whole, signature: '00' },
        { ...whole, payload: [] },
        { ...whole, payload: { to: addressText('account-1') } },
        { ...whole, payload: { to: addressText('account-1'), amount_uait: '1', memo: '00'.repeat(257) } },
        { ...whole, extra: 1 },
      ];
      for (const key of Object.keys(whole)) {
        if (key !== 'type') bent.push(Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key)));
      }
      for (const json of bent) {
        const answer = await post(server.url, '/rpc/transactions', json);
        assert.equal(answer.status, 400, JSON.stringify(json));
        assert.equal(answer.json.code, 'INVALID_PARAMS', JSON.stringify(json));
      }
      assert.equal(node.submitted, 0);
    });

    it('never with a failure of the server, whatever the bytes', async () => {
      const bytes = tx(0).bytes;
      const mutated = fc
        .tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }))
        .map(([at, flip]) => bytes.map((byte, i) => (i === at ? byte ^ flip : byte)));
      const input = fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated);
      await fc.assert(
        fc.asyncProperty(input, async (body) => {
          const answer = await ask(server.url, '/rpc/transactions', {
            method: 'POST',
            headers: { 'content-type': 'application/octet-stream' },
            body,
          });
          assert(answer.status >= 400 && answer.status < 500, `${answer.status} ${answer.text}`);
        }),
        { numRuns: 150 },
      );
    });
  });

  describe('in batches', () => {
    it('get one result each, in order', async () => {
      const final = tx(0);
      node.produce([final]);
      const [a, b] = [tx(1), tx(2)];
      const poor = tx(3, { amountUait: 10 ** 12 });
      const txs = [toHex(final.bytes), toHex(a.bytes), 'zz', toHex(b.bytes), '00', toHex(poor.bytes)];
      const { status, json } = await post(server.url, '/rpc/transactions', { txs });
      assert.equal(status, 200);
      assert.deepEqual(
        json.results.map((result: Record<string, unknown>) => [result['hash'], result['status'], result['code']]),
        [
          [toHex(final.id), 'final', 0],
          [toHex(a.id), 'pending', null],
          [null, 'rejected', 'PARSE_ERROR'],
          [toHex(b.id), 'pending', null],
          [null, 'rejected', 'CODEC'],
          [toHex(poor.id), 'rejected', 'INSUFFICIENT_FUNDS'],
        ],
      );
      assert.equal(node.submitted, 3);
    });

    it('bound: those that are final cost a look at their receipts, not their blocks', async () => {
      const final = Array.from({ length: 5 }, (_, i) => tx(i));
      node.produce(final);
      node.chain.block = () => assert.fail('a block was read');
      node.chain.transactionAt = () => assert.fail('a transaction was read');
      const { json } = await post(server.url, '/rpc/transactions', { txs: final.map(({ bytes }) => toHex(bytes)) });
      assert.deepEqual(
        json.results.map(({ status }: { status: string }) => status),
        final.map(() => 'final'),
      );
    });

    it(`hold up to ${MAX_BATCH_TXS}`, async () => {
      const full = Array.from({ length: MAX_BATCH_TXS }, () => '00');
      assert.equal((await post(server.url, '/rpc/transactions', { txs: full })).json.results.length, MAX_BATCH_TXS);
      const { status, json } = await post(server.url, '/rpc/transactions', { txs: [...full, '00'] });
      assert.equal(status, 413);
      assert.equal(json.code, 'TOO_LARGE');
    });

    it('are not waited for', async () => {
      const { json } = await post(server.url, '/rpc/transactions?mode=commit', { txs: [toHex(tx(0).bytes)] });
      assert.equal(json.code, 'INVALID_PARAMS');
    });
  });

  describe('found by hash', () => {
    it('as pending, final and unknown', async () => {
      const item = tx(0);
      const unknown = await ask(server.url, path(item));
      assert.equal(unknown.status, 404);
      assert.deepEqual(unknown.json, {
        hash: toHex(item.id),
        status: 'unknown',
        height: null,
        index: null,
        code: 'NOT_FOUND',
        code_name: 'NOT_FOUND',
        reason: 'not seen by this node',
        transaction: null,
      });
      await post(server.url, '/rpc/transactions', { tx: toHex(item.bytes) });
      const pending = await ask(server.url, path(item));
      assert.equal(pending.json.status, 'pending');
      assert.equal(pending.headers['cache-control'], 'no-store');
      node.produce();
      const final = await ask(server.url, path(item));
      assert.equal(final.json.status, 'final');
      assert.match(String(final.headers['cache-control']), /immutable/);
      assert.deepEqual(final.json.transaction, transactionToJson(item));
    });

    it('with the code of the receipt when they failed in the block', async () => {
      const [first, second] = [tx(0, { amountUait: 600_000_000 }), tx(1, { amountUait: 600_000_000 })];
      node.produce([first, second]);
      const { status, json } = await ask(server.url, path(second));
      assert.equal(status, 200);
      assert.equal(json.status, 'final');
      assert.equal(json.index, 1);
      assert.equal(json.code, 1);
      assert.equal(json.code_name, 'INSUFFICIENT_FUNDS');
    });

    it('by a whole hash only', async () => {
      for (const id of ['abc', 'AB'.repeat(32), 'g'.repeat(64)]) {
        assert.equal((await ask(server.url, `/rpc/transactions/${id}`)).json.code, 'INVALID_PARAMS');
      }
    });
  });
});

describe('finality waits', () => {
  it('are bounded, and end with their client', async () => {
    const node = new FakeNode();
    const clock = new StoppedClock();
    const waiters = new FinalityWaiters(node, clock);
    const item = makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
    await node.pool.submit([item]);
    const gone = new AbortController();
    const waits = Array.from({ length: MAX_WAITERS }, () => waiters.wait(item.id, 1000, gone.signal));
    assert.equal(waiters.count, MAX_WAITERS);
    await assert.rejects(
      waiters.wait(item.id, 1000, gone.signal),
      (error) => isNodeError(error) && error.code === 'RATE_LIMITED',
    );
    gone.abort();
    const statuses = await Promise.all(waits);
    assert(statuses.every(({ status }) => status === 'pending'));
    assert.equal(waiters.count, 0);
    assert.equal(clock.size, 0);
    waiters.close();
    assert.equal(node.listeners, 0);
  });
});

describe('transactions as JSON', () => {
  it('read back as the same bytes', () => {
    const genesis = fixtureGenesis();
    for (let nonce = 0; nonce < 4; nonce++) {
      const item = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce, amountUait: nonce * 1000 });
      const back = transactionFromJson(nativeCrypto, JSON.parse(JSON.stringify(transactionToJson(item))));
      assert.deepEqual(back.bytes, item.bytes);
    }
  });
});
