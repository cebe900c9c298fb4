import assert from 'node:assert/strict';
import { goesOn, largestGroup, sparedSites } from '../../../../testnet/sites/survivors.ts';
import type { Topology } from '../../../../testnet/sites/topology.ts';
import { withLayout } from '../../../../testnet/sites/topology.ts';

const link = (a: string, b: string) => ({ between: [a, b] as const, delayMs: 10, jitterMs: 0, mbitPerS: 10 });
const sites = ['a', 'b', 'c'].map((name) => ({ name, validators: 1 }));
const triangle: Topology = { sites, links: [link('a', 'b'), link('b', 'c'), link('a', 'c')] };
const line: Topology = { sites, links: [link('a', 'b'), link('b', 'c')] };

describe('what a layout survives', () => {
  it('counts those that reach each other, over others too', () => {
    assert.equal(largestGroup(line, []), 3);
    assert.equal(largestGroup(line, [1]), 2);
    assert.equal(largestGroup(line, [2]), 1);
    assert.equal(largestGroup(triangle, [2]), 2);
    assert.equal(largestGroup(line, [], ['b']), 1);
    assert.equal(largestGroup(line, [1, 2, 3]), 0);
  });

  it('knows that the site between two others cannot be spared', () => {
    assert.deepEqual(sparedSites(triangle), ['a', 'b', 'c']);
    assert.deepEqual(sparedSites(line), ['a', 'c']);
    assert.equal(goesOn(line, [2]), false);
  });

  it('lets one of two at a site go, and then the other where the rest is a quorum', () => {
    const six = withLayout(line, '2/2/2');
    assert.equal(goesOn(six, [3]), true);
    assert.equal(goesOn(six, [3, 4]), false);
    assert.equal(goesOn(withLayout(triangle, '2/2/2'), [3, 4]), true);
    assert.equal(goesOn(withLayout(triangle, '2/2/2'), [1, 3, 5]), false);
  });
});
