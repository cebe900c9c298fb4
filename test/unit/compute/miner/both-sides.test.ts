/** The miner and the coordinator of a client, each as it is, on one chain. */
import assert from 'node:assert/strict';
import { equalBytes } from '../../../../src/bytes.ts';
import { getAccount } from '../../../../src/chain/accounts.ts';
import { decodeQuoteRequest, encodeQuote } from '../../../../src/chain/market/quote.ts';
import { agreementId } from '../../../../src/chain/modules/compute/agreement.ts';
import {
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../../../../src/chain/modules/compute/agreement-client.ts';
import { getStake } from '../../../../src/chain/modules/compute/stake.ts';
import { decodeTransaction } from '../../../../src/chain/tx.ts';
import { createCoordinator } from '../../../../src/compute/coordinator/create-coordinator.ts';
import type { Money } from '../../../../src/compute/coordinator/ports.ts';
import { workStreamPair } from '../../../../src/compute/stream-pair.ts';
import { nopLogger } from '../../../../src/log.ts';
import { nopRegister } from '../../../../src/metrics.ts';
import { createNativeSigner, nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { addressOfName } from '../../chain/modules/compute/market.ts';
import { requestOf } from '../coordinator/world.ts';
import { CLIENT, MemoryRows, World } from './world.ts';

function moneyOf(world: World): Money {
  const { market } = world;
  const client = addressOfName(CLIENT);
  const { chain } = market;
  return {
    client,
    signAsAccount: (message) => ({ publicKey: signer(CLIENT).publicKey, signature: signer(CLIENT).sign(message) }),
    terms: () =>
      Promise.resolve({ minCapUait: 10_000, minStakeUait: 1_000_000, openFeeUait: 5_000, maxTermMs: 3_600_000 }),
    balanceUait: () => Promise.resolve(market.balance(CLIENT)),
    stakedUait: (miner) => Promise.resolve(getStake(chain.tip.state, miner).stakedUait),
    agreement: (id) => Promise.resolve(market.agreement(id) ?? null),
    head: () => Promise.resolve({ height: chain.tip.height, timeMs: market.nowMs }),
    prepareOpen: (fields) => {
      const { nonce } = getAccount(chain.tip.state, client);
      const { bytes } = chain.tx(openAgreement, CLIENT, nonce, fields, 5_000);
      const agreement = agreementId(nativeCrypto, chain.genesis.chain, client, nonce);
      return Promise.resolve({ agreement, transaction: bytes });
    },
    send: (transaction) => {
      const tx = decodeTransaction(nativeCrypto, transaction);
      const isNew = tx.nonce >= getAccount(chain.tip.state, client).nonce;
      if (isNew && !world.pool.some(({ id }) => equalBytes(id, tx.id))) {
        world.pool.push(tx);
        world.tellOpening(client, tx.id, false);
        world.mine();
        world.tellOpening(client, tx.id, true);
      }
      return Promise.resolve({ height: chain.tip.height });
    },
    prepareRenewal: (agreement, renewal) => {
      const { nonce } = getAccount(chain.tip.state, client);
      const renewed =
        'amountUait' in renewal
          ? chain.tx(topupAgreement, CLIENT, nonce, { agreement, ...renewal }, 5_000)
          : chain.tx(extendAgreement, CLIENT, nonce, { agreement, ...renewal }, 5_000);
      return Promise.resolve(renewed.bytes);
    },
    prepareClose: () => assert.fail('nothing is left to be closed'),
  };
}

describe('miner and coordinator', () => {
  for (const agreement of ['single', 'session'] as const) {
    it(`do a job under a ${agreement} agreement, to a receipt of both and the miner’s money`, async () => {
      const world = new World();
      await world.start();
      const text = 'Vienna is the capital of Austria. '.repeat(80);
      world.script = async (_job, io) => {
        for (const word of text.split(/(?<= )/)) await io.emit(new TextEncoder().encode(word));
        return { finish: 'stop', inputTokens: 1, outputTokens: 2 };
      };
      world.clock.advance(0);
      await world.until('an offer', () => world.offers.length > 0);
      let count = 0;
      const coordinator = await createCoordinator({
        chain: world.market.chain.genesis.chain,
        crypto: nativeCrypto,
        createSigner: createNativeSigner,
        miners: {
          offers: () => world.offers.slice(-1),
          onOffers: () => () => undefined,
          quote: async (_, request) => encodeQuote(await world.miner.quote(decodeQuoteRequest(request), 'peer')),
          open: () => {
            const [client, miner] = workStreamPair(world.clock);
            world.miner.work(miner, 'peer').catch(() => undefined);
            return Promise.resolve(client);
          },
        },
        money: moneyOf(world),
        rows: new MemoryRows(),
        clock: world.clock,
        random: (bytes) => nativeCrypto.hash(new TextEncoder().encode(`random ${count++}`)).slice(0, bytes),
        log: nopLogger,
        metrics: nopRegister,
      });
      const { id } = await coordinator.submit(requestOf({ agreement }));
      await world.until('the end of the job', () => {
        world.clock.advance(1);
        return coordinator.job(id)?.endedAtMs != null;
      });
      const job = coordinator.job(id) ?? assert.fail();
      assert.deepEqual([job.state, job.outputBytes], ['completed', text.length], JSON.stringify(coordinator.why(id)));
      const { receipt } = coordinator.receipt(id) ?? assert.fail('no receipt');
      await world.settle();
      world.clock.advance(11 * 60_000);
      await world.settle();
      const closed = world.agreement(job.agreement ?? assert.fail());
      assert.deepEqual([closed.state.name, closed.paidUait], ['closed', receipt.receipt.dueUait]);
      await coordinator.close();
      await world.miner.close();
    });
  }
});
