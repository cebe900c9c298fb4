import assert from 'node:assert/strict';
import { isNodeError } from '../../../../src/errors.ts';
import { parseDemoArgs } from '../../../../testnet/demo/args.ts';
import { spreadTimes } from '../../../../testnet/demo/compare.ts';
import { modelPolling } from '../../../../testnet/demo/polling.ts';
import { wrap } from '../../../../testnet/demo/screen.ts';
import { STEPS } from '../../../../testnet/demo/steps.ts';
import { TIMELINE_VERSION, TimelineRecorder } from '../../../../testnet/demo/timeline.ts';
import { createRandom } from '../../../../testnet/load/random.ts';
import type { Topology } from '../../../../testnet/sites/topology.ts';

const link = (a: string, b: string, delayMs: number) => ({
  between: [a, b] as const,
  delayMs,
  jitterMs: 0,
  mbitPerS: Infinity,
});
const two: Topology = { sites: ['a', 'b'].map((name) => ({ name, validators: 1 })), links: [link('a', 'b', 80)] };

describe('demo arguments', () => {
  it('have defaults, a full form and a short one', () => {
    const usual = parseDemoArgs([]);
    assert.deepEqual([usual.blocks, usual.cutMs, usual.timing, usual.namespaces], [30, 10_000, true, true]);
    assert.equal(usual.only.length, STEPS.length);
    assert.ok(usual.topologyPath.endsWith('/testnet/sites.json'));
    const full = parseDemoArgs(['--full']);
    assert.deepEqual([full.blocks, full.cutMs], [500, 60_000]);
    const short = parseDemoArgs(['--no-timing', '--loopback', '--cut-s', '2']);
    assert.deepEqual([short.blocks, short.cutMs, short.timing, short.namespaces], [3, 2000, false, false]);
  });

  it('take steps together with those they need, in their order', () => {
    assert.deepEqual(parseDemoArgs(['--only', 'move,restart']).only, [
      'kill-proposer',
      'kill-another',
      'restart',
      'move',
    ]);
    assert.deepEqual(parseDemoArgs(['--only', 'compare']).only, ['steady', 'compare']);
  });

  it('refuse nonsense', () => {
    for (const argv of [['--only', 'flood'], ['--blocks', '0'], ['--cut-s', '1'], ['failover'], ['--what']]) {
      assert.throws(
        () => parseDemoArgs(argv),
        (error) => isNodeError(error) && error.kind.exit === 2,
        argv.join(' '),
      );
    }
  });
});

describe('model of polling', () => {
  it('is half a period and the way for a neighbour, a whole one at worst', () => {
    const { nextSite, everySite } = modelPolling(two, createRandom('two'));
    assert.deepEqual(nextSite, { expectedMs: 5080, worstMs: 10_080 });
    // With two sites the last one is the neighbour: the simulation must agree with the formula.
    assert.ok(Math.abs(everySite.meanMs - nextSite.expectedMs) < 100, `${everySite.meanMs}`);
    assert.ok(everySite.worstMs <= nextSite.worstMs && everySite.worstMs > nextSite.worstMs - 100);
  });

  it('takes longer over a site between, and never longer than all periods and ways', () => {
    const three = { sites: [...two.sites, { name: 'c', validators: 1 }], links: [...two.links, link('b', 'c', 40)] };
    const { everySite } = modelPolling(three, createRandom('three'));
    assert.ok(everySite.meanMs > 6700 && everySite.meanMs < 10_000, `${everySite.meanMs}`);
    assert.ok(everySite.worstMs <= 20_120, `${everySite.worstMs}`);
  });
});

describe('spread of a block', () => {
  it('is the time from the first node that has it to the last', () => {
    const first = [1, 2, 3].map((height) => ({ height, atMs: height * 500 }));
    const second = [
      { height: 1, atMs: 560 },
      { height: 3, atMs: 1700 },
    ];
    assert.deepEqual(spreadTimes([first, second], 1, 3), [60, 700, 200]);
    assert.deepEqual(spreadTimes([first, second], 3, 4), [200]);
  });
});

describe('timeline', () => {
  it('tells heights by node and outages by site, in ms since its start', () => {
    const record = new TimelineRecorder();
    const at = performance.now();
    const end = record.outage('a', null, 'cut');
    record.outage('b', 'n2', 'killed');
    end();
    end();
    record.step({ name: 'cut-off', from_ms: 1, to_ms: 2, ok: true, verdict: 'good' });
    const facts = {
      chain_id: 'ait-devnet',
      genesis_hash: '00',
      ground: 'loopback',
      quorum: 2,
      interval_ms: 500,
      rounds: [[1, 0, 'a']],
    } as const;
    const timeline = record.finish(
      facts,
      two,
      (site) => (site === 'a' ? [1] : [2]),
      (index) => [{ height: index, atMs: at + 100 }],
    );
    assert.equal(timeline.version, TIMELINE_VERSION);
    assert.deepEqual(timeline.sites, [
      { name: 'a', nodes: ['n1'] },
      { name: 'b', nodes: ['n2'] },
    ]);
    assert.deepEqual(timeline.links, [{ between: ['a', 'b'], delay_ms: 80, jitter_ms: 0, mbit_per_s: null }]);
    assert.deepEqual(Object.keys(timeline.heights), ['n1', 'n2']);
    assert.equal(timeline.heights['n2']?.[0]?.[0], 2);
    const [cut, killed] = timeline.outages;
    assert.ok(cut && cut.to_ms !== null && cut.to_ms >= cut.from_ms);
    assert.deepEqual([killed?.node, killed?.kind, killed?.to_ms], ['n2', 'killed', null]);
    assert.deepEqual(JSON.parse(JSON.stringify(timeline)), timeline);
  });
});

describe('lines of the demonstration', () => {
  it('break between words', () => {
    assert.deepEqual(wrap('one two three four', 9), ['one two', 'three', 'four']);
    assert.deepEqual(wrap('incomprehensibilities a', 5), ['incomprehensibilities', 'a']);
    assert.deepEqual(wrap('', 5), ['']);
  });
});
