/** The miner and the coordinator of a client, each as it is, on one chain. */
import assert from 'node:assert/strict';
import { equalBytes, toHex } from '../../../../src/bytes.ts';
import { getAccount } from '../../../../src/chain/accounts.ts';
import type { Offer } from '../../../../src/chain/market/offer.ts';
import type { WorkReceipt } from '../../../../src/chain/market/receipt.ts';
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
import type { Coordinator } from '../../../../src/compute/coordinator/coordinator.ts';
import type { Money } from '../../../../src/compute/coordinator/ports.ts';
import { workStreamPair } from '../../../../src/compute/stream-pair.ts';
import { nopLogger } from '../../../../src/log.ts';
import { nopRegister } from '../../../../src/metrics.ts';
import { createNativeSigner, nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { addressOfName } from '../../chain/modules/compute/market.ts';
import { requestOf } from '../coordinator/world.ts';
import { CLIENT, MemoryRows, World } from './world.ts';

/** @param worlds miners of one chain */
function moneyOf(worlds: readonly World[], name: string): Money {
  const [world = assert.fail()] = worlds;
  const { market } = world;
  const client = addressOfName(name);
  const { chain } = market;
  const nonce = (): number => getAccount(chain.tip.state, client).nonce;
  return {
    client,
    signAsAccount: (message) => ({ publicKey: signer(name).publicKey, signature: signer(name).sign(message) }),
    terms: () =>
      Promise.resolve({
        ...{ minCapUait: 10_000, minStakeUait: 1_000_000, maxTermMs: 3_600_000 },
        ...{ openFeeUait: 5_000, renewFeeUait: 1_000 },
      }),
    balanceUait: () => Promise.resolve(market.balance(name)),
    stakedUait: (miner) => Promise.resolve(getStake(chain.tip.state, miner).stakedUait),
    agreement: (id) => Promise.resolve(market.agreement(id) ?? null),
    head: () => Promise.resolve({ height: chain.tip.height, timeMs: market.nowMs }),
    prepareOpen: (fields) => {
      const { bytes } = chain.tx(openAgreement, name, nonce(), fields, 5_000);
      const agreement = agreementId(nativeCrypto, chain.genesis.chain, client, nonce());
      return Promise.resolve({ agreement, transaction: bytes });
    },
    send: (transaction) => {
      const tx = decodeTransaction(nativeCrypto, transaction);
      if (tx.nonce >= nonce() && !world.pool.some(({ id }) => equalBytes(id, tx.id))) {
        world.pool.push(tx);
        for (const each of worlds) each.tellOpening(client, tx.id, false);
        world.mine();
        for (const each of worlds) each.tellOpening(client, tx.id, true);
        for (const each of worlds) each.tellHead();
      }
      return Promise.resolve({ height: chain.tip.height });
    },
    prepareRenewal: (agreement, renewal) => {
      const renewed =
        'amountUait' in renewal
          ? chain.tx(topupAgreement, name, nonce(), { agreement, ...renewal }, 5_000)
          : chain.tx(extendAgreement, name, nonce(), { agreement, ...renewal }, 5_000);
      return Promise.resolve(renewed.bytes);
    },
    prepareClose: () => assert.fail('nothing is left to be closed'),
  };
}

/** A client's own, that finds all these miners. */
function coordinatorOf(worlds: readonly World[], name = CLIENT): Promise<Coordinator> {
  const [world = assert.fail()] = worlds;
  const find = ({ miner }: Offer): World =>
    worlds.find((each) => equalBytes(signer(each.name).publicKey, miner)) ?? assert.fail('no such miner');
  let count = 0;
  return createCoordinator({
    chain: world.market.chain.genesis.chain,
    crypto: nativeCrypto,
    createSigner: createNativeSigner,
    miners: {
      offers: () => worlds.flatMap(({ offers }) => offers.slice(-1)),
      onOffers: () => () => undefined,
      quote: async (offer, request) => encodeQuote(await find(offer).miner.quote(decodeQuoteRequest(request), name)),
      open: (offer) => {
        const [client, miner] = workStreamPair(world.clock);
        find(offer)
          .miner.work(miner, name)
          .catch(() => undefined);
        return Promise.resolve(client);
      },
    },
    money: moneyOf(worlds, name),
    rows: new MemoryRows(),
    clock: world.clock,
    random: (bytes) => nativeCrypto.hash(new TextEncoder().encode(`${name} ${count++}`)).slice(0, bytes),
    log: nopLogger,
    metrics: nopRegister,
  });
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
      const coordinator = await coordinatorOf([world]);
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

  it('two miners that share one device serve two clients, each with its own coordinator', async () => {
    const first = new World();
    const worlds = [first, new World('account-2', first)];
    const device = new Device();
    for (const world of worlds) {
      world.slots = 1;
      world.script = async (job, io) => {
        await device.take();
        const text = new TextDecoder().decode(job.parts[0]?.data).toUpperCase();
        for (const word of text.split(/(?<= )/)) await io.emit(new TextEncoder().encode(word));
        device.free();
        return { finish: 'stop', inputTokens: 1, outputTokens: 2 };
      };
      await world.start();
    }
    await first.until('offers', () => {
      first.clock.advance(1);
      return worlds.every(({ offers }) => offers.length > 0);
    });
    const coordinators = await Promise.all([CLIENT, 'account-3'].map((name) => coordinatorOf(worlds, name)));
    const receipts: WorkReceipt[] = [];
    for (let round = 0; round < 2; round++) {
      device.hold();
      const jobs = await Promise.all(coordinators.map((each) => each.submit(requestOf())));
      await first.until('both at work, one at the device', () => {
        // Quotes that were not taken hold the other's slot for five seconds.
        first.clock.advance(25);
        return device.waiting === 2;
      });
      device.free();
      await first.until('the end of both', () => {
        first.clock.advance(1);
        return coordinators.every((each, i) => each.job(jobs[i]?.id ?? assert.fail())?.endedAtMs != null);
      });
      for (const [i, each] of coordinators.entries()) {
        const id = jobs[i]?.id ?? assert.fail();
        assert.equal(each.job(id)?.state, 'completed', JSON.stringify(each.why(id)));
        receipts.push(each.receipt(id)?.receipt.receipt ?? assert.fail('no receipt'));
      }
    }
    assert.equal(device.most, 1, 'never two at once');
    assert.equal(new Set(receipts.map(({ miner }) => toHex(miner))).size, 2, 'both miners worked');
    assert.equal(new Set(receipts.map(({ client }) => toHex(client))).size, 2, 'for both clients');
    for (const each of worlds) await each.settle();
    first.clock.advance(11 * 60_000);
    for (const each of worlds) await each.settle();
    for (const agreement of new Set(receipts.map((receipt) => receipt.agreement))) {
      const dueUait = receipts
        .filter((receipt) => equalBytes(receipt.agreement, agreement))
        .reduce((sum, receipt) => sum + receipt.dueUait, 0);
      const closed = first.agreement(agreement);
      assert.deepEqual([closed.state.name, closed.paidUait], ['closed', dueUait]);
    }
    for (const each of coordinators) await each.close();
    for (const { miner } of worlds) await miner.close();
  });
});

/** What one job at a time can use: the others wait. */
class Device {
  most = 0;
  #using = 0;
  readonly #waiting: (() => void)[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Something else uses it. */
  hold(): void {
    this.#using++;
  }

  async take(): Promise<void> {
    if (this.#using > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#using++;
    this.most = Math.max(this.most, this.#using);
  }

  free(): void {
    this.#using--;
    this.#waiting.shift()?.();
  }
}
