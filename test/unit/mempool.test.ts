import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addressOf } from '../../src/chain/address.ts';
import type { Account } from '../../src/chain/accounts.ts';
import { accountKey } from '../../src/chain/accounts.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import type { Transaction, TxFields } from '../../src/chain/tx.ts';
import { assembleTransaction } from '../../src/chain/tx.ts';
import { DEFAULT_MEMPOOL_LIMITS, Mempool } from '../../src/mempool.ts';
import type { MempoolLimits, PoolView } from '../../src/mempool.ts';
import { toHex } from '../../src/bytes.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { fixtureGenesis, makeTransfer, signer } from '../util/chain-fixture.ts';

const genesis = fixtureGenesis();
const least = leastFeeUait(genesis.params, makeTransfer(genesis, { from: 'a', to: 'b', nonce: 0 }).bytes.length);

interface Chain {
  readonly view: PoolView;
  readonly accounts: Map<string, Account>;
  set(name: string, account: Partial<Account>): void;
}

function chain(overrides: Partial<PoolView> = {}): Chain {
  const accounts = new Map<string, Account>();
  const keyOf = (name: string): string => accountKey(addressOf(nativeCrypto, signer(name).publicKey));
  return {
    accounts,
    set: (name, account) => {
      accounts.set(keyOf(name), { balanceUait: 1_000_000_000, nonce: 0, ...account });
    },
    view: {
      params: genesis.params,
      nextHeight: 10,
      nowMs: 0,
      account: (key) => accounts.get(key) ?? { balanceUait: 1_000_000_000, nonce: 0 },
      ...overrides,
    },
  };
}

function altered(of: Transaction, change: Partial<TxFields>): Transaction {
  const { version, type, sender, nonce, feeUait, validUntilHeight, payload, signature } = of;
  const fields = { version, type, sender, nonce, feeUait, validUntilHeight, payload, ...change };
  return assembleTransaction(nativeCrypto, fields, signature);
}

function tx(
  nonce: number,
  options: { from?: string; feeUait?: number; amountUait?: number; until?: number } = {},
): Transaction {
  return makeTransfer(genesis, {
    from: options.from ?? 'a',
    to: 'b',
    nonce,
    feeUait: options.feeUait ?? least,
    amountUait: options.amountUait ?? 1,
    validUntilHeight: options.until ?? 1000,
  });
}

function pool(limits: Partial<MempoolLimits> = {}): Mempool {
  return new Mempool({ ...DEFAULT_MEMPOOL_LIMITS, ...limits });
}

const code = (refusal: { code: string } | null): string | null => refusal?.code ?? null;

describe('mempool', () => {
  it('refuses with a code what no block could hold', () => {
    const { view, set } = chain();
    set('a', { nonce: 5 });
    set('poor', { balanceUait: least - 1 });
    const p = pool();
    const cases: [Transaction, string][] = [
      [tx(4), 'BAD_NONCE'],
      [tx(5, { until: 9 }), 'EXPIRED'],
      [tx(5, { feeUait: least - 1 }), 'FEE_TOO_LOW'],
      [tx(0, { from: 'poor' }), 'INSUFFICIENT_FUNDS'],
      [tx(5, { amountUait: 1_000_000_000 }), 'INSUFFICIENT_FUNDS'],
      [tx(5 + 17), 'NONCE_GAP'],
      [tx(5 + 256), 'NONCE_GAP'],
      [altered(tx(5), { type: 999 }), 'UNKNOWN_TX_TYPE'],
      [altered(tx(5), { payload: Uint8Array.of(1) }), 'CODEC'],
    ];
    for (const [each, expected] of cases) assert.equal(code(p.add(each, view)), expected);
    assert.equal(p.size, 0);
    assert.equal(p.add(tx(5), view), null);
    assert.equal(code(p.add(tx(5), view)), 'ALREADY_KNOWN');
  });

  it('takes a whole run of nonces whose check came before the first was added', () => {
    const { view } = chain();
    const p = pool();
    const run = [...Array(256).keys()].map((nonce) => tx(nonce));
    for (const each of run) assert.equal(p.check(each, view), null);
    for (const each of run) assert.equal(p.add(each, view), null);
    assert.equal(code(p.add(tx(256), view)), 'NONCE_GAP');
    assert.equal(p.nextNonce(run[0]!.senderAddress, 0), 256);
  });

  it('bound: 16 beyond a gap', () => {
    const { view } = chain();
    const p = pool();
    for (let nonce = 1; nonce <= 16; nonce++) assert.equal(p.add(tx(nonce), view), null, String(nonce));
    assert.equal(code(p.add(tx(17), view)), 'NONCE_GAP');
    assert.equal(p.hasExecutable(view), false);
    assert.equal(p.add(tx(0), view), null);
    assert.equal(p.hasExecutable(view), true);
    assert.equal(p.add(tx(17), view), null);
  });

  it('counts what is pending against the balance', () => {
    const { view, set } = chain();
    set('a', { balanceUait: 3 * (least + 10) });
    const p = pool();
    for (let nonce = 0; nonce < 3; nonce++) assert.equal(p.add(tx(nonce, { amountUait: 10 }), view), null);
    assert.equal(code(p.add(tx(3, { amountUait: 10 }), view)), 'INSUFFICIENT_FUNDS');
  });

  it('replaces for a tenth more, not for less, and tells of the one replaced', () => {
    const { view } = chain();
    const p = pool();
    const first = tx(0);
    p.add(first, view);
    assert.equal(code(p.add(tx(0, { feeUait: Math.ceil((least * 11) / 10) - 1 }), view)), 'UNDERPRICED');
    const better = tx(0, { feeUait: Math.ceil((least * 11) / 10) });
    assert.equal(p.add(better, view), null);
    assert.equal(p.size, 1);
    assert.equal(p.get(first.id), undefined);
    assert.equal(p.rejection(first.id)?.code, 'UNDERPRICED');
  });

  it('selects by fee, nonces in order, within limits', () => {
    const { view } = chain();
    const p = pool();
    for (const [from, feeUait] of [
      ['a', least],
      ['b', least * 3],
      ['c', least * 2],
    ] as const) {
      for (let nonce = 0; nonce < 3; nonce++) p.add(tx(nonce, { from, feeUait }), view);
    }
    const all = p.select(view, 100, 1_000_000);
    assert.deepEqual(
      all.map((each) => [each.feeUait / least, each.nonce]),
      [
        [3, 0],
        [3, 1],
        [3, 2],
        [2, 0],
        [2, 1],
        [2, 2],
        [1, 0],
        [1, 1],
        [1, 2],
      ],
    );
    assert.equal(p.select(view, 4, 1_000_000).length, 4);
    assert.equal(p.select(view, 100, all[0]!.bytes.length * 2).length, 2);
  });

  it('after a block drops what it held and what became stale', () => {
    const { view, set } = chain();
    const p = pool();
    const txs = [tx(0), tx(1), tx(2)];
    for (const each of txs) p.add(each, view);
    const other = tx(1, { amountUait: 7 });
    set('a', { nonce: 2 });
    const gone = p.onCommitted([txs[0]!, other], view);
    assert.deepEqual(gone.map(({ id }) => toHex(id)).sort(), [txs[0]!.id, txs[1]!.id].map(toHex).sort());
    assert.equal(p.rejection(txs[1]!.id)?.code, 'BAD_NONCE');
    assert.equal(p.size, 1);
  });

  it('expires by height and by age', () => {
    const { view } = chain();
    const p = pool({ ttlMs: 100 });
    p.add(tx(0, { until: 10 }), view);
    p.add(tx(0, { from: 'b' }), { ...view, nowMs: 50 });
    assert.equal(p.expire({ ...view, nextHeight: 11, nowMs: 60 }).length, 1);
    assert.equal(p.expire({ ...view, nextHeight: 11, nowMs: 150 }).length, 1);
    assert.equal(p.size, 0);
    assert.equal(p.bytes, 0);
  });

  it('bound: full of equal fees it refuses, and makes room for one that pays a tenth more', () => {
    const { view } = chain();
    const p = pool({ maxTxs: 128 });
    for (let i = 0; i < 128; i++) assert.equal(p.add(tx(0, { from: `s${i}` }), view), null);
    assert.equal(code(p.add(tx(0, { from: 'late' }), view)), 'POOL_FULL');
    assert.equal(p.add(tx(0, { from: 'rich', feeUait: least * 2 }), view), null);
    assert.ok(p.size <= 128);
    assert.ok(p.get(tx(0, { from: 'rich', feeUait: least * 2 }).id));
  });

  it('says that it is full before a signature is verified, but to who pays more and to who replaces', () => {
    const { view } = chain();
    const p = pool({ maxTxs: 8 });
    for (let i = 0; i < 8; i++) assert.equal(p.add(tx(0, { from: `s${i}` }), view), null);
    const late = tx(0, { from: 'late' });
    assert.equal(p.check(late, view), null, 'what the others pay is not known yet');
    assert.equal(code(p.add(late, view)), 'POOL_FULL');
    assert.equal(code(p.check(late, view)), 'POOL_FULL');
    assert.equal(p.check(tx(0, { from: 'rich', feeUait: least * 2 }), view), null);
    assert.equal(p.check(tx(0, { from: 's0', feeUait: least + 1 }), view), null);
    p.onCommitted([tx(0, { from: 's1' })], view);
    assert.equal(p.check(late, view), null);
  });

  it('tells who pays a tenth more than the last in the next block', () => {
    const { view } = chain();
    const p = pool();
    const one = (from: string, feeUait: number): Transaction => tx(0, { from, feeUait });
    assert.equal(p.outbidsBlock(one('x', 9 * least), 2), false, 'while there is room');
    for (let i = 0; i < 3; i++) assert.equal(p.add(one(`s${i}`, least * (i + 1)), view), null);
    assert.equal(p.outbidsBlock(one('x', 2 * least), 2), false);
    assert.equal(p.outbidsBlock(one('x', 3 * least), 2), true);
    assert.equal(p.outbidsBlock(one('x', 9 * least), 3), false);
    assert.equal(p.outbidsBlock(one('x', 9 * least), 3, 1), true, 'with one more coming');
    p.onCommitted([one('s0', least)], view);
    assert.equal(p.outbidsBlock(one('x', 9 * least), 2), false, 'room again');
  });

  it('bound: depth; one on top must pay a tenth more than the last of the best so many', () => {
    const { view } = chain();
    const p = pool();
    const one = (from: string, feeUait: number): Transaction => tx(0, { from, feeUait });
    for (let i = 0; i < 4; i++) assert.equal(p.add(one(`s${i}`, least * (i + 1)), view), null);
    assert.equal(p.ready, 4);
    assert.equal(p.check(one('x', least), view, 5), null);
    assert.equal(code(p.check(one('x', least), view, 4)), 'POOL_FULL');
    assert.equal(p.check(one('x', 2 * least), view, 4), null);
    // The best two pay three and four times the least.
    const { view: later } = chain();
    const q = pool();
    for (let i = 0; i < 4; i++) q.add(one(`s${i}`, least * (i + 1)), later);
    assert.equal(code(q.check(one('x', 3 * least), later, 2)), 'POOL_FULL');
    assert.equal(q.check(one('x', 4 * least), later, 2), null);
    assert.equal(q.check(one('s0', 2 * least), later, 2), null, 'a replacement takes no room');
    // Once per block it is looked at anew: nothing but the best is beaten where more are coming than may wait.
    q.onCommitted([], later);
    assert.equal(code(q.check(one('x', 4 * least), later, -7)), 'POOL_FULL');
  });

  it('ready are those that no missing one holds up, and that their sender can pay together', () => {
    const { view, set } = chain();
    const p = pool();
    for (const nonce of [0, 1, 3, 4]) assert.equal(p.add(tx(nonce), view), null);
    assert.equal(p.ready, 2);
    assert.equal(p.add(tx(2), view), null);
    assert.equal(p.ready, 5);
    set('a', { nonce: 1, balanceUait: 2 * (least + 1) });
    p.onCommitted([tx(0)], view);
    assert.equal(p.size, 4);
    assert.equal(p.ready, 2);
    p.expire({ ...view, nextHeight: 2000 });
    assert.equal(p.ready, 0);
  });

  it('bound: what waits beyond gaps, in all', () => {
    const { view } = chain();
    const p = pool({ maxTxs: 8 });
    assert.equal(p.add(tx(1, { from: 's1' }), view), null);
    assert.equal(p.add(tx(1, { from: 's2' }), view), null);
    assert.equal(code(p.add(tx(1, { from: 's3' }), view)), 'POOL_FULL');
    assert.equal(p.add(tx(0, { from: 's1' }), view), null);
    assert.equal(p.add(tx(1, { from: 's3' }), view), null);
  });

  it('bound: bytes', () => {
    const { view } = chain();
    const size = tx(0).bytes.length;
    const p = pool({ maxBytes: size * 3 });
    for (let i = 0; i < 6; i++) p.add(tx(0, { from: `s${i}` }), view);
    assert.equal(p.size, 3);
    assert.ok(p.bytes <= size * 3);
  });

  it('bound: remembered rejections', () => {
    const p = pool({ maxRejected: 4 });
    const ids = [...Array(6).keys()].map((i) => new Uint8Array(32).fill(i));
    for (const id of ids) p.reject(id, { code: 'EXPIRED', message: '', data: {} });
    assert.deepEqual(
      ids.map((id) => p.rejection(id) !== undefined),
      [false, false, true, true, true, true],
    );
  });

  it('property: the selection is always executable and the books balance', () => {
    const operation = fc.record({
      from: fc.constantFrom('a', 'b', 'c', 'd'),
      nonce: fc.nat(24),
      fee: fc.integer({ min: 0, max: 4 }),
      commit: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const { view, accounts, set } = chain();
        for (const name of ['a', 'b', 'c', 'd']) set(name, {});
        const p = pool({ maxTxs: 24 });
        for (const { from, nonce, fee, commit } of operations) {
          p.add(tx(nonce, { from, feeUait: least + Math.floor((least * fee) / 8) }), view);
          const selected = p.select(view, 100, 1_000_000);
          const next = new Map<string, number>();
          for (const each of selected) {
            const key = each.senderKey;
            const expected = next.get(key) ?? accounts.get(key)!.nonce;
            assert.equal(each.nonce, expected);
            next.set(key, expected + 1);
          }
          if (commit && selected[0]) {
            const key = selected[0].senderKey;
            accounts.set(key, { ...accounts.get(key)!, nonce: selected[0].nonce + 1 });
            p.onCommitted([selected[0]], view);
          }
          assert.ok(p.size <= 24);
          assert.equal(
            [...p.pending()].reduce((sum, each) => sum + each.bytes.length, 0),
            p.bytes,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('a transaction whose fee its sender can no longer pay is no reason for a block', () => {
    const { view, set } = chain();
    set('a', { balanceUait: 10 * least });
    const mempool = pool();
    assert.equal(mempool.add(tx(1), view), null);
    assert.equal(mempool.add(tx(0, { amountUait: 9 * least }), view), null);
    assert.ok(mempool.hasExecutable(view));
    // The first one is final and took nearly all.
    set('a', { balanceUait: least - 1, nonce: 1 });
    mempool.onCommitted([tx(0, { amountUait: 9 * least })], view);
    assert.equal(mempool.size, 1);
    assert.ok(!mempool.hasExecutable(view));
    assert.deepEqual(mempool.select(view, 10, 1_000_000), []);
    set('a', { balanceUait: least, nonce: 1 });
    assert.ok(mempool.hasExecutable(view), 'and is one again when its sender is paid');
  });

  it('a transaction that no block has room for is refused', () => {
    const { view } = chain({ params: { ...genesis.params, maxBlockBytes: 100 } });
    assert.equal(code(pool().add(tx(0), view)), 'TOO_LARGE');
  });

  it('names what it let go for others, once', () => {
    const { view } = chain();
    const mempool = pool({ maxTxs: 2 });
    const replaced = tx(0, { from: 'a' });
    const cheap = tx(0, { from: 'c' });
    mempool.add(replaced, view);
    mempool.add(tx(0, { from: 'a', feeUait: 2 * least }), view);
    mempool.add(cheap, view);
    assert.equal(mempool.add(tx(0, { from: 'd', feeUait: 3 * least }), view), null);
    assert.deepEqual(
      mempool.takeDisplaced().map(({ id }) => toHex(id)),
      [toHex(replaced.id), toHex(cheap.id)],
    );
    assert.deepEqual(mempool.takeDisplaced(), []);
  });
});
