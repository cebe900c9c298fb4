import assert from 'node:assert/strict';
import { bytesKey, toHex } from '../../../src/bytes.ts';
import { TOPIC_CODECS } from '../../../protocols/codec.ts';
import type { TxBatch } from '../../../protocols/messages.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { assembleTransaction, decodeTransaction } from '../../../src/chain/tx.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { TransferOptions } from '../../util/chain-fixture.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { LEAST_BLOCK, LEAST_DEPTH } from '../../../src/engine/capacity.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

describe('admission of transactions', () => {
  let node: NodeUnderTest;

  beforeEach(() => {
    node = new NodeUnderTest({ self: null, accounts: 40 });
  });

  afterEach(() => node.stop());

  const transfer = (nonce: number, options: Partial<TransferOptions> = {}): Transaction =>
    makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, ...options });

  const forged = (tx: Transaction): Transaction => assembleTransaction(nativeCrypto, tx, new Uint8Array(64).fill(7));

  const batch = (txs: readonly Transaction[], attempt = 0, origin = 'other'): TxBatch => ({ attempt, origin, txs });

  const ids = (txs: readonly Transaction[]): string[] => txs.map((tx) => toHex(tx.id));

  it('a signature is verified once, whichever way the transaction comes again', async () => {
    const { admission } = await node.start();
    const tx = transfer(0);
    await admission.submit([tx], 'client');
    const before = node.verifier.checked;
    assert.equal(await admission.onGossip(batch([decodeTransaction(nativeCrypto, tx.bytes)]), 'peer'), 'DUPLICATE');
    assert.ok(await admission.verifyBodies([tx]));
    assert.equal(node.verifier.checked, before);
  });

  it('what is refused cheaply costs no signature', async () => {
    const { admission } = await node.start();
    const before = node.verifier.checked;
    const refusals = await admission.submit(
      [
        transfer(0, { feeUait: 1 }),
        transfer(0, { from: 'nobody' }),
        transfer(0, { validUntilHeight: 0 }),
        transfer(300),
      ],
      'client',
    );
    assert.deepEqual(
      refusals.map((refusal) => refusal?.code),
      ['FEE_TOO_LOW', 'INSUFFICIENT_FUNDS', 'EXPIRED', 'NONCE_GAP'],
    );
    assert.equal(node.verifier.checked, before);
  });

  it('bound: depth; clients are told while signatures are still checked, and peers are not bound by it', async () => {
    const { admission } = await node.start();
    const senders = [...Array(39).keys()];
    const many = senders.flatMap((i) =>
      [...Array(256).keys()].map((nonce) => transfer(nonce, { from: `account-${i}`, to: 'account-39' })),
    );
    const first = many.slice(0, LEAST_DEPTH);
    const coming = admission.submit(first, 'client');
    const [next] = many.slice(LEAST_DEPTH);
    assert.ok(next);
    assert.equal(admission.check([next])[0]?.code, 'POOL_FULL');
    assert.ok((await coming).every((refusal) => refusal === null));
    assert.equal((await admission.submit([next], 'client'))[0]?.code, 'POOL_FULL');
    const dear = transfer(0, { from: 'account-38', to: 'account-39', feeUait: 2 * next.feeUait });
    assert.deepEqual(await admission.submit([dear], 'client'), [null]);
    assert.deepEqual(await admission.submit([next], 'peer'), [null]);
  });

  it('bound: half a block at once, while more than half of what may wait does', async () => {
    const { admission } = await node.start();
    const many = [...Array(20).keys()].flatMap((i) =>
      [...Array(256).keys()].map((nonce) => transfer(nonce, { from: `account-${i}`, to: 'account-39' })),
    );
    const half = LEAST_DEPTH / 2;
    await admission.submit(many.slice(0, half), 'client');
    const taken = (): number => admission.check(many.slice(half + 1)).filter((refusal) => refusal === null).length;
    assert.equal(taken(), half);
    await admission.submit(many.slice(half, half + 1), 'client');
    assert.equal(taken(), LEAST_BLOCK / 2);
  });

  it('who pays more than what fills the next block leaves at once and alone, so many a second at most', async () => {
    const { admission } = await node.start();
    const many = [...Array(3).keys()].flatMap((i) =>
      [...Array(256).keys()].map((nonce) => transfer(nonce, { from: `account-${i}`, to: 'account-39' })),
    );
    await admission.submit(many, 'client');
    admission.flush();
    const sent = (): string[][] => node.network.of('tx').map(({ txs }) => ids(txs));
    const [least] = many;
    assert.ok(least);
    const dear = (nonce: number): Transaction =>
      transfer(nonce, { from: 'account-9', to: 'account-39', feeUait: 2 * least.feeUait });
    const before = sent().length;
    await admission.submit([transfer(0, { from: 'account-8', to: 'account-39' })], 'client');
    assert.equal(sent().length, before, 'others wait for company');
    await admission.submit([dear(0)], 'client');
    assert.deepEqual(sent().slice(before), [ids([dear(0)])]);
    for (let nonce = 1; nonce < 100; nonce++) await admission.submit([dear(nonce)], 'client');
    assert.equal(sent().filter((batch) => batch.length === 1).length, 64);
  });

  it('bound: depth, within one batch', async () => {
    const { admission } = await node.start();
    const batch = [...Array(20).keys()].flatMap((i) =>
      [...Array(256).keys()].map((nonce) => transfer(nonce, { from: `account-${i}`, to: 'account-39' })),
    );
    const taken = admission.check(batch).filter((refusal) => refusal === null).length;
    assert.equal(taken, LEAST_DEPTH);
  });

  it('gossip: one bad signature condemns a batch, also beside good ones', async () => {
    const { admission } = await node.start();
    assert.equal(await admission.onGossip(batch([transfer(0), forged(transfer(1))]), 'peer'), 'BAD_SIGNATURE');
  });

  it('gossip: a forged transaction refused for a reason of state is not relayed in good company', async () => {
    const { admission } = await node.start();
    const stale = forged(transfer(1, { from: 'account-2', validUntilHeight: 0 }));
    assert.equal(await admission.onGossip(batch([transfer(0), stale]), 'peer'), 'BAD_SIGNATURE');
    // An honest one in the same state costs its sender nothing.
    const expired = transfer(1, { from: 'account-2', validUntilHeight: 0 });
    assert.equal(await admission.onGossip(batch([transfer(1), expired]), 'peer'), 'OK');
    assert.equal(await admission.onGossip(batch([expired]), 'peer'), 'REFUSED');
  });

  it('gossip: what came from its author is relayed to those only that do not hear it; what is said again to all', async () => {
    const { admission } = await node.start();
    assert.equal(await admission.onGossip(batch([transfer(0)], 0, 'author'), 'author'), 'FIRST_HAND');
    assert.equal(await admission.onGossip(batch([transfer(1)], 0, 'author'), 'relay'), 'OK');
    assert.equal(await admission.onGossip(batch([transfer(2)], 1, 'author'), 'author'), 'OK');
    assert.equal(await admission.onGossip(batch([transfer(2)], 0, 'author'), 'author'), 'DUPLICATE');
  });

  it('gossip while the verifier is full is ignored', async () => {
    const { admission } = await node.start();
    node.verifier.full = true;
    assert.equal(await admission.onGossip(batch([transfer(0)]), 'peer'), 'REFUSED');
  });

  it('what peers send in vain pushes out no answer that a client may ask for', async () => {
    const { admission, pool } = await node.start();
    const own = transfer(0, { feeUait: 1 });
    const peers = transfer(1, { feeUait: 1 });
    await admission.submit([own], 'client');
    await admission.submit([peers], 'peer');
    assert.equal(pool.rejection(own.id)?.code, 'FEE_TOO_LOW');
    assert.equal(pool.rejection(peers.id), undefined);
  });

  it("clients' transactions leave as one batch, peers' are relayed by gossip alone", async () => {
    const { admission } = await node.start();
    const txs = [0, 1, 2].map((nonce) => transfer(nonce));
    for (const tx of txs) await admission.submit([tx], 'client');
    await admission.submit([transfer(0, { from: 'account-3' })], 'peer');
    assert.deepEqual(node.network.of('tx'), []);
    await node.advance(15);
    assert.deepEqual(
      node.network.of('tx').map((batch) => ids(batch.txs)),
      [ids(txs)],
    );
  });

  it('waits longer for company while there is company, 250 ms at most, less once there is none, and not after a pause', async () => {
    const { admission } = await node.start();
    let account = 0;
    /** Ms until one more batch has left, which began with so many transactions. */
    const waited = async (count: number): Promise<number> => {
      const before = node.network.of('tx').length;
      const txs = Array.from({ length: count }, () => transfer(0, { from: `account-${account++}` }));
      await admission.submit(txs, 'client');
      for (let ms = 0; ms < 300; ms++) {
        if (node.network.of('tx').length > before) return ms;
        await node.advance(1);
      }
      return Infinity;
    };
    assert.equal(await waited(1), 1);
    assert.equal(await waited(3), 15);
    assert.equal(await waited(3), 30);
    assert.equal(await waited(3), 60);
    assert.equal(await waited(3), 120);
    assert.equal(await waited(3), 240);
    assert.equal(await waited(3), 250);
    assert.equal(await waited(1), 250);
    assert.equal(await waited(1), 125);
    assert.equal(await waited(1), 63);
    assert.equal(await waited(1), 32);
    assert.equal(await waited(1), 16);
    assert.equal(await waited(1), 15);
    for (let i = 0; i < 4; i++) await waited(3);
    await node.advance(240);
    assert.equal(await waited(1), 1);
    assert.equal(await waited(1), 15);
  });

  it('a batch leaves 50 ms before the next block may be built, and those before it wait equally long', async () => {
    node = new NodeUnderTest({ self: null, accounts: 40, params: { min_block_interval_ms: 500 } });
    const { admission, engine } = await node.start();
    const { minBlockIntervalMs } = node.genesis.params;
    const timeMs = node.clock.now();
    const { block } = node.driver.commit([transfer(0, { from: 'account-39' })], [], timeMs);
    const { certificate } = node.driver;
    assert.ok(certificate);
    await admission.verifyBodies(block.txs);
    assert.equal((await engine.import(LinkedRange.of(nativeCrypto, [{ block, certificate }]))).count, 1);
    /** Ms after that block at which batches left, while there is company at every moment. */
    const left: number[] = [];
    for (let ms = 0, sent = 0; ms < minBlockIntervalMs; ms++) {
      // Fewer than fill a batch.
      if (ms % 5 === 0) {
        const nonce = Math.floor(ms / 90);
        await admission.submit(
          [0, 1].map((i) => transfer(nonce, { from: `account-${2 * ((ms / 5) % 18) + i}` })),
          'client',
        );
      }
      await node.advance(1);
      if (node.network.of('tx').length > sent) left.push(node.clock.now() - timeMs);
      sent = node.network.of('tx').length;
    }
    assert.ok(left.includes(minBlockIntervalMs - 50), left.join());
    const [last = 0, ...before] = left.filter((ms) => ms <= minBlockIntervalMs - 50).reverse();
    const gaps = [last, ...before].slice(0, -1).map((ms, i) => ms - (before[i] ?? 0));
    assert.ok(gaps.length <= 6 && Math.min(...gaps) >= 15, gaps.join());
  });

  it('a full batch does not wait', async () => {
    const { admission } = await node.start();
    const txs = Array.from({ length: 40 }, (_, i) => i).flatMap((i) =>
      Array.from({ length: 13 }, (_, nonce) => transfer(nonce, { from: `account-${i}` })),
    );
    await admission.submit(txs, 'client');
    const sent = node.network.of('tx').flatMap(({ txs }) => txs);
    assert.ok(sent.length > 0 && sent.length < txs.length);
    for (const batch of node.network.of('tx')) {
      assert.ok(batch.txs.reduce((sum, tx) => sum + tx.bytes.length, 0) <= 48 * 1024);
    }
  });

  it('says again what waits, as a message not seen before, at most once a second whoever comes', async () => {
    const { admission } = await node.start();
    await admission.submit([transfer(0)], 'client');
    await node.advance(15);
    node.network.published.length = 0;
    for (let i = 0; i < 50; i++) {
      admission.regossip();
      await node.advance(20);
    }
    const batches = node.network.of('tx').map((batch) => toHex(TOPIC_CODECS.tx.encode(batch)));
    assert.ok(batches.length >= 1 && batches.length <= 3, String(batches.length));
    assert.equal(new Set(batches).size, batches.length);
  });

  it('bound: more than a batch is said again in turn, so that none is left out', async () => {
    const { admission } = await node.start();
    const txs = Array.from({ length: 40 }, (_, i) => i).flatMap((i) =>
      Array.from({ length: 20 }, (_, nonce) => transfer(nonce, { from: `account-${i}` })),
    );
    await admission.submit(txs, 'client');
    await node.advance(15);
    node.network.published.length = 0;
    for (let i = 0; i < 3; i++) await node.advance(5_015);
    const again = new Set(
      node.network
        .of('tx')
        .flatMap(({ txs }) => txs)
        .map((tx) => bytesKey(tx.id)),
    );
    assert.equal(again.size, txs.length);
  });

  it('the journal keeps what is pending and nothing else', async () => {
    const { admission } = await node.start();
    const replaced = transfer(0);
    await admission.submit([replaced, transfer(1)], 'client');
    const dearer = transfer(0, { feeUait: 2 * replaced.feeUait });
    await admission.submit([dearer], 'peer');
    assert.deepEqual(
      new Set(node.store.journal.entries.keys()),
      new Set([bytesKey(dearer.id), bytesKey(transfer(1).id)]),
    );
    node.clock.advance(700_000);
    await settle();
    assert.equal(node.chain.pool.size, 0, 'too old, though no block came');
    assert.equal(node.store.journal.entries.size, 0);
  });

  it('pending transactions survive a restart, however many', async () => {
    const txs = Array.from({ length: 40 }, (_, i) => i).flatMap((i) =>
      Array.from({ length: 40 }, (_, nonce) => transfer(nonce, { from: `account-${i}` })),
    );
    for (const tx of txs) node.store.journal.add(tx.key, tx.bytes);
    const stale = transfer(0, { from: 'nobody' });
    node.store.journal.add(stale.key, stale.bytes);
    node.store.journal.entries.set('garbage', new Uint8Array(10));
    node.verifier.most = 1_200;
    const { pool } = await node.start();
    assert.equal(pool.size, txs.length);
    assert.ok(!node.store.journal.entries.has(bytesKey(stale.id)));
  });
});
