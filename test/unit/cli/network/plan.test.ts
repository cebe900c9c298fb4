import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  DEFAULT_LAYOUT,
  MAX_NODES,
  multiaddrOf,
  parseLayout,
  parseSitesFile,
  planNodes,
  withRpcUrls,
} from '../../../../src/cli/network/plan.ts';
import { isNodeError } from '../../../../src/errors.ts';

const isUsage = (error: unknown): boolean => isNodeError(error) && error.code === 'USAGE';
const addresses = (layout: string, ...hosts: string[]): string[] =>
  planNodes(parseLayout(layout), hosts).map(({ name, address }) => `${name} ${address}`);

describe('the plan of a network', () => {
  it('has a node for each validator of each site, at the name of the site unless a host is given', () => {
    assert.deepEqual(addresses(DEFAULT_LAYOUT), [
      'at1-1 /dns/at1/tcp/8005',
      'aitbc1-1 /dns/aitbc1/tcp/8005',
      'ns3-1 /dns/ns3/tcp/8005',
    ]);
    assert.deepEqual(addresses('a=2,b=1', 'a=a.example:9000', 'b=192.0.2.7'), [
      'a-1 /dns/a.example/tcp/9000',
      'a-2 /dns/a.example/tcp/9010',
      'b-1 /ip4/192.0.2.7/tcp/8005',
    ]);
    assert.deepEqual(addresses('a=2', 'a-2=[2001:db8::7]:81'), ['a-1 /dns/a/tcp/8005', 'a-2 /ip6/2001:db8::7/tcp/81']);
  });

  it('gives nodes of one site ports of their own', () => {
    const ports = planNodes(parseLayout('a=2'), []).map((node) => node.ports);
    assert.deepEqual(ports, [
      { p2p: 8005, rpc: 8006, metrics: 9464 },
      { p2p: 8015, rpc: 8016, metrics: 9474 },
    ]);
  });

  it('refuses what is no layout', () => {
    for (const layout of ['', 'a', 'a=0', 'a=-1', 'a=1,a=1', 'A=1', 'a=1;b=1', `${'a'.repeat(29)}=1`, 'a=x']) {
      assert.throws(() => parseLayout(layout), isUsage, layout);
    }
    for (const host of ['c=x', 'a', 'a=', 'a=http://x', 'a=x:0', 'a=x:70000', 'a=x_y', 'a=a:1:2']) {
      assert.throws(() => addresses('a=1', host), isUsage, host);
    }
    assert.throws(() => addresses('a=1,b=1', 'a=x', 'b=x'), /two nodes have the address/);
    assert.throws(() => withRpcUrls(parseLayout('a=1'), ['b=https://x.example']), isUsage);
    assert.throws(() => withRpcUrls(parseLayout('a=1'), ['a=ftp://x.example']), isUsage);
  });

  it(`bound: ${MAX_NODES} validators`, () => {
    assert.equal(planNodes(parseLayout(`a=${MAX_NODES}`), []).length, MAX_NODES);
    assert.throws(() => parseLayout(`a=${MAX_NODES},b=1`), isUsage);
    assert.throws(() => parseLayout(`a=999`), isUsage);
  });

  it('may come from a file, as testnet/sites.json has it, with names and no addresses', () => {
    const text = readFileSync(new URL('../../../../testnet/sites.json', import.meta.url), 'utf8');
    const sites = parseSitesFile(text, 'sites.json');
    assert.deepEqual(sites.map(({ name, validators }) => `${name}=${validators}`).join(','), DEFAULT_LAYOUT);
    for (const { address } of planNodes(sites, [])) assert.match(address, /^\/dns\//);
    withRpcUrls(sites, []);
    for (const wrong of [
      '',
      '[]',
      '{"sites":[]}',
      '{"sites":[{}]}',
      '{"sites":[{"name":"a","more":1}]}',
      '{"sites":{}}',
    ]) {
      assert.throws(() => parseSitesFile(wrong, 'x'), isUsage, wrong);
    }
  });

  it('takes a host with or without a port as a multiaddr', () => {
    assert.equal(multiaddrOf('at1.example'), '/dns/at1.example/tcp/8005');
    assert.equal(multiaddrOf('[::1]:7'), '/ip6/::1/tcp/7');
  });
});
