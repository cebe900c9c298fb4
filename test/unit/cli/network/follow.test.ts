import assert from 'node:assert/strict';
import { followUntilSynced, isSynced } from '../../../../src/cli/network/follow.ts';
import { choosePeers } from '../../../../src/cli/network/join.ts';
import { isNodeError } from '../../../../src/errors.ts';
import { nopLogger } from '../../../../src/log.ts';
import type { NodeStatus, PeerInfo } from '../../../../src/rpc/api.ts';
import type { RpcServer } from '../../../../src/rpc/server.ts';
import { startRpcServer } from '../../../../src/rpc/server.ts';
import type { Client } from '../../../../src/sdk/client.ts';
import { createClient } from '../../../../src/sdk/client.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../../rpc/fake-node.ts';

describe('following until "Synced"', () => {
  let node: FakeNode;
  let server: RpcServer;
  let client: Client;
  const validatorsAt = (...heights: readonly (number | null)[]): PeerInfo[] =>
    heights.map((height, i) => ({
      ...node.peer(`12D3Koo${i}`),
      ...{ height, validator: signer(`validator-${i}`).publicKey },
    }));

  beforeEach(async () => {
    node = new FakeNode();
    node.produce([]);
    server = await startRpcServer({ listen: { host: '127.0.0.1', port: 0 } }, { api: fakeNode(node), log: nopLogger });
    client = createClient({ url: server.url });
  });

  afterEach(() => server.close());

  const synced = async (reach: Partial<NodeStatus>, others: readonly PeerInfo[]): Promise<boolean> => {
    node.reach = reach;
    node.others = [...others];
    return isSynced(await client.status(), await client.peers());
  };

  it('counts once the node has what an honest validator signed for, whatever fewer than a third claim', async () => {
    assert.equal(await synced({ state: 'synced', validatorsTotal: 3 }, validatorsAt(1, 1, 1)), true);
    assert.equal(await synced({ state: 'synced', validatorsTotal: 3 }, validatorsAt(1, 2)), false);
    assert.equal(await synced({ state: 'synced', validatorsTotal: 4 }, validatorsAt(9_000, 1, 1, null)), true);
    assert.equal(await synced({ state: 'synced', validatorsTotal: 4 }, validatorsAt(9_000, 2, 1)), false);
    for (const state of ['starting', 'syncing', 'halted'] as const) {
      assert.equal(await synced({ state }, validatorsAt(1)), false, state);
    }
  });

  it('tells progress until then, and says from which height it began', async () => {
    node.reach = { state: 'syncing', targetHeight: 3 };
    node.others = validatorsAt(1, 1);
    const told: string[] = [];
    const tell = (line: string): void => {
      told.push(line);
      node.reach = { state: 'synced' };
    };
    const done = await followUntilSynced({ client, patienceMs: 10_000, tell, ended: new AbortController().signal });
    assert.match(told.join('\n'), /^syncing: block 1 of 3 \(33 %\).*; 2 connected$/);
    assert.deepEqual([done?.status.height, done?.snapshotHeight], [1, null]);
  });

  it('gives up when nothing moves, and ends when it is told to', async () => {
    node.reach = { state: 'starting', validatorsReachable: 0 };
    const tell = (): void => undefined;
    const gone = new AbortController();
    await assert.rejects(
      followUntilSynced({ client, patienceMs: 1, tell, ended: gone.signal }),
      (error) => isNodeError(error) && error.code === 'TIMEOUT' && /doctor/.test(error.hint ?? ''),
    );
    gone.abort();
    assert.equal(await followUntilSynced({ client, patienceMs: null, tell, ended: gone.signal }), null);
  });

  it('stays connected with peers of each site in turn, and no more of them than it needs', () => {
    const site = (name: string, count: number) => ({
      ...{ name, rpc: [] },
      peers: Array.from({ length: count }, (_, i) => `${name}${i}`),
    });
    const chosen = choosePeers([site('a', 9), site('b', 1), site('c', 2)], 5);
    assert.equal(chosen.length, 5);
    assert.deepEqual(new Set(chosen.slice(0, 3).map((peer) => peer[0])), new Set(['a', 'b', 'c']));
    assert.ok(chosen[3]?.startsWith('a') && chosen[4]?.startsWith('c'));
    assert.deepEqual(choosePeers([], 5), []);
  });
});
