import assert from 'node:assert/strict';
import { toHex } from '../../../../../src/bytes.ts';
import { applyBlock, pendingWork, verifyBlock } from '../../../../../src/chain/execute.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../../../../../src/chain/modules/compute/agreement-client.ts';
import { releaseAgreement, settleAgreement } from '../../../../../src/chain/modules/compute/agreement-miner.ts';
import { CLOSING_BLOCKS, CLOSING_MS } from '../../../../../src/chain/modules/compute/closing.ts';
import { MAX_DUE_A_BLOCK } from '../../../../../src/chain/modules/compute/compute.ts';
import { signVoucher } from '../../../../../src/chain/modules/compute/voucher.ts';
import { RECEIPT_CODES } from '../../../../../src/chain/receipt.ts';
import { isNodeError } from '../../../../../src/errors.ts';
import { signer } from '../../../../util/chain-fixture.ts';
import { addressOfName, areGood, BALANCE_UAIT, Market, MINUTE_MS, NO_ROOT, sessionKey, START_MS } from './market.ts';

const CLIENT = 'account-0';
const MINER = 'account-1';
const OTHER = 'account-2';
const ROOT = new Uint8Array(32).fill(9);
const { OK, ALREADY_DONE, BAD_PROOF, EXPIRED, FEE_TOO_LOW, INSUFFICIENT_FUNDS, LIMIT } = RECEIPT_CODES;
const { NOT_APPLICABLE, NOT_AUTHORISED, NOT_FOUND } = RECEIPT_CODES;

function u64(value: number): string {
  return value.toString(16).padStart(16, '0');
}

function staked(): Market {
  const market = new Market();
  market.stake(MINER);
  return market;
}

describe('agreement', () => {
  it('opens: the cap leaves the balance, the expiry is a whole minute', () => {
    const market = staked();
    const before = market.balance(CLIENT);
    const id = market.open(CLIENT, MINER, 500_000);
    assert.equal(market.balance(CLIENT), before - 500_000 - 5_000);
    const agreement = market.agreement(id);
    assert(agreement);
    assert.equal(START_MS % MINUTE_MS, 20_000);
    assert.equal(agreement.expiresAtMs, START_MS + 40_000 + 10 * MINUTE_MS);
    assert.deepEqual(
      { ...agreement, client: toHex(agreement.client), miner: toHex(agreement.miner), signer: toHex(agreement.signer) },
      {
        ...agreement,
        client: toHex(addressOfName(CLIENT)),
        miner: toHex(addressOfName(MINER)),
        signer: toHex(sessionKey(CLIENT)),
        capUait: 500_000,
        paidUait: 0,
        state: { name: 'open' },
      },
    );
  });

  it('is settled by its miner up to the highest voucher, once for each total', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const settle = (totalUait: number, creditUait: number, from = MINER, receiptsRoot = NO_ROOT) =>
      market.send(settleAgreement, from, {
        agreement: id,
        receiptsRoot,
        totalUait,
        voucher: market.voucher(CLIENT, id, creditUait),
      }).code;
    assert.equal(settle(100, 200, CLIENT), NOT_AUTHORISED);
    const before = market.balance(MINER);
    assert.equal(settle(100, 200, MINER, ROOT), OK);
    assert.equal(market.balance(MINER), before + 100 - 5_000);
    assert.equal(settle(100, 200), ALREADY_DONE, 'the same again');
    assert.equal(settle(50, 300), ALREADY_DONE, 'less than is paid');
    assert.equal(settle(201, 200), BAD_PROOF, 'more than the voucher gives');
    assert.equal(settle(500_001, 600_000), LIMIT, 'above the deposit');
    assert.equal(settle(150, 200), OK, 'an old voucher still gives what it gave');
    assert.equal(settle(500_000, 600_000), OK);
    const agreement = market.agreement(id);
    assert.deepEqual([agreement?.paidUait, agreement?.state.name], [500_000, 'open']);
    assert.deepEqual(agreement?.receiptsRoot, ROOT, 'zeros leave the root that is anchored');
  });

  it('a voucher by another key is no proof, one for another agreement or chain no signature', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const other = market.open(CLIENT, MINER, 500_000);
    const { chain } = market.chain.genesis;
    const fields = { agreement: id, creditUait: 1_000, seen: NO_ROOT };
    const payload = { agreement: id, receiptsRoot: NO_ROOT, totalUait: 1_000 };
    const strange = signVoucher(chain, signer(`session-${OTHER}`), fields);
    assert.equal(market.send(settleAgreement, MINER, { ...payload, voucher: strange }).code, BAD_PROOF);

    const good = market.voucher(CLIENT, id, 1_000);
    const elsewhere = signVoucher({ ...chain, chainId: 'ait-testnet' }, signer(`session-${CLIENT}`), fields);
    const forked = signVoucher({ ...chain, genesisHash: ROOT }, signer(`session-${CLIENT}`), fields);
    const bad = [
      market.voucher(CLIENT, other, 1_000),
      elsewhere,
      forked,
      { ...good, creditUait: 2_000 },
      { ...good, seen: ROOT },
    ].map((voucher) => market.tx(settleAgreement, MINER, { ...payload, voucher: { ...voucher, agreement: id } }));
    assert.ok(areGood(market.chain, market.tx(settleAgreement, MINER, { ...payload, voucher: good })));
    for (const tx of bad) {
      assert.equal(areGood(market.chain, tx), false);
      const { block } = market.chain.build([tx]);
      const isRefused = (error: unknown): boolean => isNodeError(error) && error.code === 'BAD_BLOCK';
      const verified = { has: (each: typeof tx) => areGood(market.chain, each) };
      assert.throws(() => applyBlock(market.chain.rules, market.chain.tip, block, verified), isRefused);
    }
  });

  it('is released by its miner: pays, refunds the rest and closes at once', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const [client, miner] = [market.balance(CLIENT), market.balance(MINER)];
    const taking = { totalUait: 120_000, voucher: market.voucher(CLIENT, id, 130_000) };
    const release = { agreement: id, receiptsRoot: ROOT, taking };
    assert.equal(market.send(releaseAgreement, CLIENT, release).code, NOT_AUTHORISED);
    assert.equal(market.send(releaseAgreement, MINER, release).code, OK);
    assert.equal(market.balance(MINER), miner + 120_000 - 5_000);
    assert.equal(market.balance(CLIENT), client + 380_000 - 5_000);
    const { height, timeMs } = market.chain.tip;
    assert.deepEqual(market.agreement(id)?.state, {
      name: 'closed',
      atHeight: height,
      atMs: timeMs,
      refundedUait: 380_000,
    });
    for (const again of [release, { ...release, taking: null }]) {
      assert.equal(market.send(releaseAgreement, MINER, again).code, ALREADY_DONE);
    }
    const { receiptsRoot } = release;
    assert.equal(market.send(settleAgreement, MINER, { agreement: id, receiptsRoot, ...taking }).code, ALREADY_DONE);
    assert.equal(market.send(closeAgreement, CLIENT, { agreement: id }).code, ALREADY_DONE);
    assert.equal(market.send(topupAgreement, CLIENT, { agreement: id, amountUait: 1 }).code, ALREADY_DONE);
    assert.deepEqual(pendingWork(market.chain.tip), { now: false, atMs: null }, 'nothing is left to wait for');
  });

  it('a release without a voucher gives everything back; a stale one closes nothing', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const voucher = market.voucher(CLIENT, id, 1_000);
    const settle = { agreement: id, receiptsRoot: NO_ROOT, totalUait: 1_000, voucher };
    assert.equal(market.send(settleAgreement, MINER, settle).code, OK);
    const stale = { agreement: id, receiptsRoot: NO_ROOT, taking: { totalUait: 999, voucher } };
    assert.equal(market.send(releaseAgreement, MINER, stale).code, ALREADY_DONE);
    assert.equal(market.send(releaseAgreement, MINER, { ...stale, taking: null }).code, OK);
    const state = market.agreement(id)?.state;
    assert.equal(state?.name === 'closed' && state.refundedUait, 499_000);
  });

  it("the client's close takes back nothing that a voucher gave: the miner has a minute and 20 blocks", () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    assert.equal(market.send(closeAgreement, MINER, { agreement: id }).code, NOT_AUTHORISED);
    assert.equal(market.send(closeAgreement, CLIENT, { agreement: id }).code, OK);
    assert.equal(market.send(closeAgreement, CLIENT, { agreement: id }).code, ALREADY_DONE);
    const topup = { agreement: id, amountUait: 1 };
    assert.equal(market.send(topupAgreement, CLIENT, topup).code, ALREADY_DONE);
    const voucher = market.voucher(CLIENT, id, 300_000);
    const settle = { agreement: id, receiptsRoot: NO_ROOT, totalUait: 300_000, voucher };
    assert.equal(market.send(settleAgreement, MINER, settle).code, OK);
    const state = market.agreement(id)?.state;
    assert(state?.name === 'closing');
    market.idleUntil(state.sinceMs + CLOSING_MS - 1);
    assert.equal(market.agreement(id)?.state.name, 'closing');
    market.idleUntil(Infinity);
    const closed = market.agreement(id)?.state;
    assert(closed?.name === 'closed');
    assert.equal(closed.refundedUait, 200_000);
    assert.ok(closed.atMs >= state.sinceMs + CLOSING_MS && closed.atHeight >= state.sinceHeight + CLOSING_BLOCKS);
  });

  it('a settlement in the very block that closes still pays', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    market.send(closeAgreement, CLIENT, { agreement: id });
    market.idleUntil(market.nowMs + CLOSING_MS - 1);
    const atMs = pendingWork(market.chain.tip).atMs ?? 0;
    const voucher = market.voucher(CLIENT, id, 300_000);
    const settle = { agreement: id, receiptsRoot: NO_ROOT, totalUait: 300_000, voucher };
    market.commit([market.tx(settleAgreement, MINER, settle)], atMs);
    const agreement = market.agreement(id);
    assert.deepEqual([agreement?.paidUait, agreement?.state.name], [300_000, 'closed']);
  });

  it('an idle chain wakes for the expiry, closes within 21 blocks, and sleeps again', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const client = market.balance(CLIENT);
    const expiresAtMs = market.agreement(id)?.expiresAtMs ?? 0;
    assert.deepEqual(pendingWork(market.chain.tip), { now: false, atMs: expiresAtMs });
    const early = market.chain.build([], [], 0, expiresAtMs - 1);
    assert.throws(() => {
      verifyBlock(market.chain.rules, market.chain.tip, early.block);
    }, /empty without a reason/);
    assert.equal(market.idleUntil(Infinity), 1 + CLOSING_BLOCKS);
    assert.equal(market.nowMs, expiresAtMs + CLOSING_MS);
    assert.equal(market.agreement(id)?.state.name, 'closed');
    assert.equal(market.balance(CLIENT), client + 500_000);
  });

  it('a halt over expiry and closing leaves the miner its time', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const wakeMs = market.nowMs + 24 * 60 * MINUTE_MS;
    market.commit([], wakeMs);
    const state = market.agreement(id)?.state;
    assert.deepEqual(state, { name: 'closing', sinceHeight: market.chain.tip.height, sinceMs: wakeMs });
    const againMs = wakeMs + 24 * 60 * MINUTE_MS;
    market.commit([], againMs);
    assert.equal(market.agreement(id)?.state.name, 'closing', 'time alone does not close: it may have been a halt');
    const voucher = market.voucher(CLIENT, id, 300_000);
    const settle = { agreement: id, receiptsRoot: NO_ROOT, totalUait: 300_000, voucher };
    assert.equal(market.send(settleAgreement, MINER, settle).code, OK);
    market.idleUntil(Infinity);
    const agreement = market.agreement(id);
    assert.deepEqual([agreement?.paidUait, agreement?.state.name], [300_000, 'closed']);
  });

  it('is topped up and extended by its client alone', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const expiresAtMs = market.agreement(id)?.expiresAtMs ?? 0;
    const topup = { agreement: id, amountUait: 1_000 };
    assert.equal(market.send(topupAgreement, OTHER, topup).code, NOT_AUTHORISED);
    assert.equal(market.send(topupAgreement, CLIENT, { ...topup, amountUait: BALANCE_UAIT }).code, INSUFFICIENT_FUNDS);
    assert.equal(market.send(topupAgreement, CLIENT, { ...topup, amountUait: 0 }).code, LIMIT);
    assert.equal(market.send(topupAgreement, CLIENT, topup).code, OK);
    assert.equal(market.agreement(id)?.capUait, 501_000);
    const extend = (toMs: number, from = CLIENT) =>
      market.send(extendAgreement, from, { agreement: id, expiresAtMs: toMs }).code;
    assert.equal(extend(expiresAtMs + 1, OTHER), NOT_AUTHORISED);
    assert.equal(extend(expiresAtMs), NOT_APPLICABLE);
    assert.equal(extend(market.nowMs), EXPIRED);
    assert.equal(extend(market.nowMs + 2 * 3_600_000), LIMIT);
    assert.equal(extend(expiresAtMs + 1), OK);
    assert.equal(market.agreement(id)?.expiresAtMs, expiresAtMs + MINUTE_MS);
    assert.equal(pendingWork(market.chain.tip).atMs, expiresAtMs + MINUTE_MS, 'the old deadline is gone');
  });

  it('refuses what it must when opened', () => {
    const market = staked();
    const good = {
      signer: sessionKey(CLIENT),
      miner: addressOfName(MINER),
      capUait: 10_000,
      expiresAtMs: market.nowMs + MINUTE_MS,
    };
    const cases: [Partial<typeof good>, number][] = [
      [{ capUait: 9_999 }, LIMIT],
      [{ capUait: BALANCE_UAIT }, INSUFFICIENT_FUNDS],
      [{ miner: addressOfName(OTHER) }, NOT_APPLICABLE],
      [{ expiresAtMs: market.nowMs }, EXPIRED],
      [{ expiresAtMs: market.nowMs + 2 * 3_600_000 }, LIMIT],
      [{ expiresAtMs: Number.MAX_SAFE_INTEGER }, LIMIT],
      [{}, OK],
    ];
    for (const [change, code] of cases) {
      assert.equal(market.send(openAgreement, CLIENT, { ...good, ...change }).code, code, JSON.stringify(change));
    }
    const cheap = market.commit([market.tx(openAgreement, CLIENT, good, { feeUait: 4_999 })]);
    assert.equal(cheap.receipts[0]?.code, FEE_TOO_LOW);
    assert.equal(market.send(closeAgreement, CLIENT, { agreement: ROOT }).code, NOT_FOUND);
    const settle = { agreement: ROOT, receiptsRoot: ROOT, totalUait: 1, voucher: market.voucher(CLIENT, ROOT, 1) };
    assert.equal(market.send(settleAgreement, MINER, settle).code, NOT_FOUND);
  });

  it('tells whoever did not send the transaction what it came to', () => {
    const market = staked();
    const id = market.open(CLIENT, MINER, 500_000);
    const taking = { totalUait: 120_000, voucher: market.voucher(CLIENT, id, 130_000) };
    const closing = market.send(closeAgreement, CLIENT, { agreement: id });
    const released = market.send(releaseAgreement, MINER, { agreement: id, receiptsRoot: ROOT, taking });
    const events = [closing, released].flatMap((receipt) => receipt.events);
    assert.deepEqual(
      events.map(({ module, kind, data }) => [module, kind, toHex(data)]),
      [
        [3, 2, toHex(id) + toHex(addressOfName(MINER))],
        [3, 3, toHex(id) + toHex(addressOfName(CLIENT)) + u64(120_000) + u64(120_000)],
        [3, 4, toHex(id) + toHex(addressOfName(CLIENT)) + u64(380_000)],
      ],
    );
  });

  it('one balance opens one agreement: two in a block cannot spend it twice', () => {
    const market = staked();
    const payload = {
      signer: sessionKey(CLIENT),
      miner: addressOfName(MINER),
      capUait: 600_000_000,
      expiresAtMs: market.nowMs + MINUTE_MS,
    };
    const txs = [0, 1].map((ahead) => market.tx(openAgreement, CLIENT, payload, { ahead }));
    assert.deepEqual(
      market.commit(txs).receipts.map(({ code }) => code),
      [OK, INSUFFICIENT_FUNDS],
    );
  });

  it('bound: one block sees to so many deadlines, and the rest is due at once', () => {
    const market = new Market({ params: { min_block_interval_ms: 1 } });
    market.stake(MINER);
    const count = MAX_DUE_A_BLOCK + 3;
    const payload = {
      signer: sessionKey(CLIENT),
      miner: addressOfName(MINER),
      capUait: 10_000,
      expiresAtMs: market.nowMs + MINUTE_MS,
    };
    const txs = Array.from({ length: count }, (_, ahead) => market.tx(openAgreement, CLIENT, payload, { ahead }));
    market.commit(txs);
    const dueMs = pendingWork(market.chain.tip).atMs ?? 0;
    market.commit([], dueMs);
    assert.equal(pendingWork(market.chain.tip).atMs, dueMs, 'three are still due');
    market.commit([], dueMs + 1);
    assert.ok((pendingWork(market.chain.tip).atMs ?? 0) > dueMs + 1);
    const blocks = market.idleUntil(Infinity);
    assert.ok(blocks <= CLOSING_BLOCKS + 2, String(blocks));
    assert.equal(market.balance(CLIENT), BALANCE_UAIT - count * 5_000);
  });

  it('bound: records of closed agreements go when others close', () => {
    const market = staked();
    const ids = [1, 2, 3].map(() => market.open(CLIENT, MINER, 10_000));
    const release = (i: number): void => {
      const agreement = ids[i] ?? NO_ROOT;
      assert.equal(market.send(releaseAgreement, MINER, { agreement, receiptsRoot: NO_ROOT, taking: null }).code, OK);
    };
    release(0);
    release(1);
    assert.ok(market.agreement(ids[0] ?? NO_ROOT) && market.agreement(ids[1] ?? NO_ROOT));
    const kept = market.nowMs + 600_000;
    market.idleUntil(kept);
    market.commit([market.tx(closeAgreement, CLIENT, { agreement: NO_ROOT })], Math.max(kept, market.nowMs + 20));
    release(2);
    assert.equal(market.agreement(ids[0] ?? NO_ROOT), undefined);
    assert.equal(market.agreement(ids[1] ?? NO_ROOT), undefined);
    assert.ok(market.agreement(ids[2] ?? NO_ROOT));
  });
});
