import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isNodeError } from '../../../../src/errors.ts';
import {
  conditionsOf,
  layoutOf,
  linkBetween,
  MAX_SITES,
  MAX_VALIDATORS_A_SITE,
  neighboursOf,
  parseTopology,
  pathBetween,
  sitesOfNodes,
  withLayout,
  worstPathMs,
} from '../../../../testnet/sites/topology.ts';

const shipped = (name: string) =>
  parseTopology(readFileSync(new URL(`../../../../testnet/${name}`, import.meta.url), 'utf8'), name);
const site = (name: string, more: object = {}): object => ({ name, ...more });
const link = (a: string, b: string, more: object = {}): object => ({ between: [a, b], delay_ms: 10, ...more });
const parse = (sites: readonly object[], links: readonly object[]) =>
  parseTopology(JSON.stringify({ sites, links }), 'x.json');

describe('topology of sites', () => {
  it('is read from the files that the repository has', () => {
    const sites = shipped('sites.json');
    assert.equal(layoutOf(sites), '1/1/1');
    assert.deepEqual(sitesOfNodes(sites), ['at1', 'aitbc1', 'ns3']);
    assert.equal(worstPathMs(sites), 120);
    assert.deepEqual(pathBetween(sites, 'at1', 'ns3'), { delayMs: 120, via: ['aitbc1'] });
    const relay = shipped('sites-relay.json');
    assert.equal(linkBetween(relay, 'at1', 'ns3'), undefined);
    assert.deepEqual(neighboursOf(relay, 'aitbc1'), ['at1', 'ns3']);
    assert.equal(worstPathMs(relay), 160);
  });

  it('says what the proxies do to a link', () => {
    const { links } = parse([site('a'), site('b')], [link('a', 'b', { delay_ms: 40, jitter_ms: 8, mbit_per_s: 10 })]);
    const conditions = conditionsOf(links[0] as (typeof links)[0]);
    assert.deepEqual([conditions.delayMs, conditions.jitter, conditions.bytesPerSecond], [40, 0.2, 1_250_000]);
    const bare = parse([site('a'), site('b')], [link('a', 'b', { delay_ms: 0 })]).links[0];
    assert.ok(bare);
    assert.deepEqual([conditionsOf(bare).jitter, conditionsOf(bare).bytesPerSecond], [0, Infinity]);
  });

  it('takes other numbers of validators', () => {
    const { sites } = withLayout(shipped('sites.json'), '2/1/3');
    assert.deepEqual(
      sites.map(({ validators }) => validators),
      [2, 1, 3],
    );
    assert.deepEqual(sitesOfNodes(withLayout(shipped('sites.json'), '2/2/2')).slice(0, 3), ['at1', 'at1', 'aitbc1']);
    for (const layout of ['2/2', '2/2/2/2', '0/1/1', '9/1/1', 'a/b/c', '', '1/1/']) {
      assert.throws(
        () => withLayout(shipped('sites.json'), layout),
        (error) => isNodeError(error) && error.kind.exit === 2,
        layout,
      );
    }
  });

  it('is refused with what is wrong', () => {
    const two = [site('a'), site('b')];
    const cases: [readonly object[], readonly object[], RegExp][] = [
      [two, [], /no links lead from a to b/],
      [[...two, site('c')], [link('a', 'b')], /no links lead from a to c/],
      [two, [link('a', 'c')], /names c, which is none/],
      [two, [link('a', 'a')], /between two sites/],
      [two, [link('a', 'b'), link('b', 'a')], /have two links/],
      [two, [link('a', 'b', { delay_ms: 10_001 })], /delay_ms/],
      [two, [link('a', 'b', { delay_ms: 1.5 })], /delay_ms/],
      [two, [link('a', 'b', { jitter_ms: 11 })], /jitter_ms/],
      [two, [link('a', 'b', { mbit_per_s: 0 })], /mbit_per_s/],
      [two, [link('a', 'b', { loss: 1 })], /loss/],
      [two, [{ between: ['a', 'b'] }], /delay_ms/],
      [[site('a')], [], /2 to 8 sites/],
    ];
    for (const [sites, links, message] of cases) {
      assert.throws(
        () => parse(sites, links),
        (error) => isNodeError(error) && error.code === 'USAGE' && message.test(error.message),
        String(message),
      );
    }
    assert.throws(() => parseTopology('{', 'x.json'), /not JSON/);
  });

  it('bound: as many sites, and validators at each, as there are addresses for', () => {
    const names = Array.from({ length: MAX_SITES + 1 }, (_, i) => `s${i}`);
    const chain = names.slice(1).map((name, i) => link(names[i] ?? '', name));
    assert.throws(
      () =>
        parse(
          names.map((name) => site(name)),
          chain,
        ),
      /2 to 8 sites/,
    );
    parse(
      names.slice(0, MAX_SITES).map((name) => site(name)),
      chain.slice(0, MAX_SITES - 1),
    );
    const crowded = [site('a', { validators: MAX_VALIDATORS_A_SITE + 1 }), site('b')];
    assert.throws(() => parse(crowded, [link('a', 'b')]), /more than 8 validators/);
  });
});
