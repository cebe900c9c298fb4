import assert from 'node:assert/strict';
import { streamPair } from '@libp2p/utils';
import { utf8 } from '../../../../src/bytes.ts';
import {
  decodeHop,
  decodeStopStatus,
  encodeHopStatus,
  encodeReserve,
  HOP_TYPE,
  MAX_RELAY_ADDRESSES,
  MAX_RELAY_MESSAGE_BYTES,
  RELAY_STATUS,
  relayMessages,
} from '../../../../src/net/relay/messages.ts';

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

describe('net/relay/messages', () => {
  it('encodes as the specification’s protobuf does', () => {
    assert.deepEqual([...encodeReserve()], [0x08, 0x00]);
    const limit = { seconds: 600, bytes: 2 ** 26 };
    assert.deepEqual(
      [...encodeHopStatus(RELAY_STATUS.ok, { limit })],
      [0x08, 0x02, 0x22, 0x08, 0x08, 0xd8, 0x04, 0x10, 0x80, 0x80, 0x80, 0x20, 0x28, 0x64],
    );
  });

  it('reads what it wrote, and passes over what it does not know', () => {
    const reservation = { expireS: 1_900_000_000, addresses: [utf8('here'), utf8('there')] };
    const bytes = encodeHopStatus(RELAY_STATUS.ok, { reservation });
    const more = Uint8Array.from([...bytes, 0x7a, 0x02, 0xff, 0xff, 0x78, 0x05]);
    assert.deepEqual(decodeHop(more), { type: HOP_TYPE.status, peer: null, reservation, status: RELAY_STATUS.ok });
    assert.deepEqual(decodeHop(new Uint8Array()), { type: -1, peer: null, reservation: null, status: null });
    assert.equal(decodeStopStatus(Uint8Array.of(0x08, 0x01, 0x20, 0x64)), RELAY_STATUS.ok);
    assert.equal(decodeStopStatus(Uint8Array.of(0x08, 0x00)), null);
  });

  it('refuses what is cut off, other wire types, and numbers without end', () => {
    for (const bytes of [[0x08], [0x12, 0x05, 0x00], [0x09, 0, 0, 0, 0, 0, 0, 0, 0], Array<number>(20).fill(0xff)]) {
      assert.throws(() => decodeHop(Uint8Array.from(bytes)), { code: 'PEER_PROTOCOL' }, bytes.join());
    }
  });

  it('bound: a message, and the addresses taken from one', async () => {
    const addresses = Array.from({ length: 40 }, () => utf8('x'));
    const decoded = decodeHop(encodeHopStatus(RELAY_STATUS.ok, { reservation: { expireS: 1, addresses } }));
    assert.equal(decoded.reservation?.addresses.length, MAX_RELAY_ADDRESSES);

    const [near, far] = await streamPair();
    await relayMessages(near).write(new Uint8Array(MAX_RELAY_MESSAGE_BYTES + 1), soon());
    await assert.rejects(relayMessages(far).read(soon()), { code: 'PEER_PROTOCOL' });
  });

  it('leaves what follows a message to the next reader', async () => {
    const [near, far] = await streamPair();
    const writer = relayMessages(near);
    await writer.write(encodeReserve(), soon());
    writer.unwrap().send(utf8('more'));
    const reader = relayMessages(far);
    assert.deepEqual(await reader.read(soon()), encodeReserve());
    const rest = await new Promise<Uint8Array>((resolve) => {
      reader.unwrap().addEventListener('message', ({ data }) => {
        resolve(data.subarray());
      });
    });
    assert.equal(Buffer.from(rest).toString(), 'more');
  });
});
