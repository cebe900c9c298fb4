import assert from 'node:assert/strict';
import { addressOf } from '../../../src/chain/address.ts';
import { genesisHead } from '../../../src/chain/light.ts';
import { stake } from '../../../src/chain/modules/compute/stake.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import type { SigningContext } from '../../../src/sdk/build.ts';
import { buildTransaction } from '../../../src/sdk/build.ts';
import type { Client } from '../../../src/sdk/client.ts';
import { createClient } from '../../../src/sdk/client.ts';
import { LightClient } from '../../../src/sdk/light-client.ts';
import type { ClientMoney } from '../../../src/sdk/market-money.ts';
import { createClientMoney } from '../../../src/sdk/market-money.ts';
import { createMarketReads } from '../../../src/sdk/market-reads.ts';
import { createTurns } from '../../../src/sdk/market-turns.ts';
import { signer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';

const MINER = addressOf(nativeCrypto, signer('account-1').publicKey);
const SESSION = signer('session').publicKey;
const NEVER = new AbortController().signal;

describe('money of a client', () => {
  let node: FakeNode;
  let server: RpcServer;
  let client: Client;
  const opened: ClientMoney[] = [];

  beforeEach(async () => {
    node = new FakeNode({ timeMs: Date.now() - 5000 });
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
    client = createClient({ url: server.url });
    node.autoCommit = true;
    const transaction = buildTransaction(signing('account-1'), { nonce: 0, validUntilHeight: 10 }, stake, {
      amountUait: 2_000_000,
    });
    await client.sendTransaction(transaction.bytes);
  });

  afterEach(async () => {
    for (const money of opened.splice(0)) money.close();
    await server.close();
  });

  function signing(name: string): SigningContext {
    const { chain, params } = node.genesis;
    return { hasher: nativeCrypto, chain, params, signer: signer(name) };
  }

  function moneyOf(name: string, light: LightClient | null = null, over: Partial<Client> = {}): ClientMoney {
    const reads = createMarketReads(client, light);
    const money = createClientMoney({ client: { ...client, ...over }, reads, signing: signing(name) });
    opened.push(money);
    return money;
  }

  function follower(): LightClient {
    const rules = { crypto: nativeCrypto, chain: node.genesis.chain, trustingPeriodMs: null, maxClockDriftMs: 60_000 };
    return new LightClient({ rules, root: genesisHead(nativeCrypto, node.genesis), sources: [client] });
  }

  const fields = (capUait = 50_000, validUntilHeight = 100) => ({
    signer: SESSION,
    miner: MINER,
    capUait,
    expiresAtMs: Date.now() + 600_000,
    validUntilHeight,
  });

  for (const isProven of [false, true]) {
    it(`opens, sees and closes an agreement, ${isProven ? 'trusting no node' : 'believing the node'}`, async () => {
      const money = moneyOf('account-0', isProven ? follower() : null);
      assert.equal(await money.stakedUait(MINER), 2_000_000);
      const terms = await money.terms();
      const { openFeeUait, renewFeeUait, ...least } = terms;
      assert.deepEqual(least, { minCapUait: 10_000, minStakeUait: 1_000_000, maxTermMs: 3_600_000 });
      assert.equal(openFeeUait, 5000);
      const before = await money.balanceUait();
      const { agreement, transaction } = await money.prepareOpen(fields());
      assert.equal(await money.agreement(agreement), null);
      const { height } = await money.send(transaction, NEVER);
      assert.deepEqual(await money.send(transaction, NEVER), { height });
      const found = await money.agreement(agreement);
      assert.deepEqual([found?.capUait, found?.state.name, found?.signer], [50_000, 'open', SESSION]);
      assert.equal(await money.balanceUait(), before - 50_000 - 5000);
      await money.send(await money.prepareRenewal(agreement, { amountUait: 10_000 }), NEVER);
      assert.equal(await money.balanceUait(), before - 60_000 - 5000 - renewFeeUait, 'what a renewal is said to cost');
      await money.send(
        await money.prepareRenewal(agreement, { expiresAtMs: (found?.expiresAtMs ?? 0) + 60_000 }),
        NEVER,
      );
      const renewed = await money.agreement(agreement);
      assert.deepEqual([renewed?.capUait, renewed?.expiresAtMs], [60_000, (found?.expiresAtMs ?? 0) + 60_000]);
      await money.send(await money.prepareClose(agreement), NEVER);
      assert.equal((await money.agreement(agreement))?.state.name, 'closing');
      const head = await money.head();
      assert.deepEqual([head.height, head.timeMs], [5, node.applied[4]?.block.header.timeMs]);
    });
  }

  it('begins at the genesis', async () => {
    const empty = new FakeNode({ timeMs: 1_800_000_000_000 });
    const other = await startRpcServer(
      { listen: { host: '127.0.0.1', port: 0 } },
      { api: fakeNode(empty), log: nopLogger },
    );
    try {
      const reads = createMarketReads(createClient({ url: other.url }), null);
      assert.deepEqual(await reads.head(), { height: 0, timeMs: 1_800_000_000_000 });
    } finally {
      await other.close();
    }
  });

  it('says why a transaction will not be final', async () => {
    const money = moneyOf('account-0');
    const poor = await money.prepareOpen(fields(2_000_000_000));
    await assert.rejects(money.send(poor.transaction, NEVER), { code: 'INSUFFICIENT_FUNDS' });
    const stranger = await money.prepareOpen({ ...fields(), miner: addressOf(nativeCrypto, SESSION) });
    await assert.rejects(money.send(stranger.transaction, NEVER), (error) => {
      return error instanceof NodeError && error.code === 'TX_REJECTED' && error.data['reason'] === 'NOT_APPLICABLE';
    });
    const late = await money.prepareOpen(fields(50_000, 1));
    await assert.rejects(money.send(late.transaction, NEVER), { code: 'EXPIRED' });
    const gone = new AbortController();
    node.autoCommit = false;
    const waiting = money.send((await money.prepareOpen(fields())).transaction, gone.signal);
    await waitFor('the pool has it', () => node.mempool.size > 0);
    gone.abort(new NodeError('CANCELED', 'no more'));
    await assert.rejects(waiting, { code: 'CANCELED' });
  });

  it('sends again what a node forgot, and over a time without one', async () => {
    node.autoCommit = false;
    let isDown = true;
    let offered = 0;
    let forgets = true;
    const money = moneyOf('account-0', null, {
      sendTransaction: (bytes, mode) => {
        if (isDown) return Promise.reject(new NodeError('UNREACHABLE', 'nobody'));
        offered++;
        return client.sendTransaction(bytes, mode);
      },
      transaction: async (hash) => {
        const answer = await client.transaction(hash);
        const isForgotten = forgets && offered > 0;
        if (isForgotten) forgets = false;
        return isForgotten ? { ...answer, status: 'unknown' } : answer;
      },
    });
    const { transaction } = await money.prepareOpen(fields());
    const sent = money.send(transaction, NEVER);
    isDown = false;
    await waitFor('it is sent again', () => offered === 2);
    node.produce();
    assert.deepEqual(await sent, { height: 2 });
  });

  it('gives each agreement a nonce of its own, asked for at once', async () => {
    const money = moneyOf('account-0');
    const ids = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const { agreement, transaction } = await money.prepareOpen(fields());
        await money.send(transaction, NEVER);
        return agreement;
      }),
    );
    for (const id of ids) assert.equal((await money.agreement(id))?.state.name, 'open');
  });
});

describe('turns at an account', () => {
  it('are taken one after the other, and end when the transaction is sent', async () => {
    const seen: string[] = [];
    const turns = createTurns(async () => {
      seen.push('in');
      await Promise.resolve();
      return () => seen.push('out');
    });
    const id = Uint8Array.of(1);
    const first = await turns.take();
    first.keepFor(id);
    const second = turns.take();
    turns.end(Uint8Array.of(2));
    assert.deepEqual(seen, ['in']);
    turns.end(id);
    first.end();
    (await second).end();
    assert.deepEqual(seen, ['in', 'out', 'in', 'out']);
    const third = await turns.take();
    turns.close();
    third.end();
    assert.equal(seen.length, 6);
    await assert.rejects(turns.take(), { code: 'CANCELED' });
    assert.equal(seen.length, 8);
  });

  it('bound: end after a time, and pass by a failure', async () => {
    let fails = true;
    const turns = createTurns(
      () => (fails ? Promise.reject(new NodeError('TIMEOUT', 'busy')) : Promise.resolve(() => undefined)),
      20,
    );
    await assert.rejects(turns.take(), { code: 'TIMEOUT' });
    fails = false;
    await turns.take();
    (await turns.take()).end();
  });
});
