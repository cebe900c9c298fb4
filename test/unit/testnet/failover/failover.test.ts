import assert from 'node:assert/strict';
import { isNodeError } from '../../../../src/errors.ts';
import type { ManifestNode } from '../../../../testnet/manifest.ts';
import { parseFailoverArgs } from '../../../../testnet/failover/args.ts';
import { FAULTS } from '../../../../testnet/failover/faults.ts';
import { firstAfter, gapAround, HeightObserver, MAX_COMMITS, worstGap } from '../../../../testnet/failover/observer.ts';
import { Scorecard, tableLines } from '../../../../testnet/failover/scorecard.ts';

const NAMES = ['kill', 'split'];

describe('failover arguments', () => {
  it('have defaults, shorter ones without timing', () => {
    const args = parseFailoverArgs([], NAMES);
    assert.deepEqual([args.nodes, args.kills, args.minutes, args.only, args.timing], [3, 10, 0, [], true]);
    assert.match(args.seed, /^\d+$/);
    const short = parseFailoverArgs(['--no-timing'], NAMES);
    assert.deepEqual([short.kills, short.timing], [1, false]);
  });

  it('read every option', () => {
    const argv = '--nodes 4 --kills 50 --seed s --minutes 30 --only kill,split --json'.split(' ');
    const { help, list, ...rest } = parseFailoverArgs(argv, NAMES);
    assert.deepEqual([help, list], [false, false]);
    assert.deepEqual(rest, {
      nodes: 4,
      kills: 50,
      seed: 's',
      minutes: 30,
      only: ['kill', 'split'],
      json: true,
      timing: true,
    });
  });

  it('refuse nonsense', () => {
    for (const argv of [['--nodes', '2'], ['--nodes', '8'], ['--kills', '0'], ['--only', 'flood'], ['run']]) {
      assert.throws(
        () => parseFailoverArgs(argv, NAMES),
        (error) => isNodeError(error) && error.kind.exit === 2,
        argv.join(' '),
      );
    }
  });

  it('name every fault once', () => {
    assert.equal(new Set(FAULTS.map(({ name }) => name)).size, FAULTS.length);
  });
});

describe('failover observer', () => {
  const commits = [100, 600, 1100, 2600, 3100].map((atMs, i) => ({ height: i + 1, atMs }));

  it('finds the gap around a moment', () => {
    assert.equal(gapAround(commits, 1200), 1500);
    assert.equal(gapAround(commits, 1100), 1500);
    assert.equal(gapAround(commits, 50), undefined);
    assert.equal(gapAround(commits, 3200), undefined);
    assert.equal(firstAfter(commits, 1200)?.height, 4);
  });

  it('finds the worst gap of a span, with the one at its start and the one that is still open', () => {
    assert.equal(worstGap(commits, 50, 1000), 500);
    assert.equal(worstGap(commits, 1200, 3200), 1500);
    assert.equal(worstGap(commits, 2700, 3000), 400);
    assert.equal(worstGap(commits, 3200, 9100), 6000);
    assert.equal(worstGap([], 1000, 3000), 2000);
  });

  it('keeps advances only, and a bounded number of them', () => {
    const observer = new HeightObserver([{ index: 1 }] as unknown as ManifestNode[]);
    for (let height = 1; height <= MAX_COMMITS + 1; height++) observer.record(1, { height, atMs: height });
    observer.record(1, { height: 7, atMs: 1e9 });
    observer.record(2, { height: 7, atMs: 1e9 });
    assert.equal(observer.height(1), MAX_COMMITS + 1);
    assert.equal(observer.highest(), MAX_COMMITS + 1);
    assert.equal(observer.commits(1).length, MAX_COMMITS / 2 + 1);
    assert.deepEqual(observer.commits(2), []);
  });
});

describe('failover scorecard', () => {
  it('judges the worst value, the 99th percentile or the least', () => {
    const card = new Scorecard();
    for (const gap of [400, 900, 600]) card.add('kill: gap', gap, { limit: 900, holds: 'worst' });
    for (let i = 0; i < 200; i++) card.add('proposer: gap', i === 7 ? 5000 : 1000, { limit: 2000, holds: 'p99' });
    card.add('one down', 96, { limit: 95, holds: 'least' }, '%');
    card.add('told', 1e9, null);
    assert.ok(card.rows().every(({ met }) => met));
    assert.ok(card.ok(true));
    card.add('kill: gap', 901, { limit: 900, holds: 'worst' });
    card.add('one down', 94, { limit: 95, holds: 'least' }, '%');
    assert.deepEqual(
      card.rows().map(({ what, count, worst, met }) => [what, count, worst, met]),
      [
        ['kill: gap', 4, 901, false],
        ['proposer: gap', 200, 5000, true],
        ['one down', 2, 94, false],
        ['told', 1, 1e9, true],
      ],
    );
    assert.equal(card.ok(true), false);
    assert.equal(card.ok(false), true);
  });

  it('fails for what never came and for a violation, the latter without timing too', () => {
    const never = new Scorecard();
    never.add('heal', Infinity, { limit: 5000, holds: 'worst' });
    assert.equal(never.ok(true), false);
    assert.ok(tableLines(never.rows(), true).some((line) => line.startsWith('✗') && line.includes('never')));
    assert.ok(tableLines(never.rows(), false).every((line) => !line.startsWith('✗')));
    const broken = new Scorecard();
    broken.violate('n1 ended by itself');
    assert.equal(broken.ok(false), false);
    assert.deepEqual(broken.violations, ['n1 ended by itself']);
  });
});
