import assert from 'node:assert/strict';
import { getAccount } from '../../../src/chain/accounts.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { duplicateVote } from '../../../src/chain/evidence.ts';
import { openAgreement } from '../../../src/chain/modules/compute/agreement-client.ts';
import { stake } from '../../../src/chain/modules/compute/stake.ts';
import { LEAST_BLOCK } from '../../../src/engine/capacity.ts';
import { MAX_ALARM_MS } from '../../../src/engine/pacer.ts';
import { makeTransfer, signer } from '../../util/chain-fixture.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { buildTransaction } from '../../../src/sdk/build.ts';
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

  /** One transaction is pending and its block due, while signatures of others are being checked. */
  async function dueWhileVerifying(
    others = 1,
  ): Promise<{ readonly proposed: () => number[]; readonly verified: () => void }> {
    await node.start();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    node.verifier.gate = promise;
    const coming = [...Array(others).keys()].map((i) =>
      makeTransfer(node.genesis, { from: `account-${1 + (i % 3)}`, to: 'account-0', nonce: Math.floor(i / 3) }),
    );
    void node.chain.admission.submit(coming, 'client');
    node.verifier.gate = Promise.resolve();
    await send(0);
    await node.advance(LINGER_MS);
    const verified = (): void => {
      resolve(undefined);
    };
    return { proposed: () => node.network.of('proposal').map(({ txIds }) => txIds.length), verified };
  }

  it('other chains of the node rest for a block from its first transaction until it is final, not while the interval lasts', async () => {
    await node.start();
    const other = node.rightOfWay.share();
    other.begin(500);
    let given = 0;
    const gives = async (): Promise<boolean> => {
      const before = given;
      void other.give().then(() => given++);
      await settle();
      return given > before;
    };
    assert.ok(await gives());
    await send(0);
    assert.equal(await gives(), false);
    await node.advance(LINGER_MS);
    assert.equal(height(), 1);
    assert.equal(given, 2);
    await send(1);
    assert.ok(await gives());
  });

  it('a block waits for what is being verified meanwhile, and holds it', async () => {
    const { proposed, verified } = await dueWhileVerifying();
    assert.deepEqual(proposed(), []);
    verified();
    await settle();
    assert.deepEqual(proposed(), [2]);
    // Nobody has to ask for it.
    const topics = node.network.published
      .map(({ topic }) => topic)
      .filter((topic) => topic === 'tx' || topic === 'proposal');
    assert.deepEqual(topics, ['tx', 'tx', 'proposal']);
  });

  it('however much that is: it holds as many as it may, and the rest does not wait behind a block without them', async () => {
    const { proposed, verified } = await dueWhileVerifying(LEAST_BLOCK + 100);
    assert.deepEqual(proposed(), []);
    verified();
    await settle();
    assert.deepEqual(proposed(), [LEAST_BLOCK]);
  });

  it('bound: but no longer than 100 ms', async () => {
    const { proposed, verified } = await dueWhileVerifying();
    await node.advance(99);
    assert.deepEqual(proposed(), []);
    await node.advance(1);
    assert.deepEqual(proposed(), [1]);
    verified();
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

  it('a block holds what an interval takes; the rest comes in the next', async () => {
    await node.start();
    const many = ['account-0', 'account-1', 'account-2'].flatMap((from) =>
      [...Array(256).keys()].map((nonce) => makeTransfer(node.genesis, { from, to: 'account-3', nonce })),
    );
    await node.chain.admission.submit(many, 'client');
    await node.advance(LINGER_MS);
    await node.advance(INTERVAL_MS);
    const held = [1, 2].map((at) => node.store.block(at)?.txs.length);
    assert.deepEqual(held, [LEAST_BLOCK, many.length - LEAST_BLOCK]);
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

  it('a deadline wakes an idle chain, and another one a block in three seconds until the money is back', async () => {
    await node.start();
    const { genesis } = node;
    const context = (name: string) => ({ ...genesis, hasher: nativeCrypto, signer: signer(name) });
    const options = { nonce: 0, validUntilHeight: 1_000, leastFeeUait: 5_000 };
    const miner = addressOf(nativeCrypto, signer('account-1').publicKey);
    const client = addressOf(nativeCrypto, signer('account-0').publicKey);
    const staked = buildTransaction(context('account-1'), options, stake, { amountUait: 1_000_000 });
    await node.chain.admission.submit([staked], 'client');
    await node.advance(LINGER_MS);
    const expiresAtMs = node.chain.ledger.tip.timeMs + 10 * 60_000;
    const open = { signer: signer('session').publicKey, miner, capUait: 10_000, expiresAtMs };
    const opened = buildTransaction(context('account-0'), options, openAgreement, open);
    await node.chain.admission.submit([opened], 'client');
    await node.advance(INTERVAL_MS);
    assert.equal(height(), 2);
    const before = getAccount(node.chain.ledger.tip.state, client).balanceUait;
    await node.advance(9 * 60_000);
    assert.equal(height(), 2);
    await node.advance(2 * 60_000);
    assert.equal(height(), 2 + 1);
    for (let block = 1; block <= 20; block++) {
      await node.advance(2_900);
      assert.equal(height(), 2 + block);
      await node.advance(100);
      assert.equal(height(), 2 + 1 + block);
    }
    assert.equal(getAccount(node.chain.ledger.tip.state, client).balanceUait, before + 10_000);
    await node.advance(MAX_ALARM_MS);
    assert.equal(height(), 2 + 1 + 20);
    assert.equal(node.chain.engine.machine.step, 'idle');
  });
});
