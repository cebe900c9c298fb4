import assert from 'node:assert/strict';
import { warnOfExposure } from '../../../src/node/exposure.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import { collectLines } from '../../util/log-lines.ts';

describe('an RPC that others can reach', () => {
  const warnings = (host: string, ...nodes: FakeNode[]): number => {
    const { log, lines } = collectLines();
    warnOfExposure(fakeNode(...nodes), { host, port: 8006 }, log);
    assert(lines.every(({ level, hint }) => level === 'warn' && typeof hint === 'string'));
    return lines.length;
  };

  it('is warned of on a validator', () => {
    for (const host of ['0.0.0.0', '::', '203.0.113.5', 'node.example'])
      assert.equal(warnings(host, new FakeNode()), 1);
    for (const host of ['127.0.0.1', '::1', 'localhost']) assert.equal(warnings(host, new FakeNode()), 0, host);
  });

  it('is no matter on a follower, or where no chain runs', () => {
    const follower = new FakeNode();
    Object.assign(follower, { node: { ...follower.node, validator: null } });
    assert.equal(warnings('0.0.0.0', follower), 0);
    assert.equal(warnings('0.0.0.0'), 0);
    assert.equal(warnings('0.0.0.0', follower, new FakeNode({ chainId: 'ait-testnet' })), 1);
  });
});
