import assert from 'node:assert/strict';
import { nopLogger } from '../../../src/log.ts';
import type { LanListener } from '../../../src/net/lan.ts';
import { Lan, lanTag, MAX_LAN_PEERS } from '../../../src/net/lan.ts';
import { chainOf, devnet } from '../../net/fixtures.ts';
import { manualClock } from '../../net/manual-clock.ts';

const ADDRESSES = ['/ip4/10.0.0.7/tcp/8005'];
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function setUp(answers = true) {
  const clock = manualClock();
  const listeners = new Map<string, LanListener>();
  const connected = new Set<string>();
  const dialled: string[] = [];
  const lan = new Lan({
    browse: (tag, onPeer) => {
      listeners.set(tag, onPeer);
      return Promise.resolve(() => Promise.resolve(void listeners.delete(tag)));
    },
    self: 'self',
    connected: (peer) => connected.has(peer),
    dial: (peer) => {
      dialled.push(peer);
      if (!answers) return Promise.reject(new Error('nobody'));
      connected.add(peer);
      return Promise.resolve();
    },
    clock,
    log: nopLogger,
  });
  lan.add(devnet);
  const claim = async (peer: string): Promise<void> => {
    listeners.get(lanTag(devnet))?.(peer, ADDRESSES);
    await settle();
  };
  return { clock, lan, listeners, connected, dialled, claim };
}

describe('net/lan', () => {
  it('dials whom it does not know, once, and again after a minute when it is gone', async () => {
    const { clock, connected, dialled, claim } = await setUp();
    for (const peer of ['self', 'a', 'a']) await claim(peer);
    assert.deepEqual(dialled, ['a']);
    connected.delete('a');
    await claim('a');
    assert.deepEqual(dialled, ['a']);
    clock.advance(60_000);
    await claim('a');
    assert.deepEqual(dialled, ['a', 'a']);
  });

  it('has a tag for each chain and genesis, that DNS can carry', async () => {
    const { lan, listeners } = await setUp();
    const other = chainOf(devnet.chainId, 'another genesis');
    assert.notEqual(lanTag(devnet), lanTag(other));
    assert.ok((lanTag(chainOf('x'.repeat(32))).split('.')[0]?.length ?? 99) <= 63);
    lan.add(other);
    await lan.remove(devnet);
    assert.deepEqual([...listeners.keys()], [lanTag(other)]);
  });

  it('bound: dials for what anyone claims, in a time and at once, and peers found', async () => {
    const { clock, dialled, claim } = await setUp(false);
    for (let i = 0; i < 1_000; i++) await claim(`peer ${i}`);
    assert.equal(dialled.length, 8);
    clock.advance(10_000);
    for (let i = 1_000; i < 2_000; i++) await claim(`peer ${i}`);
    assert.equal(dialled.length, 13);

    const lucky = await setUp();
    for (let i = 0; i < 2 * MAX_LAN_PEERS; i++) {
      await lucky.claim(`peer ${i}`);
      lucky.clock.advance(10_000);
    }
    assert.equal(lucky.dialled.length, MAX_LAN_PEERS);
  });
});
