import assert from 'node:assert/strict';
import type { Manifest } from '../../../testnet/manifest.ts';
import { findMember, findNode } from '../../../testnet/members.ts';

describe('members of a cluster', () => {
  const manifest = {
    nodes: [{ name: 'n1', rpc: 'http://127.0.0.1:1' }],
    miners: [{ name: 'm1' }],
  } as unknown as Manifest;

  it('are found by number or name; others are told with what there is', () => {
    assert.equal(findMember(manifest, 1).name, 'n1');
    assert.equal(findMember(manifest, 'm1').name, 'm1');
    for (const ref of [2, 'n7', 'x']) {
      assert.throws(() => findMember(manifest, ref), {
        code: 'UNKNOWN_NODE',
        hint: 'nodes are 1 to 1, miners m1 to m1',
      });
    }
    assert.throws(() => findNode(manifest, 2), { code: 'UNKNOWN_NODE' });
  });
});
