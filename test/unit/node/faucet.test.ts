import assert from 'node:assert/strict';
import type { Address } from '../../../src/bytes.ts';
import { getAccount } from '../../../src/chain/accounts.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { FaucetModules } from '../../../src/node/faucet.ts';
import { createFaucet, MAX_PAID } from '../../../src/node/faucet.ts';
import type { FaucetApi } from '../../../src/rpc/api.ts';
import { signer } from '../../util/chain-fixture.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { FakeNode } from '../rpc/fake-node.ts';

const AMOUNT_UAIT = 1_000;
const WAIT_MS = 60_000;

const stranger = (index: number): Address => Uint8Array.from({ length: 20 }, (_, i) => (index >> (8 * (i % 4))) & 255);

const code = async (act: Promise<unknown>): Promise<unknown> => {
  try {
    await act;
    return null;
  } catch (error) {
    return isNodeError(error) ? error.code : error;
  }
};

describe('a faucet', () => {
  let node: FakeNode;
  let clock: ManualClock;
  let faucet: FaucetApi;

  const open = (changes: Partial<FaucetModules> = {}): FaucetApi => {
    const { chain, genesis, mempool, pool } = node;
    const parts = {
      ...{ genesis, pool: mempool, admission: { submit: pool.submit } },
      ledger: {
        get tip() {
          return chain.tip();
        },
      },
    };
    return createFaucet({
      chain: parts as unknown as FaucetModules['chain'],
      ...{ crypto: nativeCrypto, signer: signer('account-3'), clock, amountUait: AMOUNT_UAIT, waitMs: WAIT_MS },
      ...changes,
    });
  };

  beforeEach(() => {
    node = new FakeNode();
    clock = manualClock();
    faucet = open();
  });

  it('pays several who ask at once by a transfer each', async () => {
    const ids = await Promise.all([1, 2, 3].map((i) => faucet.pay(stranger(i))));
    const txs = ids.map((id) => node.mempool.get(id));
    assert.deepEqual(
      txs.map((tx) => tx?.nonce),
      [0, 1, 2],
    );
    node.produce(txs.filter((tx) => tx !== undefined));
    for (const i of [1, 2, 3]) assert.equal(getAccount(node.chain.tip().state, stranger(i)).balanceUait, AMOUNT_UAIT);
  });

  it('pays an address again after the wait, and tells how long that is', async () => {
    await faucet.pay(stranger(1));
    clock.advance(WAIT_MS - 1_000);
    await assert.rejects(faucet.pay(stranger(1)), (error) => isNodeError(error) && error.data['retry_after_s'] === 1);
    await faucet.pay(stranger(2));
    clock.advance(1_000);
    await faucet.pay(stranger(1));
  });

  it('says that it is empty, and then does not count as asked', async () => {
    const { state } = node.chain.tip();
    const own = addressOf(nativeCrypto, signer('account-3').publicKey);
    const greedy = open({ amountUait: getAccount(state, own).balanceUait });
    for (let i = 0; i < 2; i++) assert.equal(await code(greedy.pay(stranger(1))), 'INSUFFICIENT_FUNDS');
  });

  it('bound: pays so many addresses within the wait', async () => {
    const codes: unknown[] = [];
    const poor = open({ amountUait: 10 ** 15 });
    for (let i = 0; i < MAX_PAID; i++) void poor.pay(stranger(i)).catch(() => undefined);
    codes.push(await code(poor.pay(stranger(MAX_PAID))));
    assert.deepEqual(codes, ['RATE_LIMITED']);
  });
});
