import assert from 'node:assert/strict';
import { duplicateVote } from '../../../src/chain/evidence.ts';
import { MAX_ALARM_MS } from '../../../src/engine/pacer.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

const INTERVAL_MS = 2_000;
const LINGER_MS = 10;

describe('pace of blocks', () => {
  let node: NodeUnderTest;

  beforeEach(() => {
    node = new NodeUnderTest({ powers: [1], params: { min_block_interval_ms: INTERVAL_MS } });
  });

  afterEach(() => node.stop());

  const send = (nonce: number) =>
    node.chain.admission.submit([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce })], 'client');
  const height = (): number => node.chain.ledger.tip.height;

  it('no block without a reason', async () => {
    await node.start();
    await node.advance(MAX_ALARM_MS);
    assert.equal(height(), 0);
    assert.equal(node.chain.engine.machine.step, 'idle');
  });

  it('a lone transaction waits a moment for company', async () => {
    await node.start();
    await send(0);
    await settle();
    assert.equal(height(), 0);
    await node.advance(LINGER_MS);
    assert.equal(height(), 1);
  });

  it('the next block comes when the least interval is over, and not before', async () => {
    await node.start();
    await send(0);
    await node.advance(LINGER_MS);
    await send(1);
    await node.advance(INTERVAL_MS - 100);
    assert.equal(height(), 1);
    await node.advance(100);
    assert.equal(height(), 2);
    const [first, second] = [node.store.block(1), node.store.block(2)];
    assert.ok(first && second && second.header.timeMs - first.header.timeMs >= INTERVAL_MS);
  });

  it('what no block can hold yet wakes nobody', async () => {
    await node.start();
    await send(1);
    await node.advance(60_000);
    assert.equal(node.chain.engine.machine.step, 'idle');
    await send(0);
    await node.advance(LINGER_MS);
    assert.equal(height(), 1);
    assert.equal(node.store.block(1)?.txs.length, 2);
  });

  it('evidence is a reason, and what it changes takes effect without traffic', async () => {
    node = new NodeUnderTest({ powers: [9, 1], params: { min_block_interval_ms: INTERVAL_MS } });
    await node.start();
    const [a, b] = [1, 2].map((n) => node.vote(1, 'prevote', 0, new Uint8Array(32).fill(n)));
    assert.ok(a && b);
    assert.equal(await node.chain.handlers.gossip.evidence(duplicateVote(a, b), 'peer'), 'OK');
    for (let i = 0; i < 40 && height() < 2; i++) await node.advance(INTERVAL_MS);
    assert.equal(height(), 2);
    assert.equal(node.store.block(1)?.evidence.length, 1);
    assert.equal(node.chain.ledger.validators.current.validators.length, 1);
    await node.advance(MAX_ALARM_MS);
    assert.equal(height(), 2);
  });
});
