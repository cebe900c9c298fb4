/** Whatever clients and miners send in whatever order, with whatever pauses: the chain comes to what the model does. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Hash } from '../../../../../src/bytes.ts';
import { agreementId } from '../../../../../src/chain/modules/compute/agreement.ts';
import { getAccount } from '../../../../../src/chain/accounts.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../../../../../src/chain/modules/compute/agreement-client.ts';
import { releaseAgreement, settleAgreement } from '../../../../../src/chain/modules/compute/agreement-miner.ts';
import { getStake, stake, unstake } from '../../../../../src/chain/modules/compute/stake.ts';
import { pendingWork } from '../../../../../src/chain/execute.ts';
import { RECEIPT_CODES } from '../../../../../src/chain/receipt.ts';
import type { Transaction } from '../../../../../src/chain/tx.ts';
import { nativeCrypto } from '../../../../../src/native/crypto.ts';
import { addressOfName, BALANCE_UAIT, Market, MINUTE_MS, NO_ROOT, sessionKey } from './market.ts';
import type { Action } from './model.ts';
import { amountsOf, FEE, MarketModel, RULES } from './model.ts';

const CLIENTS = ['account-0', 'account-1'];
const MINERS = ['account-2', 'account-3'];
const NAMES = [...CLIENTS, ...MINERS];
const NOWHERE: Hash = new Uint8Array(32).fill(1);

const who = fc.constantFrom(...NAMES);
const agreement = fc.constantFrom(0, 0, 1, 1, 2, 3, 4);
const amount = fc.constantFrom(0, 1, 9_999, 10_000, RULES.minStake, 400_000_000, BALANCE_UAIT, Number.MAX_SAFE_INTEGER);
const term = fc.constantFrom(0, 1, 50_000, MINUTE_MS, 20 * MINUTE_MS, RULES.term, RULES.term + 1);
const share = fc.constantFrom(0, 1, 400, 600, 1000, 1001, 2000);

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant('open' as const), who, miner: fc.constantFrom(...MINERS), cap: amount, term }),
  fc.record({ kind: fc.constant('topup' as const), who, agreement, amount }),
  fc.record({ kind: fc.constant('extend' as const), who, agreement, term }),
  fc.record({ kind: fc.constant('close' as const), who, agreement }),
  fc.record({
    kind: fc.constantFrom('settle' as const, 'release' as const),
    who: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...MINERS) }, { weight: 1, arbitrary: who }),
    agreement,
    credit: share,
    total: share,
    bare: fc.boolean(),
    signedBy: fc.constantFrom('client' as const, 'client' as const, 'client' as const, 'stranger' as const),
  }),
  // What honest sides do with the agreement that every run begins with: by chance alone it happens in one run of twenty.
  fc.record({
    ...{ kind: fc.constant('settle' as const), who: fc.constant('account-2'), agreement: fc.constant(0) },
    ...{ credit: fc.constant(1000), total: fc.constantFrom(1, 400, 600), bare: fc.constant(false) },
    signedBy: fc.constant('client' as const),
  }),
  fc.record({ kind: fc.constantFrom('stake' as const, 'unstake' as const), who: fc.constantFrom(...MINERS), amount }),
);

/** Then time goes by: idle, making the blocks that are due, or standing still. */
const pause = fc.record({
  ms: fc.constantFrom(0, 0, 0, 20, 3_000, MINUTE_MS, 5 * MINUTE_MS, RULES.term, 3 * RULES.cooldown),
  isHalt: fc.boolean(),
});
const round = fc.record({ actions: fc.array(action, { minLength: 1, maxLength: 4 }), pause });

class Run {
  readonly market = new Market();
  readonly model = new MarketModel(NAMES, BALANCE_UAIT);
  readonly #ids: Hash[] = [];

  constructor() {
    for (const who of MINERS) this.block([{ kind: 'stake', who, amount: 2 * RULES.minStake }], this.market.earliestMs);
    this.block([{ kind: 'open', who: 'account-0', miner: 'account-2', cap: 1_000_000, term: RULES.term }]);
  }

  block(actions: readonly Action[], timeMs = this.market.earliestMs): void {
    const { market, model } = this;
    const height = market.chain.tip.height + 1;
    const ahead = new Map<string, number>();
    const txs: Transaction[] = [];
    const expected: number[] = [];
    const opened: Hash[] = [];
    for (const each of actions) {
      // What vouchers say follows from the cap at the time, which this block may change: the model knows it.
      const nonce = ahead.get(each.who) ?? 0;
      ahead.set(each.who, nonce + 1);
      txs.push(this.#tx(each, nonce, timeMs));
      const code = model.act(each, height, timeMs);
      expected.push(code);
      if (each.kind === 'open' && code === RECEIPT_CODES.OK) opened.push(this.#idOf(each.who, nonce));
      if (opened.length > 0) this.#ids.push(...opened.splice(0));
    }
    const { receipts } = market.commit(txs, timeMs);
    assert.deepEqual(
      receipts.map(({ code }) => code),
      expected,
    );
    model.endBlock(height, timeMs);
    this.compare();
  }

  idle(ms: number): void {
    const untilMs = this.market.nowMs + ms;
    for (;;) {
      const { atMs } = pendingWork(this.market.chain.tip);
      const dueMs = Math.max(this.market.earliestMs, atMs ?? 0);
      if (atMs === null || dueMs > untilMs) return;
      this.block([], dueMs);
    }
  }

  compare(): void {
    const { market, model } = this;
    const { state } = market.chain.tip;
    for (const name of NAMES) {
      assert.equal(market.balance(name), model.balances.get(name), name);
      const { stakedUait, coolingUait } = getStake(state, addressOfName(name));
      const { staked = 0, cooling = 0 } = model.stakes.get(name) ?? {};
      assert.deepEqual([stakedUait, coolingUait], [staked, cooling]);
    }
    let [locked, paid, refunded, open] = [0, 0, 0, 0];
    model.agreements.forEach((expected, i) => {
      locked += expected.cap;
      paid += expected.paid;
      refunded += expected.refunded;
      if (expected.closed === 0) open += expected.cap - expected.paid;
      assert.ok(expected.closed <= 1);
      const found = market.agreement(this.#ids[i] ?? NOWHERE);
      assert.equal(found === undefined, expected.gone);
      if (!found) return;
      const name = expected.closed > 0 ? 'closed' : expected.closing ? 'closing' : 'open';
      assert.deepEqual(
        [found.capUait, found.paidUait, found.expiresAtMs, found.state.name],
        [expected.cap, expected.paid, expected.expiresAt, name],
      );
      if (found.state.name === 'closed') assert.equal(found.state.refundedUait, expected.refunded);
    });
    assert.equal(locked, paid + refunded + open);
  }

  #idOf(client: string, ahead: number): Hash {
    const { nonce } = getAccount(this.market.chain.tip.state, addressOfName(client));
    return agreementId(nativeCrypto, this.market.chain.genesis.chain, addressOfName(client), nonce + ahead);
  }

  #tx(each: Action, ahead: number, timeMs: number): Transaction {
    const options = { ahead, feeUait: FEE };
    const { market } = this;
    switch (each.kind) {
      case 'open': {
        const { who: client, miner, cap: capUait } = each;
        const payload = { signer: sessionKey(client), miner: addressOfName(miner), capUait };
        return market.tx(openAgreement, client, { ...payload, expiresAtMs: timeMs + each.term }, options);
      }
      case 'stake':
      case 'unstake': {
        const amountUait = each.amount;
        return market.tx(each.kind === 'stake' ? stake : unstake, each.who, { amountUait }, options);
      }
      default:
        break;
    }
    const id = this.#ids[each.agreement] ?? NOWHERE;
    switch (each.kind) {
      case 'topup':
        return market.tx(topupAgreement, each.who, { agreement: id, amountUait: each.amount }, options);
      case 'extend':
        return market.tx(extendAgreement, each.who, { agreement: id, expiresAtMs: timeMs + each.term }, options);
      case 'close':
        return market.tx(closeAgreement, each.who, { agreement: id }, options);
      default:
        break;
    }
    const known = this.model.agreements[each.agreement] ?? { cap: 1000, client: 'nobody' };
    const { credit, total } = amountsOf(known, each);
    const signedBy = each.signedBy === 'client' ? known.client : 'stranger';
    const voucher = market.voucher(signedBy, id, credit);
    const receiptsRoot = NO_ROOT;
    return each.kind === 'settle'
      ? market.tx(settleAgreement, each.who, { agreement: id, receiptsRoot, totalUait: total, voucher }, options)
      : market.tx(
          releaseAgreement,
          each.who,
          { agreement: id, receiptsRoot, taking: each.bare ? null : { totalUait: total, voucher } },
          options,
        );
  }
}

describe('market', () => {
  it('property: comes to what its model does, and in the end everything is closed once and paid back', () => {
    let paidUait = 0;
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 12 }), (rounds) => {
        const run = new Run();
        for (const { actions, pause: after } of rounds) {
          run.block(actions);
          if (!after.isHalt) run.idle(after.ms);
          else if (pendingWork(run.market.chain.tip).atMs !== null) {
            run.block([], Math.max(pendingWork(run.market.chain.tip).atMs ?? 0, run.market.earliestMs + after.ms));
          }
        }
        run.idle(Infinity);
        assert.deepEqual(pendingWork(run.market.chain.tip), { now: false, atMs: null });
        for (const each of run.model.agreements) {
          assert.equal(each.closed, 1);
          assert.equal(each.cap, each.paid + each.refunded);
          paidUait += each.paid;
        }
        for (const { cooling } of run.model.stakes.values()) assert.equal(cooling, 0);
      }),
      { numRuns: 40 },
    );
    assert.ok(paidUait > 0, 'nothing was ever paid');
  });
});
