import assert from 'node:assert/strict';
import { isNodeError, NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import type { Live, LiveState } from '../../../src/sdk/live.ts';
import { connectLive, MAX_LIVE_SUBSCRIPTIONS } from '../../../src/sdk/live.ts';
import { addressText, makeTransfer } from '../../util/chain-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';

const WAITS = { firstMs: 5, longestMs: 40 };
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('sdk live', () => {
  let node: FakeNode;
  let server: RpcServer;
  let live: Live;
  let states: LiveState[];

  const serve = (port = 0, chain = node): Promise<RpcServer> =>
    startRpcServer({ listen: { host: '127.0.0.1', port } }, { api: fakeNode(chain), log: nopLogger });

  const restart = async (chain = node, between: () => void = () => undefined): Promise<void> => {
    const port = Number(new URL(server.url).port);
    await server.close();
    between();
    server = await serve(port, chain);
  };

  beforeEach(async () => {
    node = new FakeNode();
    server = await serve();
    states = [];
    live = connectLive({ url: server.url, waits: WAITS, onState: (state) => states.push(state) });
  });

  afterEach(async () => {
    live.close();
    await server.close();
    assert.equal(node.listeners, 0);
  });

  /** Heights told. */
  const blocks = (fromHeight?: number): number[] => {
    const heights: number[] = [];
    live.subscribe('blocks', {
      ...(fromHeight !== undefined && { fromHeight }),
      onEvent: ({ height }) => heights.push(height),
      onError: (error) => assert.fail(error),
    });
    return heights;
  };

  it('tells a typed snapshot, then events', async () => {
    const heads: (number | null)[] = [];
    const balances: string[] = [];
    node.produce([]);
    live.subscribe('blocks', {
      onSnapshot: ({ head }) => heads.push(head?.height ?? null),
      onEvent: ({ height }) => heads.push(height),
    });
    live.subscribe(`account:${addressText('account-1')}`, {
      onSnapshot: ({ balance_uait }) => balances.push(balance_uait),
      onEvent: ({ account, transactions }, { height, chainId }) => {
        balances.push(`${account.balance_uait} ${transactions.length} ${height} ${chainId}`);
      },
    });
    await waitFor('snapshots', () => heads.length === 1 && balances.length === 1);
    node.produce([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 })]);
    await waitFor('events', () => heads.length === 2 && balances.length === 2);
    assert.deepEqual(heads, [1, 2]);
    assert.deepEqual(balances, ['1000000000', '1000000001 1 2 ait-devnet']);
    assert.deepEqual(states, ['connecting', 'open']);
  });

  it('goes on without gap or double over restarts of the server, while blocks come all the time', async () => {
    const heights = blocks();
    await waitFor('the connection', () => live.state === 'open' && node.listeners > 0);
    let produced = 0;
    const timer = setInterval(() => {
      node.produce([]);
      produced++;
    }, 2);
    try {
      for (let i = 0; i < 5; i++) {
        const before = heights.length;
        await waitFor('some blocks', () => heights.length > before + 10);
        await restart();
      }
      await waitFor('more blocks', () => heights.length > 100);
    } finally {
      clearInterval(timer);
    }
    await waitFor('the last', () => heights.length === produced);
    assert.deepEqual(heights, range(1, produced));
    assert(states.filter((state) => state === 'waiting').length >= 5);
  });

  it('begins at a height, and resumes there when it was lost before the first answer', async () => {
    for (let i = 0; i < 5; i++) node.produce([]);
    await server.close();
    const heights = blocks(3);
    await waitFor('a refusal', () => live.state === 'waiting');
    server = await serve(Number(new URL(server.url).port));
    await waitFor('blocks', () => heights.length === 3);
    assert.deepEqual(heights, [3, 4, 5]);
  });

  it('gives a new snapshot of what has no heights after a reconnection, and none of what goes on', async () => {
    const seen: string[] = [];
    live.subscribe('consensus', {
      onSnapshot: ({ round }) => seen.push(`snapshot ${round}`),
      onEvent: ({ round }) => seen.push(`round ${round}`),
    });
    live.subscribe('txs', { onSnapshot: () => seen.push('txs'), onEvent: () => undefined });
    await waitFor('snapshots', () => seen.length === 2);
    node.step({ round: 1 });
    await waitFor('the round', () => seen.length === 3);
    await restart(node, () => node.step({ round: 2 }));
    await waitFor('the snapshot', () => seen.length === 4);
    node.step({ round: 3 });
    await waitFor('the round', () => seen.length === 5);
    assert.deepEqual(seen, ['snapshot 0', 'txs', 'round 1', 'snapshot 2', 'round 3']);
  });

  it('tells anew what is pending after a reconnection, while final transactions go on', async () => {
    const seen: string[] = [];
    live.subscribe('txs', {
      onSnapshot: ({ pending }) => seen.push(`snapshot ${pending.count}`),
      onEvent: (event) => {
        if (!('pending' in event)) seen.push(`final ${event.height}`);
        else seen.push(`${event.pending.reset ? 'all' : 'came'} ${event.pending.transactions.length}`);
      },
    });
    await waitFor('the snapshot', () => seen.length === 1);
    const [first, second] = [0, 1].map((nonce) =>
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce }),
    );
    await node.pool.submit(first ? [first] : []);
    await waitFor('it is pending', () => seen.length === 2);
    await restart(node, () => {
      node.produce();
      if (second) node.mempool.add(second, node.poolView);
    });
    await waitFor('both', () => seen.length === 4);
    assert.deepEqual(seen, ['snapshot 0', 'came 1', 'all 1', 'final 1']);
  });

  it('ends with PRUNED what cannot be resumed, and leaves the rest', async () => {
    const errors: NodeError[] = [];
    for (let i = 0; i < 3; i++) node.produce([]);
    const others: string[] = [];
    live.subscribe('consensus', { onSnapshot: () => others.push('snapshot'), onEvent: () => undefined });
    live.subscribe('blocks', { onEvent: () => assert.fail('a gap'), onError: (error) => errors.push(error) });
    await waitFor('the connection', () => others.length === 1 && node.listeners > 0);
    await restart(node, () => {
      for (let i = 0; i < 5; i++) node.produce([]);
      node.base = 8;
    });
    await waitFor('the error', () => errors.length === 1);
    assert.equal(errors[0]?.code, 'PRUNED');
    assert.equal(errors[0].data['base'], 8);
    await waitFor('the other one', () => others.length === 2);
  });

  it('ends with WRONG_GENESIS when another chain of the name is there', async () => {
    const errors: NodeError[] = [];
    let snapshots = 0;
    live.subscribe('blocks', {
      onSnapshot: () => snapshots++,
      onEvent: () => assert.fail('of the other chain'),
      onError: (error) => errors.push(error),
    });
    await waitFor('the snapshot', () => snapshots === 1);
    const other = new FakeNode({ accounts: 5 });
    for (let i = 0; i < 3; i++) other.produce([]);
    await restart(other);
    await waitFor('the error', () => errors.length === 1);
    assert.equal(errors[0]?.code, 'WRONG_GENESIS');
  });

  it('waits for a chain that is stopped', async () => {
    const heights = blocks();
    await waitFor('the connection', () => node.listeners > 0);
    node.produce([]);
    await waitFor('a block', () => heights.length === 1);
    node.failure = new NodeError('CHAIN_STOPPED', 'by its operator');
    node.closing.abort();
    await waitFor('the end', () => node.listeners === 0);
    node.produce([]);
    node.failure = null;
    node.produce([]);
    await waitFor('the next blocks', () => heights.length === 3);
    assert.deepEqual(heights, [1, 2, 3]);
  });

  it('hears at once what is refused for good', async () => {
    const codes: string[] = [];
    const topics = ['account:nobody', 'nosuch'] as unknown as 'blocks'[];
    for (const topic of topics) {
      live.subscribe(topic, { onEvent: () => undefined, onError: ({ code }) => codes.push(code) });
    }
    await waitFor('errors', () => codes.length === 2);
    assert.deepEqual(codes.sort(), ['BAD_ADDRESS', 'INVALID_PARAMS']);
  });

  it(`holds ${MAX_LIVE_SUBSCRIPTIONS} subscriptions; one more is refused here`, async () => {
    const told = new Set<number>();
    const ends = range(1, MAX_LIVE_SUBSCRIPTIONS).map((i) =>
      live.subscribe('blocks', { onEvent: () => told.add(i), onSnapshot: () => told.add(-i) }),
    );
    assert.throws(
      () => live.subscribe('txs', { onEvent: () => undefined }),
      (error) => isNodeError(error) && error.code === 'RATE_LIMITED',
    );
    await waitFor('snapshots', () => told.size === MAX_LIVE_SUBSCRIPTIONS);
    node.produce([]);
    await waitFor('events', () => told.size === 2 * MAX_LIVE_SUBSCRIPTIONS);
    for (const end of ends.slice(1)) end();
    await waitFor('room', () => live.state === 'open');
    live.subscribe('txs', { onEvent: () => undefined });
  });

  it('leaves when nothing is subscribed to, and comes back', async () => {
    const end = live.subscribe('blocks', { onEvent: () => undefined });
    await waitFor('the subscription', () => node.listeners > 0);
    end();
    end();
    await waitFor('the end', () => node.listeners === 0);
    const heights = blocks();
    await waitFor('the subscription', () => node.listeners > 0);
    node.produce([]);
    await waitFor('a block', () => heights.length === 1);
  });

  it('takes no URL that is none', () => {
    assert.throws(
      () => connectLive({ url: 'nonsense' }),
      (error) => isNodeError(error) && error.code === 'INVALID_PARAMS',
    );
  });
});
