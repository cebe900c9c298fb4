import assert from 'node:assert/strict';
import type { CpuProfile } from '../../../../scripts/bench/profile/cpu-profile.ts';
import { profileTree } from '../../../../scripts/bench/profile/cpu-profile.ts';
import { flameGraph } from '../../../../scripts/bench/profile/flame-graph.ts';
import { topOwners } from '../../../../scripts/bench/profile/record.ts';
import { ownerTimes, stageTimes } from '../../../../scripts/bench/profile/stages.ts';

const frame = (functionName: string, url = '') => ({ functionName, url, lineNumber: 9 });

/** Root, the pool below it with a Map of Node's below that, gossip of a library, idleness, and the collector. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 4, 5, 6] },
    { id: 2, callFrame: frame('add', 'file:///x/src/mempool.ts'), children: [3] },
    { id: 3, callFrame: frame('set<T>', 'node:internal/map') },
    { id: 4, callFrame: frame('onData', 'file:///x/node_modules/@libp2p/gossipsub/dist/index.js') },
    { id: 5, callFrame: frame('(idle)') },
    { id: 6, callFrame: frame('(garbage collector)') },
  ],
  startTime: 0,
  endTime: 100,
  samples: [2, 3, 3, 4, 5, 6],
  timeDeltas: [10, 20, 5, 40, 500, 7],
};

describe('a profile of a node', () => {
  it('is a tree whose times add up', () => {
    const root = profileTree(PROFILE);
    const [pool] = root.children;
    assert.deepEqual([root.totalUs, pool?.selfUs, pool?.totalUs], [582, 10, 35]);
  });

  it('gives the time of each stage: Node’s own belongs to its caller, waiting to none', () => {
    assert.deepEqual(
      [...stageTimes(profileTree(PROFILE))],
      [
        ['gossip', 40],
        ['pool', 35],
        ['gc', 7],
      ],
    );
  });

  it('says whose code ran, and so of several nodes together', () => {
    const owners = ownerTimes(profileTree(PROFILE));
    assert.deepEqual(
      [...owners],
      [
        ['@libp2p/gossipsub', 40],
        ['src/mempool.ts', 35],
        ['gc', 7],
      ],
    );
    const profile = (name: string, owners_ms: Record<string, number>) => ({
      ...{ name, busy_ms: 100, stages_ms: {} },
      owners_ms,
    });
    assert.deepEqual(topOwners([profile('n1', { a: 80, b: 20 }), profile('n2', { b: 90, c: 10 })], 2), [
      { owner: 'b', percent: 55 },
      { owner: 'a', percent: 40 },
    ]);
  });

  it('is drawn with widths in proportion, idleness left out and names escaped', () => {
    const svg = flameGraph(profileTree(PROFILE), 'a & b');
    assert.ok(svg.includes('a &amp; b') && svg.includes('set&lt;T&gt; node:internal/map:10'));
    assert.ok(!svg.includes('(idle)') && svg.includes('@libp2p/gossipsub/dist/index.js:10'));
    const widths = [...svg.matchAll(/<rect x="[\d.]+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
    assert.deepEqual(
      widths.toSorted((a, b) => b - a),
      [1400, 682.9, 597.6, 426.8, 119.5],
    );
  });

  it('of nothing is an empty picture', () => {
    const empty = { ...PROFILE, samples: [], timeDeltas: [] };
    assert.ok(flameGraph(profileTree(empty), 'idle').includes('0.0 ms not idle'));
  });
});
