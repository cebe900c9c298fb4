import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Clock } from '../../../src/clock.ts';
import { isNodeError, NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { createRegister } from '../../../src/metrics.ts';
import type { Client } from '../../../src/rpc/clients.ts';
import { LiveHub } from '../../../src/rpc/live/hub.ts';
import {
  MAX_AHEAD_BLOCKS,
  MAX_ALL_QUEUED_CHARS,
  MAX_CLIENT_CONNECTIONS,
  MAX_CONNECTIONS,
  MAX_QUEUED_CHARS,
  MAX_QUEUED_MESSAGES,
  MAX_REFUSED,
  MAX_SUBSCRIPTIONS,
  MESSAGE_BURST,
  MESSAGES_PER_S,
  REPLAY_AHEAD,
  REPLAY_LAG_BLOCKS,
  STALL_MS,
} from '../../../src/rpc/live/limits.ts';
import { createLiveMetrics } from '../../../src/rpc/live/metrics.ts';
import type { Session } from '../../../src/rpc/live/session.ts';
import type { EndReason, Place, Subscription, Wire } from '../../../src/rpc/live/subscription.ts';
import { parseTopic } from '../../../src/rpc/live/topics.ts';
import { LiveRequests } from '../../../src/rpc/live/ws-protocol.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { transfer } from '../../../src/chain/modules/bank.ts';
import { leastFeeUait } from '../../../src/chain/params.ts';
import { MIN_TX_BYTES, signTransaction } from '../../../src/chain/tx.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { addressText, makeTransfer, signer } from '../../util/chain-fixture.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { fakeNode, FakeNode } from './fake-node.ts';

interface Told {
  readonly kind: 'delta' | 'progress' | 'failure' | 'other';
  readonly topic?: string;
  readonly seq?: number;
  readonly height?: number;
  readonly data?: ReturnType<typeof JSON.parse>;
  readonly error?: NodeError;
}

const noJobs = (): never => {
  throw new NodeError('METHOD_DISABLED', 'no jobs here');
};

/** Takes what it is given only when the test lets it. */
class FakeWire implements Wire {
  readonly transport = 'ws';
  readonly client: Client;
  readonly endsOnFailure = false;
  readonly jobs = noJobs;
  readonly sent: string[] = [];
  ended: EndReason | null = null;
  /** While false, nothing is taken by the network. */
  reads = true;
  readonly #waiting: (() => void)[] = [];
  readonly #failures: NodeError[] = [];

  constructor(client: Client = { key: 'local', isLocal: true }) {
    this.client = client;
  }

  delta({ seq }: Subscription, { topic, place, text }: Parameters<Wire['delta']>[1]): string {
    return `{"kind":"delta","topic":"${topic.name}","seq":${seq},"height":${place?.height ?? 0},"data":${text}}`;
  }

  progress({ next }: Subscription): string {
    return JSON.stringify({ kind: 'progress', height: next.height - 1 });
  }

  failure(_subscription: Subscription, error: NodeError): string {
    this.#failures.push(error);
    return JSON.stringify({ kind: 'failure' });
  }

  send(text: string, taken: () => void): void {
    this.sent.push(text);
    if (this.reads) taken();
    else this.#waiting.push(taken);
  }

  take(count = Infinity): void {
    for (const taken of this.#waiting.splice(0, count)) taken();
  }

  end(reason: EndReason): void {
    this.ended = reason;
  }

  get told(): Told[] {
    return this.sent.map((text) => JSON.parse(text) as Told);
  }

  get heights(): (number | undefined)[] {
    return this.told.filter(({ kind }) => kind === 'delta').map(({ height }) => height);
  }

  get failures(): readonly NodeError[] {
    return this.#failures;
  }
}

const codeOf = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    return isNodeError(error) ? error.code : String(error);
  }
  return 'none';
};

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('live hub', () => {
  let node: FakeNode;
  let clock: ManualClock;
  let hub: LiveHub;
  let register: Awaited<ReturnType<typeof createRegister>>;

  beforeEach(async () => {
    node = new FakeNode();
    clock = manualClock();
    register = await createRegister();
    const metrics = createLiveMetrics(register);
    // Every turn takes its time, so that a test can stand between two.
    const turns: Clock = { ...clock, after: (ms, fn) => clock.after(Math.max(1, ms), fn) };
    hub = new LiveHub({ node: fakeNode(node), clock: turns, log: nopLogger, metrics });
  });

  afterEach(() => {
    hub.close();
    assert.equal(node.listeners, 0);
    assert.equal(clock.pending, 0);
  });

  const turn = (): void => {
    clock.advance(1);
  };

  const subscribe = (session: Session, topic: string, from: number | null = null) =>
    subscribeAll(session, [topic], from === null ? null : { height: from, index: 0 });

  const subscribeAll = (session: Session, topics: string[], from: Place | null) =>
    session.subscribe(hub.feed(undefined), { topics: topics.map(parseTopic), from });

  const open = (client?: Client): { wire: FakeWire; session: Session } => {
    const wire = new FakeWire(client);
    return { wire, session: hub.open(wire) };
  };

  const produce = (count: number): void => {
    for (let i = 0; i < count; i++) node.produce([]);
  };

  const pay = (from: string, to: string, nonce: number): void => {
    node.produce([makeTransfer(node.genesis, { from, to, nonce })]);
  };

  describe('blocks', () => {
    it('come after the snapshot, numbered, each once', () => {
      produce(2);
      const { wire, session } = open();
      const { snapshots, subscription } = subscribe(session, 'blocks');
      assert.equal((snapshots[0] as Told['data']).head.height, 2);
      assert.equal(subscription.next.height, 3);
      produce(3);
      turn();
      produce(1);
      turn();
      assert.deepEqual(wire.heights, [3, 4, 5, 6]);
      assert.deepEqual(
        wire.told.map(({ seq }) => seq),
        [1, 2, 3, 4],
      );
      assert.equal(wire.told[0]?.data.hash.length, 64);
    });

    it('are told again from a height, and go on without a seam while new ones come', () => {
      produce(150);
      const { wire, session } = open();
      subscribe(session, 'blocks', 3);
      // Between any two turns a block becomes final.
      for (let i = 0; i < 30; i++) {
        turn();
        produce(1);
      }
      turn();
      turn();
      assert.deepEqual(wire.heights, range(3, 180));
      assert.deepEqual(
        wire.told.map(({ seq }) => seq),
        range(1, 178),
      );
    });

    it('begin later than the head where they are asked to', () => {
      const { wire, session } = open();
      subscribe(session, 'blocks', 4);
      produce(5);
      turn();
      assert.deepEqual(wire.heights, [4, 5]);
    });

    it(`cannot begin more than ${MAX_AHEAD_BLOCKS} above the head`, () => {
      const { session } = open();
      assert.equal(
        codeOf(() => subscribe(session, 'blocks', MAX_AHEAD_BLOCKS)),
        'none',
      );
      assert.equal(
        codeOf(() => subscribe(session, 'blocks', MAX_AHEAD_BLOCKS + 1)),
        'INVALID_PARAMS',
      );
    });

    it('that are pruned are refused with what is kept', () => {
      produce(10);
      node.base = 5;
      const { session } = open();
      assert.throws(
        () => subscribe(session, 'blocks', 4),
        (error: NodeError) => error.code === 'PRUNED' && error.data['base'] === 5 && error.data['head'] === 10,
      );
      assert.equal(
        codeOf(() => subscribe(session, 'blocks', 5)),
        'none',
      );
      turn();
    });

    it('that are pruned while they are sent again end the subscription with PRUNED', () => {
      produce(100);
      const { wire, session } = open();
      wire.reads = false;
      subscribe(session, 'blocks', 1);
      turn();
      assert.equal(wire.sent.length, 8);
      node.base = 90;
      turn();
      turn();
      assert.equal(wire.failures[0]?.code, 'PRUNED');
      assert.equal(session.subscriptions.size, 0);
      assert.equal(wire.ended, null);
    });
  });

  describe('transactions and accounts', () => {
    it('come by block, and where there are none nothing comes', () => {
      const { wire, session } = open();
      subscribe(session, 'txs');
      produce(2);
      pay('account-0', 'account-1', 0);
      turn();
      assert.deepEqual(wire.heights, [3]);
      const [entry] = (wire.told[0] as Told).data.transactions;
      assert.equal(entry.code, 0);
      assert.equal(entry.index, 0);
      assert.equal(entry.transaction.payload.to, addressText('account-1'));
    });

    it('of an account are those that it sent or that name it, with its balance', () => {
      const { wire, session } = open();
      subscribe(session, `account:${addressText('account-1')}`, 1);
      pay('account-0', 'account-1', 0);
      pay('account-0', 'account-2', 1);
      pay('account-1', 'account-2', 0);
      turn();
      assert.deepEqual(wire.heights, [1, 3]);
      const { account } = wire.told[1]?.data ?? {};
      assert.equal(account.height, 3);
      assert.equal(account.nonce, 1);
    });

    it('do not concern an account whose bytes stand in a memo by chance', () => {
      const watched = open();
      const sender = open();
      subscribe(watched.session, `account:${addressText('account-1')}`);
      subscribe(sender.session, `account:${addressText('account-0')}`);
      const address = (name: string) => addressOf(nativeCrypto, signer(name).publicKey);
      const payload = transfer.encode({ to: address('account-2'), amountUait: 1, memo: address('account-1') });
      const feeUait = leastFeeUait(node.genesis.params, MIN_TX_BYTES + payload.length);
      const fields = { type: transfer.type, nonce: 0, feeUait, validUntilHeight: 100, payload };
      node.produce([signTransaction(nativeCrypto, node.genesis.chain, signer('account-0'), fields)]);
      turn();
      assert.deepEqual(watched.wire.heights, []);
      assert.deepEqual(sender.wire.heights, [1]);
    });

    it('are found for each account, also one that is subscribed to later', () => {
      const first = open();
      subscribe(first.session, `account:${addressText('account-1')}`, 1);
      pay('account-0', 'account-1', 0);
      pay('account-0', 'account-2', 1);
      turn();
      const second = open();
      const { subscription } = subscribe(second.session, `account:${addressText('account-2')}`, 1);
      turn();
      second.session.unsubscribe(subscription.id);
      pay('account-2', 'account-1', 0);
      turn();
      assert.deepEqual(first.wire.heights, [1, 3]);
      assert.deepEqual(second.wire.heights, [2]);
    });

    it('keep the order of heights over the topics of one subscription, and resume at a place between two', () => {
      const topics = ['blocks', 'txs'];
      pay('account-0', 'account-1', 0);
      pay('account-0', 'account-1', 1);
      const first = open();
      subscribeAll(first.session, topics, { height: 1, index: 0 });
      const second = open();
      subscribeAll(second.session, topics, { height: 1, index: 1 });
      const third = open();
      subscribeAll(third.session, topics, { height: 1, index: 2 });
      turn();
      const order = ({ wire }: { wire: FakeWire }) => wire.told.map(({ topic, height }) => `${topic} ${height}`);
      assert.deepEqual(order(first), ['blocks 1', 'txs 1', 'blocks 2', 'txs 2']);
      assert.deepEqual(order(second), ['txs 1', 'blocks 2', 'txs 2']);
      assert.deepEqual(order(third), ['blocks 2', 'txs 2']);
    });
  });

  describe('agreement and peers', () => {
    it('tell each new place once', () => {
      const { wire, session } = open();
      const { snapshots } = subscribe(session, 'consensus_events');
      assert.equal((snapshots[0] as Told['data']).step, 'idle');
      node.step({ step: 'propose' });
      node.step({ step: 'propose' });
      node.step({ step: 'prevote', round: 1 });
      turn();
      assert.deepEqual(
        wire.told.map(({ seq, data }) => [seq, data.round, data.step]),
        [
          [1, 0, 'propose'],
          [2, 1, 'prevote'],
        ],
      );
    });

    it('tell who came and who left since the snapshot', () => {
      const { wire, session } = open();
      node.connect([node.peer('a'), node.peer('b')]);
      subscribe(session, 'peers');
      node.connect([node.peer('b'), node.peer('c')]);
      clock.advance(1000);
      const [{ data }] = wire.told as [Told];
      assert.deepEqual(
        data.joined.map(({ peer_id }: { peer_id: string }) => peer_id),
        ['c'],
      );
      assert.deepEqual(data.left, ['a']);
      assert.equal(data.count, 2);
    });

    it('have no heights to begin with', () => {
      const { session } = open();
      for (const topic of ['consensus', 'peers']) {
        assert.equal(
          codeOf(() => subscribe(session, topic, 1)),
          'INVALID_PARAMS',
        );
      }
      turn();
    });
  });

  describe('consumers', () => {
    it(`up to date are ended when ${MAX_QUEUED_MESSAGES} messages wait, and cost others nothing`, async () => {
      const slow = open();
      const quick = open();
      slow.wire.reads = false;
      subscribe(slow.session, 'blocks');
      subscribe(quick.session, 'blocks');
      for (let i = 0; i < MAX_QUEUED_MESSAGES; i++) {
        produce(1);
        turn();
      }
      assert.equal(slow.wire.ended, null);
      assert.equal(slow.session.queued, MAX_QUEUED_MESSAGES);
      produce(1);
      turn();
      assert.equal(slow.wire.ended, 'slow');
      assert.equal(quick.wire.heights.length, MAX_QUEUED_MESSAGES + 1);
      assert.equal(hub.connections, 1);
      assert.match(await register.text(), /aitbc_rpc_ws_dropped_total\{reason="slow"\} 1/);
    });

    it(`that are sent old blocks get ${REPLAY_AHEAD} at once and the rest as they read, however slow`, () => {
      produce(500);
      const { wire, session } = open();
      wire.reads = false;
      subscribe(session, 'blocks', 1);
      for (let i = 0; i < 20; i++) turn();
      assert.equal(session.queued, REPLAY_AHEAD);
      while (wire.heights.length < 500) {
        wire.take(1);
        turn();
        assert(session.queued <= REPLAY_AHEAD);
      }
      wire.take();
      assert.equal(wire.ended, null);
      assert.deepEqual(wire.heights, range(1, 500));
    });

    it('are not slow because the node caught up faster than anyone reads', () => {
      const { wire, session } = open();
      wire.reads = false;
      subscribe(session, 'blocks');
      turn();
      produce(MAX_QUEUED_MESSAGES + REPLAY_LAG_BLOCKS);
      for (let i = 0; i < 100; i++) turn();
      assert.equal(wire.ended, null);
      wire.reads = true;
      wire.take();
      for (let i = 0; i < 100; i++) turn();
      assert.equal(wire.heights.length, MAX_QUEUED_MESSAGES + REPLAY_LAG_BLOCKS);
    });

    it(`have at most ${MAX_QUEUED_CHARS} characters and one message under way`, () => {
      const { wire, session } = open();
      wire.reads = false;
      subscribe(session, 'blocks');
      session.send('x'.repeat(MAX_QUEUED_CHARS));
      produce(1);
      turn();
      assert.deepEqual(wire.sent.length, 1);
      wire.sent.length = 0;
      wire.take();
      turn();
      assert.deepEqual(wire.heights, [1]);
      assert.equal(wire.ended, null);
    });

    it(`that take nothing for ${STALL_MS} ms are ended`, () => {
      const { wire, session } = open();
      session.beat();
      wire.reads = false;
      session.send('answer');
      clock.advance(STALL_MS);
      session.beat();
      assert.equal(wire.ended, null);
      clock.advance(1);
      session.beat();
      assert.equal(wire.ended, 'stalled');
    });

    it('of quiet topics hear how far the chain is, so that they need not resume from long ago', () => {
      const { wire, session } = open();
      subscribe(session, 'txs');
      subscribe(session, 'peers');
      produce(3);
      turn();
      session.beat();
      session.beat();
      assert.deepEqual(wire.told, [{ kind: 'progress', height: 3 }]);
    });

    it('all get their share while many are sent old blocks', () => {
      produce(400);
      const all = range(1, 20).map(() => {
        const { wire, session } = open();
        subscribe(session, 'blocks', 1);
        return wire;
      });
      const live = open();
      subscribe(live.session, 'blocks');
      produce(1);
      turn();
      // Who is up to date does not wait for the others.
      assert.deepEqual(live.wire.heights, [401]);
      for (let i = 0; i < 130; i++) turn();
      for (const wire of all) assert.deepEqual(wire.heights, range(1, 401));
    });
  });

  it('ends subscriptions of a chain that stops, and the connection stays', () => {
    const { wire, session } = open();
    subscribe(session, 'blocks');
    node.closing.abort();
    assert.equal(wire.failures[0]?.code, 'CHAIN_STOPPED');
    assert.equal(wire.ended, null);
    assert.equal(node.listeners, 0);
  });

  it('listens to a chain only while someone subscribes', () => {
    const { session } = open();
    const { subscription } = subscribe(session, 'blocks');
    assert(node.listeners > 0);
    session.unsubscribe(subscription.id);
    assert.equal(node.listeners, 0);
    hub.feed(undefined);
    turn();
    assert.equal(node.listeners, 0);
  });

  it(`takes ${MAX_CONNECTIONS} connections, and another one when one is gone`, async () => {
    const all = range(1, MAX_CONNECTIONS).map(() => open());
    assert.equal(
      codeOf(() => open()),
      'RATE_LIMITED',
    );
    assert.match(await register.text(), /aitbc_rpc_ws_clients 100/);
    all[0]?.session.end(null);
    open();
  });

  it(`bound: one client has ${MAX_CLIENT_CONNECTIONS} of them, programs of this machine may have all`, () => {
    const greedy = { key: '203.0.113.5', isLocal: false };
    const own = range(1, MAX_CLIENT_CONNECTIONS).map(() => open(greedy));
    assert.equal(
      codeOf(() => open(greedy)),
      'RATE_LIMITED',
    );
    open({ key: '203.0.113.6', isLocal: false });
    own[0]?.session.end('slow');
    open(greedy);
    for (let i = hub.connections; i < MAX_CONNECTIONS; i++) open();
    assert.equal(hub.connections, MAX_CONNECTIONS);
  });

  it(`bound: ${MAX_ALL_QUEUED_CHARS} characters wait over all; beyond, who holds most is cut, and others go on`, () => {
    const part = 'x'.repeat(MAX_QUEUED_CHARS / 4);
    const slow = range(1, MAX_ALL_QUEUED_CHARS / MAX_QUEUED_CHARS).map(() => open());
    for (const { wire } of slow) wire.reads = false;
    const reader = open();
    for (const { session } of slow.slice(1)) for (let i = 0; i < 4; i++) session.send(part);
    for (let i = 0; i < 3; i++) slow[0]?.session.send(part);
    assert.deepEqual(new Set(slow.map(({ wire }) => wire.ended)), new Set([null]));
    slow[0]?.session.send(part);
    slow[0]?.session.send(part);
    assert.deepEqual(
      slow.map(({ wire }) => wire.ended),
      slow.map((_, i) => (i === 0 ? 'memory' : null)),
    );
    // What it held is free, also before its socket says so.
    slow[1]?.session.send(part);
    slow[0]?.wire.take();
    slow[2]?.session.send('x'.repeat(MAX_QUEUED_CHARS));
    assert.equal(slow.filter(({ wire }) => wire.ended).length, 2);
    reader.session.send(part);
    assert.equal(reader.wire.ended, null);
    assert.equal(reader.wire.sent.length, 1);
  });

  it(`allows ${MAX_SUBSCRIPTIONS} subscriptions on a connection`, async () => {
    const { session } = open();
    for (let i = 0; i < MAX_SUBSCRIPTIONS; i++) subscribe(session, 'blocks');
    assert.equal(
      codeOf(() => subscribe(session, 'blocks')),
      'RATE_LIMITED',
    );
    assert.match(await register.text(), /aitbc_rpc_subscriptions\{topic="blocks"\} 20/);
    session.unsubscribe('s1');
    subscribe(session, 'blocks');
  });

  it('labels what it measures with topics, never with accounts', async () => {
    const { session } = open();
    subscribe(session, `account:${addressText('account-1')}`);
    assert.match(await register.text(), /aitbc_rpc_subscriptions\{topic="account"\} 1/);
    assert(!(await register.text()).includes('ait1'));
  });

  describe('requests', () => {
    const requestsOf = (session: Session) => new LiveRequests(hub, session, 'r1');

    it(`come ${MESSAGE_BURST} at once, then ${MESSAGES_PER_S} a second; beyond, each is refused`, () => {
      const { wire, session } = open();
      const requests = requestsOf(session);
      const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
      const codes = (): (string | undefined)[] =>
        wire.sent.splice(0).map((text) => JSON.parse(text).error?.data.code as string | undefined);
      for (let i = 0; i < MESSAGE_BURST + 1; i++) requests.receive(ping);
      assert.deepEqual(codes(), [...Array(MESSAGE_BURST).fill(undefined), 'RATE_LIMITED']);
      clock.advance(1000);
      for (let i = 0; i < MESSAGES_PER_S + 1; i++) requests.receive(ping);
      assert.deepEqual(codes(), [...Array(MESSAGES_PER_S).fill(undefined), 'RATE_LIMITED']);
      assert.equal(wire.ended, null);
    });

    it(`that are refused ${MAX_REFUSED} times in a row end the connection`, () => {
      const { wire, session } = open();
      const requests = requestsOf(session);
      for (let i = 0; i < MESSAGE_BURST + MAX_REFUSED - 1; i++) requests.receive('{}');
      assert.equal(wire.ended, null);
      requests.receive('{}');
      assert.equal(wire.ended, 'flood');
    });

    it('of any form are answered with a result or a code of the table, and the connection stays', () => {
      const { wire, session } = open();
      const method = fc.constantFrom('subscribe', 'unsubscribe', 'ping', 'constructor', '');
      const params = fc.dictionary(
        fc.constantFrom('topic', 'chain_id', 'from_height', 'subscription', 'x'),
        fc.oneof(
          fc.constantFrom('blocks', 'peers', 'account:', 'account:ait1', 's1', 'ait-devnet', 'toString'),
          fc.jsonValue({ maxDepth: 1 }),
        ),
      );
      const request = fc.record(
        { jsonrpc: fc.constantFrom('2.0', '1.0'), id: fc.oneof(fc.nat(), fc.string()), method, params },
        { requiredKeys: [] },
      );
      const text = fc.oneof(
        fc.string(),
        fc.json(),
        request.map((value) => JSON.stringify(value)),
        fc.constant('['.repeat(100)),
        fc.constant('{"__proto__":1}'),
      );
      fc.assert(
        fc.property(fc.option(text), (message) => {
          wire.sent.length = 0;
          clock.advance(1000);
          requestsOf(session).receive(message);
          for (const id of session.subscriptions.keys()) session.unsubscribe(id);
          const answer = JSON.parse(wire.sent.at(-1) ?? 'null');
          assert.equal(answer.jsonrpc, '2.0');
          assert('id' in answer);
          assert(answer.result !== undefined || typeof answer.error.code === 'number', wire.sent.at(-1));
          assert.notEqual(answer.error?.data.code, 'INTERNAL', message ?? 'bytes');
          assert.equal(wire.ended, null);
        }),
        { numRuns: 2000 },
      );
    });
  });
});
