import assert from 'node:assert/strict';
import type { Transaction } from '../../../src/chain/tx.ts';
import { toHex } from '../../../src/bytes.ts';
import { nopLogger } from '../../../src/log.ts';
import { LiveHub } from '../../../src/rpc/live/hub.ts';
import { MAX_PENDING_TOLD, PENDING_EVERY_MS, REPLAY_AHEAD } from '../../../src/rpc/live/limits.ts';
import { createLiveMetrics } from '../../../src/rpc/live/metrics.ts';
import type { Session } from '../../../src/rpc/live/session.ts';
import type { Wire } from '../../../src/rpc/live/subscription.ts';
import { parseTopic } from '../../../src/rpc/live/topics.ts';
import { nopRegister } from '../../../src/metrics.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { fakeNode, FakeNode } from './fake-node.ts';

interface Pending {
  readonly reset: boolean;
  readonly count: number;
  readonly omitted: number;
  readonly transactions: readonly { readonly hash: string }[];
  readonly dropped: readonly { readonly hash: string; readonly code: string; readonly reason: string }[];
}

interface Told {
  readonly height: number | null;
  readonly data: { readonly pending?: Pending; readonly transactions?: readonly { readonly hash: string }[] };
}

describe('pending transactions', () => {
  let node: FakeNode;
  let clock: ManualClock;
  let hub: LiveHub;
  let told: Told[];
  /** While false, nothing is taken by the network. */
  let reads: boolean;
  let waiting: (() => void)[];

  beforeEach(() => {
    node = new FakeNode();
    clock = manualClock();
    const turns = { ...clock, after: (ms: number, fn: () => void) => clock.after(Math.max(1, ms), fn) };
    hub = new LiveHub({ node: fakeNode(node), clock: turns, log: nopLogger, metrics: createLiveMetrics(nopRegister) });
    [told, reads, waiting] = [[], true, []];
  });

  afterEach(() => {
    hub.close();
    assert.equal(node.listeners, 0);
    assert.equal(clock.pending, 0);
  });

  const wire: Wire = {
    transport: 'ws',
    client: { key: 'local', isLocal: true },
    endsOnFailure: false,
    jobs: () => assert.fail('no jobs are asked for'),
    delta: (_subscription, { place, text }) => `{"height":${place?.height ?? null},"data":${text}}`,
    progress: () => '{"data":{}}',
    failure: () => '{"data":{}}',
    send: (text, taken) => {
      told.push(JSON.parse(text) as Told);
      if (reads) taken();
      else waiting.push(taken);
    },
    end: () => undefined,
  };

  function subscribe(from: number | null = null): { session: Session; snapshot: { readonly pending: Pending } } {
    const session = hub.open(wire);
    const place = from === null ? null : { height: from, index: 0 };
    const { snapshots } = session.subscribe(hub.feed(undefined), { topics: [parseTopic('txs')], from: place });
    return { session, snapshot: snapshots[0] as { pending: Pending } };
  }

  const transfer = (nonce: number, feeUait?: number): Transaction =>
    makeTransfer(node.genesis, {
      from: 'account-0',
      to: 'account-1',
      nonce,
      ...(feeUait !== undefined && { feeUait }),
    });

  async function submit(...txs: Transaction[]): Promise<void> {
    assert.deepEqual(
      await node.pool.submit(txs),
      txs.map(() => null),
    );
  }

  const names = (pending: Pending | undefined): string[] => (pending?.transactions ?? []).map(({ hash }) => hash);
  const idOf = (tx: Transaction): string => toHex(tx.id);
  const changes = (): Pending[] => told.flatMap(({ data }) => data.pending ?? []);

  it('are in the first message, then told as they come: at once, and after that at intervals', async () => {
    const txs = [0, 1, 2, 3].map((nonce) => transfer(nonce));
    await submit(txs[0] as Transaction);
    const { snapshot } = subscribe();
    assert.deepEqual(names(snapshot.pending), [idOf(txs[0] as Transaction)]);
    assert.equal(snapshot.pending.count, 1);
    await submit(txs[1] as Transaction);
    clock.advance(1);
    assert.deepEqual(changes().map(names), [[idOf(txs[1] as Transaction)]]);
    await submit(txs[2] as Transaction);
    await submit(txs[3] as Transaction);
    clock.advance(1);
    assert.equal(changes().length, 1);
    clock.advance(PENDING_EVERY_MS);
    clock.advance(1);
    assert.deepEqual(names(changes()[1]), [idOf(txs[2] as Transaction), idOf(txs[3] as Transaction)]);
    assert.deepEqual(
      told.map(({ height }) => height),
      [null, null],
    );
    clock.advance(PENDING_EVERY_MS);
  });

  it('are told no more once they are final, and with a reason when they are dropped', async () => {
    subscribe();
    const final = transfer(0);
    await submit(final);
    node.produce();
    clock.advance(1);
    assert.deepEqual(changes(), []);
    assert.equal(told[0]?.height, 1);
    clock.advance(PENDING_EVERY_MS);
    const [cheap, dear] = [transfer(1), transfer(1, 1_000_000)];
    await submit(cheap);
    clock.advance(1);
    await submit(dear);
    clock.advance(PENDING_EVERY_MS);
    clock.advance(1);
    const [, second] = changes();
    assert.deepEqual(names(second), [idOf(dear)]);
    assert.deepEqual(
      second?.dropped.map(({ hash, code }) => [hash, code]),
      [[idOf(cheap), 'UNDERPRICED']],
    );
    node.drop(dear);
    clock.advance(PENDING_EVERY_MS);
    clock.advance(1);
    assert.deepEqual(
      changes()[2]?.dropped.map(({ code }) => code),
      ['EXPIRED'],
    );
    clock.advance(PENDING_EVERY_MS);
  });

  it(`bound: ${MAX_PENDING_TOLD} of one message are told by name, of the others their number`, async () => {
    subscribe();
    const txs = Array.from({ length: MAX_PENDING_TOLD + 20 }, (_, nonce) => transfer(nonce));
    await submit(...txs);
    clock.advance(1);
    const [change] = changes();
    assert.equal(change?.transactions.length, MAX_PENDING_TOLD);
    assert.equal(change.omitted, 20);
    const { snapshot } = subscribe();
    assert.equal(snapshot.pending.transactions.length, MAX_PENDING_TOLD);
    assert.deepEqual([snapshot.pending.count, snapshot.pending.omitted], [MAX_PENDING_TOLD + 20, 20]);
    clock.advance(PENDING_EVERY_MS);
  });

  it('are all told anew to who still gets old blocks, once there', async () => {
    const { session } = subscribe();
    session.end(null);
    for (let nonce = 0; nonce < REPLAY_AHEAD + 4; nonce++) {
      await submit(transfer(nonce));
      node.produce();
    }
    reads = false;
    subscribe(1);
    for (let i = 0; i < 4; i++) clock.advance(1);
    assert.equal(told.length, REPLAY_AHEAD);
    const late = transfer(REPLAY_AHEAD + 4);
    await submit(late);
    clock.advance(PENDING_EVERY_MS);
    assert.deepEqual(changes(), []);
    reads = true;
    for (const taken of waiting.splice(0)) taken();
    clock.advance(1);
    clock.advance(1);
    clock.advance(1);
    assert.deepEqual(
      changes().map((change) => [change.reset, names(change)]),
      [[true, [idOf(late)]]],
    );
    clock.advance(PENDING_EVERY_MS);
  });

  it('bound: who does not read has no more than a few waiting, and is told all anew', async () => {
    subscribe();
    clock.advance(1);
    reads = false;
    for (let nonce = 0; nonce < 40; nonce++) {
      await submit(transfer(nonce));
      clock.advance(PENDING_EVERY_MS + 2);
    }
    assert.equal(changes().length, REPLAY_AHEAD);
    reads = true;
    for (const taken of waiting.splice(0)) taken();
    clock.advance(2);
    const last = changes().at(-1);
    assert.equal(last?.reset, true);
    assert.equal(last.transactions.length, 40);
    clock.advance(PENDING_EVERY_MS);
  });
});
