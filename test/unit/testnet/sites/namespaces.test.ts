import assert from 'node:assert/strict';
import {
  BLOCKS,
  freeBlock,
  ownerOf,
  placeOf,
  planNamespaces,
  setUpBatches,
  staleLines,
  tearDownLines,
} from '../../../../testnet/sites/namespaces.ts';
import { MAX_SITES, MAX_VALIDATORS_A_SITE } from '../../../../testnet/sites/topology.ts';

const OWNER = { pid: 4_194_303, startTicks: '123456' };
const names = Array.from({ length: MAX_SITES }, (_, i) => `site-${i}`);

describe('plan of namespaces', () => {
  it('names everything for its process, as long as names may be', () => {
    for (const { netns, hubInterface, site } of planNamespaces(names, OWNER, 7)) {
      assert.equal(netns, `aitbc-4194303-123456-${site}`);
      assert.deepEqual(ownerOf(netns), OWNER);
      assert.ok(hubInterface.length <= 15, hubInterface);
    }
    for (const other of ['docker0', 'aitbc-at1', 'aitbc-x-1-at1', 'aitbc-1-2-', '']) {
      assert.equal(ownerOf(other), undefined, other);
    }
  });

  it('gives every validator an address before and after it moves, and none twice', () => {
    const sites = planNamespaces(names, OWNER, 7);
    const addresses = sites.flatMap(({ hubHost, hosts }) => [hubHost, ...hosts]);
    assert.equal(new Set(addresses).size, addresses.length);
    assert.equal(addresses.length, MAX_SITES * (1 + 2 * MAX_VALIDATORS_A_SITE));
    // Neither the network's own nor its broadcast address, in blocks of 32.
    for (const address of addresses) assert.ok(![0, 31].includes(Number(address.split('.')[3]) % 32), address);
    const places = Array.from({ length: MAX_VALIDATORS_A_SITE }, (_, i) => [
      placeOf(i, false),
      placeOf(i, true),
    ]).flat();
    assert.equal(new Set(places).size, 2 * MAX_VALIDATORS_A_SITE);
    assert.ok(Math.max(...places) < (sites[0]?.hosts.length ?? 0));
  });

  it('gives a site no route but to its own end', () => {
    const batches = setUpBatches(planNamespaces(['at1', 'ns3'], OWNER, 7));
    assert.equal(batches.length, 3);
    for (const { lines } of batches) assert.ok(lines.every((line) => !/route|default|forward/.test(line)));
    const [outside, at1] = batches;
    assert.deepEqual(outside?.lines.slice(0, 4), [
      'netns add aitbc-4194303-123456-at1',
      'link add aitbc2hwcf-0 type veth peer name eth0 netns aitbc-4194303-123456-at1',
      'addr add 198.18.7.1/27 dev aitbc2hwcf-0',
      'link set aitbc2hwcf-0 up',
    ]);
    assert.equal(at1?.netns, 'aitbc-4194303-123456-at1');
    assert.deepEqual(at1.lines.slice(0, 2), ['link set lo up', 'addr add 198.18.7.2/27 dev eth0']);
  });

  it('removes what it made, and what a process left that is gone, and nothing else', () => {
    const plan = planNamespaces(['at1'], OWNER, 7);
    assert.deepEqual(tearDownLines(plan), ['link del aitbc2hwcf-0', 'netns del aitbc-4194303-123456-at1']);
    const alive = planNamespaces(['at1'], { pid: 1, startTicks: '5' }, 8);
    const netns = [...plan, ...alive].map((each) => each.netns);
    const interfaces = [
      'eth0',
      'docker0',
      ...[...plan, ...alive].map(({ hubInterface }) => hubInterface),
      'aitbc2hwcfx-0',
    ];
    const lines = staleLines(['other', ...netns], interfaces, ({ pid, startTicks }) => pid === 1 && startTicks === '5');
    assert.deepEqual(lines, ['link del aitbc2hwcf-0', 'netns del aitbc-4194303-123456-at1']);
    // The same process id, started at another time, is somebody else.
    assert.equal(staleLines(netns, interfaces, ({ startTicks }) => startTicks === '6').length, 4);
  });

  it('bound: takes a block of addresses that nobody has, if there is one', () => {
    assert.equal(freeBlock(['127.0.0.1', '10.0.0.1'], 9), 9);
    assert.equal(freeBlock(['198.18.9.1', '198.18.10.33'], 9), 11);
    assert.equal(freeBlock(['198.18.255.1'], 255), 0);
    assert.equal(
      freeBlock(
        Array.from({ length: BLOCKS }, (_, i) => `198.18.${i}.1`),
        3,
      ),
      undefined,
    );
  });
});
