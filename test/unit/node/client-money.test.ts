import assert from 'node:assert/strict';
import { addressOf } from '../../../src/chain/address.ts';
import { agreementId, getAgreement } from '../../../src/chain/modules/compute/agreement.ts';
import { stake } from '../../../src/chain/modules/compute/stake.ts';
import { decodeTransaction } from '../../../src/chain/tx.ts';
import type { Money } from '../../../src/compute/coordinator/ports.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { MoneyModules } from '../../../src/node/client-money.ts';
import { createNodeMoney, NONCE_KEPT_MS } from '../../../src/node/client-money.ts';
import { buildTransaction } from '../../../src/sdk/build.ts';
import { signer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { FakeNode } from '../rpc/fake-node.ts';

const miner = addressOf(nativeCrypto, signer('account-2').publicKey);
const never = new AbortController().signal;

describe("a node's money for jobs", () => {
  let node: FakeNode;
  let clock: ManualClock;
  let money: Money;

  beforeEach(() => {
    node = new FakeNode();
    const { genesis } = node;
    const context = { ...genesis, hasher: nativeCrypto, signer: signer('account-2') };
    node.produce([buildTransaction(context, { nonce: 0, validUntilHeight: 1000 }, stake, { amountUait: 1_000_000 })]);
    clock = manualClock();
    money = createNodeMoney({ chain: chainOf(node), crypto: nativeCrypto, signer: signer('account-3'), clock });
  });

  const open = (changes = {}) =>
    money.prepareOpen({
      ...{ miner, signer: signer('session').publicKey, capUait: 10_000 },
      ...{ expiresAtMs: node.genesis.timeMs + 600_000, validUntilHeight: 20, ...changes },
    });

  const failure = async (act: Promise<unknown>): Promise<unknown> => {
    try {
      await act;
      return null;
    } catch (error) {
      return isNodeError(error) ? error.code : error;
    }
  };

  it('tells what the chain says', async () => {
    assert.equal((await money.head()).height, 1);
    assert.equal(await money.stakedUait(miner), 1_000_000);
    const { minStakeUait, minCapUait, openFeeUait } = await money.terms();
    assert(minStakeUait <= 1_000_000 && minCapUait <= 10_000 && openFeeUait >= 5_000);
    assert.equal(await money.agreement(new Uint8Array(32)), null);
  });

  it('opens an agreement whose id was known before, and closes it', async () => {
    const { agreement, transaction } = await open();
    assert.deepEqual(agreement, agreementId(nativeCrypto, node.genesis.chain, money.client, 0));
    const sent = money.send(transaction, never);
    await waitFor('the pool', () => node.mempool.size === 1);
    node.produce();
    assert.deepEqual(await sent, { height: 2 });
    assert.equal((await money.agreement(agreement))?.capUait, 10_000);
    // Again, as after a restart.
    assert.deepEqual(await money.send(transaction, never), { height: 2 });
    for (const renewal of [{ amountUait: 5_000 }, { expiresAtMs: node.genesis.timeMs + 1_200_000 }]) {
      const renewed = money.send(await money.prepareRenewal(agreement, renewal), never);
      await waitFor('the pool', () => node.mempool.size === 1);
      node.produce();
      await renewed;
    }
    const { capUait, expiresAtMs } = (await money.agreement(agreement)) ?? assert.fail();
    assert.equal(capUait, 15_000);
    assert.ok(expiresAtMs - node.genesis.timeMs >= 1_200_000);
    assert.equal(await failure(money.prepareRenewal(agreement, { amountUait: 2 ** 52 })), 'INSUFFICIENT_FUNDS');
    const closing = money.send(await money.prepareClose(agreement), never);
    await waitFor('the pool', () => node.mempool.size === 1);
    node.produce();
    await closing;
    assert.equal(getAgreement(node.chain.tip().state, agreement)?.state.name, 'closing');
  });

  it('gives no nonce twice, and gives again what was not used', async () => {
    const nonceOf = async () => decodeTransaction(nativeCrypto, (await open()).transaction).nonce;
    assert.deepEqual([await nonceOf(), await nonceOf(), await nonceOf()], [0, 1, 2]);
    clock.advance(NONCE_KEPT_MS);
    assert.equal(await nonceOf(), 0);
  });

  it('gives no nonce of a transaction that is on its way, even while the pool does not have it', async () => {
    const { agreement, transaction } = await open();
    const tx = decodeTransaction(nativeCrypto, transaction);
    const sent = money.send(transaction, never);
    await waitFor('the pool', () => node.mempool.size === 1);
    clock.advance(NONCE_KEPT_MS);
    node.mempool.onCommitted([tx], { ...node.poolView, account: () => ({ balanceUait: 10 ** 9, nonce: 0 }) });
    assert.equal(node.mempool.size, 0);
    const other = await open();
    assert.notDeepEqual(other.agreement, agreement);
    assert.equal(decodeTransaction(nativeCrypto, other.transaction).nonce, 1);
    await waitFor('the pool again', () => node.mempool.size === 1);
    node.produce();
    await sent;
  });

  it('sends again what the pool forgot', async () => {
    const { transaction } = await open();
    const sent = money.send(transaction, never);
    await waitFor('the pool', () => node.mempool.size === 1);
    const [tx] = [...node.mempool.pending()];
    assert(tx);
    const submitted = node.submitted;
    node.mempool.onCommitted([tx], { ...node.poolView, account: () => ({ balanceUait: 10 ** 9, nonce: 0 }) });
    clock.advance(1_000);
    await waitFor('another submission', () => node.submitted > submitted);
    node.produce();
    await sent;
  });

  it('says why a transaction is not and will not be final', async () => {
    const poor = createNodeMoney({ chain: chainOf(node), crypto: nativeCrypto, signer: signer('nobody'), clock });
    assert.equal(
      await failure(
        poor.prepareOpen({
          ...{ miner, signer: signer('session').publicKey, capUait: 10_000 },
          ...{ expiresAtMs: node.genesis.timeMs + 600_000, validUntilHeight: 20 },
        }),
      ),
      'INSUFFICIENT_FUNDS',
    );
    const { transaction: late } = await open({ validUntilHeight: 1 });
    assert.equal(await failure(money.send(late, never)), 'EXPIRED');
    // Longer than any stake lasts.
    clock.advance(NONCE_KEPT_MS);
    const { transaction: long } = await open({ expiresAtMs: node.genesis.timeMs + 10 ** 12 });
    const failed = failure(money.send(long, never));
    await waitFor('the pool', () => node.mempool.size === 1);
    node.produce();
    assert.equal(await failed, 'TX_REJECTED');
    const gone = new AbortController();
    clock.advance(NONCE_KEPT_MS);
    const { transaction: waiting } = await open();
    const left = money.send(waiting, gone.signal).catch((error: unknown) => error);
    await waitFor('the pool', () => node.mempool.size === 1);
    gone.abort(new Error('no longer'));
    assert.equal(((await left) as Error).message, 'no longer');
    assert.equal(node.listeners, 0);
  });
});

/** What the money needs of a running chain. */
function chainOf(node: FakeNode): MoneyModules['chain'] {
  const { chain, genesis, mempool, pool } = node;
  const ledger = {
    get tip() {
      const { height, state } = chain.tip();
      return { height, state, timeMs: node.applied.at(-1)?.block.header.timeMs ?? genesis.timeMs };
    },
    store: { transaction: chain.transaction, receiptAt: chain.receiptAt },
  };
  const admission = { submit: pool.submit };
  const { onCommit } = chain;
  return { genesis, pool: mempool, ledger, admission, onCommit } as unknown as MoneyModules['chain'];
}
