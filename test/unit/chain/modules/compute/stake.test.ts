import assert from 'node:assert/strict';
import { pendingWork } from '../../../../../src/chain/execute.ts';
import { openAgreement } from '../../../../../src/chain/modules/compute/agreement-client.ts';
import { getStake, NO_STAKE, stake, unstake } from '../../../../../src/chain/modules/compute/stake.ts';
import { RECEIPT_CODES } from '../../../../../src/chain/receipt.ts';
import { addressOfName, BALANCE_UAIT, Market, MIN_STAKE_UAIT, MINUTE_MS, sessionKey } from './market.ts';

const MINER = 'account-1';
const CLIENT = 'account-0';
const COOLDOWN_MS = 120 * MINUTE_MS;
const { OK, INSUFFICIENT_FUNDS, LIMIT, NOT_APPLICABLE } = RECEIPT_CODES;

describe('stake', () => {
  const of = (market: Market) => getStake(market.chain.tip.state, addressOfName(MINER));
  const send = (market: Market, type: typeof stake, amountUait: number) =>
    market.send(type, MINER, { amountUait }).code;

  it('leaves the balance, and is never between nothing and the least', () => {
    const market = new Market();
    assert.equal(send(market, stake, MIN_STAKE_UAIT - 1), LIMIT);
    assert.equal(send(market, stake, 0), LIMIT);
    assert.equal(send(market, stake, BALANCE_UAIT), INSUFFICIENT_FUNDS);
    const before = market.balance(MINER);
    assert.equal(send(market, stake, MIN_STAKE_UAIT), OK);
    assert.equal(send(market, stake, 5), OK);
    assert.equal(market.balance(MINER), before - MIN_STAKE_UAIT - 5 - 2 * 5_000);
    assert.deepEqual(of(market), { ...NO_STAKE, stakedUait: MIN_STAKE_UAIT + 5 });
    assert.equal(send(market, unstake, 6), LIMIT);
    assert.equal(send(market, unstake, 0), LIMIT);
    assert.equal(send(market, unstake, MIN_STAKE_UAIT + 6), INSUFFICIENT_FUNDS);
  });

  it('comes back after the cooldown on an idle chain, and counts for nothing meanwhile', () => {
    const market = new Market();
    market.stake(MINER);
    assert.equal(send(market, unstake, MIN_STAKE_UAIT), OK);
    const { coolsUntilMs } = of(market);
    assert.deepEqual(of(market), { stakedUait: 0, coolingUait: MIN_STAKE_UAIT, coolsUntilMs });
    assert.ok(coolsUntilMs % MINUTE_MS === 0 && coolsUntilMs >= market.nowMs + COOLDOWN_MS);
    assert.ok(coolsUntilMs < market.nowMs + COOLDOWN_MS + MINUTE_MS);
    const open = {
      signer: sessionKey(CLIENT),
      miner: addressOfName(MINER),
      capUait: 10_000,
      expiresAtMs: market.nowMs + MINUTE_MS,
    };
    assert.equal(market.send(openAgreement, CLIENT, open).code, NOT_APPLICABLE);
    const before = market.balance(MINER);
    assert.equal(market.idleUntil(coolsUntilMs - 1), 0);
    assert.equal(market.idleUntil(Infinity), 1);
    assert.equal(market.balance(MINER), before + MIN_STAKE_UAIT);
    assert.deepEqual(of(market), NO_STAKE);
    assert.deepEqual(pendingWork(market.chain.tip), { now: false, atMs: null });
  });

  it('what cools already begins anew with what follows', () => {
    const market = new Market();
    market.stake(MINER, MIN_STAKE_UAIT + 10);
    assert.equal(send(market, unstake, 4), OK);
    const first = of(market).coolsUntilMs;
    market.commit([market.tx(unstake, MINER, { amountUait: 6 })], market.nowMs + 5 * MINUTE_MS);
    assert.deepEqual(of(market), {
      stakedUait: MIN_STAKE_UAIT,
      coolingUait: 10,
      coolsUntilMs: first + 5 * MINUTE_MS,
    });
    assert.equal(pendingWork(market.chain.tip).atMs, first + 5 * MINUTE_MS);
    market.idleUntil(Infinity);
    assert.deepEqual(of(market), { ...NO_STAKE, stakedUait: MIN_STAKE_UAIT });
  });

  it('outlasts every agreement that was opened on its word', () => {
    const market = new Market();
    market.stake(MINER);
    const id = market.open(CLIENT, MINER, 10_000, 60 * MINUTE_MS);
    assert.equal(send(market, unstake, MIN_STAKE_UAIT), OK);
    market.idleUntil((market.agreement(id)?.expiresAtMs ?? 0) + MINUTE_MS);
    assert.equal(market.agreement(id)?.state.name, 'closed');
    assert.equal(of(market).coolingUait, MIN_STAKE_UAIT);
  });
});
