import assert from 'node:assert/strict';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type { Connection } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { streamPair } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';
import { nopLogger } from '../../../../src/log.ts';
import { encodeHopStatus, RELAY_STATUS, relayMessages } from '../../../../src/net/relay/messages.ts';
import { MAX_ADDRESSES_PER_RELAY, MAX_SLOTS, RelaySlots } from '../../../../src/net/relay/slots.ts';
import { manualClock } from '../../../net/manual-clock.ts';
import { seedOf } from '../../../net/fixtures.ts';
import { waitFor } from '../../../util/wait.ts';

/** Answers every request for a slot by what `state` says. */
async function relayConnection(name: string, clock: ReturnType<typeof manualClock>) {
  const remotePeer = peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seedOf(name)));
  const state = { refuses: false, asked: 0, lastsS: 1_800, addresses: [] as string[] };
  const answer = async () => {
    const [ours, theirs] = await streamPair();
    const messages = relayMessages(theirs);
    const signal = AbortSignal.timeout(5_000);
    void messages.read(signal).then(() => {
      state.asked++;
      const addresses = state.addresses.map((text) => multiaddr(text).bytes);
      const reservation = { expireS: Math.floor(clock.now() / 1_000) + state.lastsS, addresses };
      const refused = encodeHopStatus(RELAY_STATUS.permissionDenied);
      return messages.write(state.refuses ? refused : encodeHopStatus(RELAY_STATUS.ok, { reservation }), signal);
    });
    return ours;
  };
  const remoteAddr = multiaddr(`/ip4/192.0.2.1/tcp/8005/p2p/${remotePeer.toString()}`);
  const connection = { remotePeer, remoteAddr, direction: 'outbound', newStream: answer } as unknown as Connection;
  return { state, connection, peer: remotePeer.toString(), address: `${remoteAddr.toString()}/p2p-circuit` };
}

function setUp() {
  const clock = manualClock();
  const changes = { count: 0 };
  const slots = new RelaySlots({ isRelay: () => true, onChange: () => changes.count++, clock, log: nopLogger });
  return { clock, changes, slots, told: () => slots.addresses().map(String) };
}

describe('net/relay/slots', () => {
  it('renews a slot half way, lets it go with its connection, and asks again after a refusal', async () => {
    const { clock, changes, slots, told } = setUp();
    const { state, connection, peer, address } = await relayConnection('r', clock);
    slots.onOpen(connection);
    await waitFor('the slot', () => slots.holds(peer));
    assert.deepEqual(told(), [address]);
    clock.advance(899_000);
    assert.equal(state.asked, 1);
    clock.advance(2_000);
    await waitFor('the renewal', () => state.asked === 2 && clock.pending === 1);
    assert.equal(changes.count, 1, 'nothing new to tell');
    slots.onClose(connection);
    assert.deepEqual([told(), changes.count, clock.pending], [[], 2, 0]);

    state.refuses = true;
    slots.onOpen(connection);
    await waitFor('the refusal', () => state.asked === 3 && clock.pending === 1);
    assert.equal(slots.holds(peer), false);
    state.refuses = false;
    clock.advance(1_000);
    await waitFor('the slot', () => slots.holds(peer));
    slots.stop();
    assert.equal(clock.pending, 0);
  });

  it('bound: slots at once, and addresses of each relay', async () => {
    const { clock, slots, told } = setUp();
    for (let i = 0; i <= MAX_SLOTS; i++) {
      const { state, connection, peer } = await relayConnection(`r${i}`, clock);
      state.addresses = Array.from({ length: 9 }, (_, port) => `/ip4/192.0.2.9/tcp/${port + 1}`);
      slots.onOpen(connection);
      await waitFor('an answer, or nothing asked', () => slots.holds(peer) || i === MAX_SLOTS);
      assert.equal(state.asked, i < MAX_SLOTS ? 1 : 0);
    }
    assert.equal(told().length, MAX_SLOTS * MAX_ADDRESSES_PER_RELAY);
    slots.stop();
  });

  it('tells no address of a relay that is nearer than the relay itself, and believes no end that is too near', async () => {
    const { clock, slots, told } = setUp();
    const { state, connection, peer, address } = await relayConnection('r', clock);
    Object.assign(state, { addresses: ['/ip4/127.0.0.1/tcp/1', '/ip4/10.0.0.1/tcp/1'], lastsS: 0 });
    slots.onOpen(connection);
    await waitFor('the slot', () => slots.holds(peer));
    assert.deepEqual(told(), [address]);
    clock.advance(29_000);
    assert.equal(state.asked, 1);
    slots.stop();
  });
});
