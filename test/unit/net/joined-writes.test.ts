import assert from 'node:assert/strict';
import type { MessageStream } from '@libp2p/interface';
import { Uint8ArrayList } from 'uint8arraylist';
import type { JoinedWrites } from '../../../src/net/joined-writes.ts';
import { joinWrites, MAX_WITHHELD_BYTES, MAX_WITHHELD_STREAMS } from '../../../src/net/joined-writes.ts';

const [DATA, WINDOW_UPDATE] = [0, 1];
const [SYN, FIN] = [1, 4];

function header(type: number, flags: number, stream: number, length: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, type);
  view.setUint16(2, flags);
  view.setUint32(4, stream);
  view.setUint32(8, length);
  return bytes;
}

const dataFrame = (stream: number, length: number): Uint8ArrayList =>
  new Uint8ArrayList(header(DATA, 0, stream, length), new Uint8Array(length).fill(stream));

function setUp() {
  const sent: Uint8Array[] = [];
  const stream = {
    status: 'open',
    writableNeedsDrain: false,
    log: () => undefined,
    send: (data: Uint8Array | Uint8ArrayList) => {
      if (stream.status !== 'open') throw new Error('closed');
      sent.push(data.subarray());
      return !stream.writableNeedsDrain;
    },
  };
  const waiting = new Set<JoinedWrites>();
  const writes = joinWrites(stream as unknown as MessageStream, (one) => waiting.add(one));
  return { sent, stream, writes, waiting };
}

describe('net/joined-writes', () => {
  it('sends the frames of one turn as one message, in order', () => {
    const { sent, stream, writes, waiting } = setUp();
    stream.send(header(WINDOW_UPDATE, SYN, 1, 0));
    stream.send(dataFrame(1, 100));
    stream.send(header(WINDOW_UPDATE, FIN, 1, 0));
    assert.equal(sent.length, 0);
    assert.deepEqual([...waiting], [writes]);
    writes.flush();
    writes.flush();
    assert.equal(sent.length, 1);
    assert.deepEqual(
      sent[0],
      new Uint8ArrayList(header(WINDOW_UPDATE, SYN, 1, 0), dataFrame(1, 100), header(WINDOW_UPDATE, FIN, 1, 0)).slice(),
    );
  });

  it('bound: what waits for the end of a turn is one message at most', () => {
    const { sent, stream } = setUp();
    for (let i = 0; i < 5; i++) stream.send(dataFrame(1, 20_000));
    stream.send(dataFrame(3, 1_000_000));
    const lengths = sent.map(({ length }) => length);
    assert.deepEqual(lengths, [3 * 20_012, 2 * 20_012, 1_000_012]);
  });

  it('tells the peer of its window when that matters, with all that was withheld', () => {
    const { sent, stream, writes } = setUp();
    const part = MAX_WITHHELD_BYTES / 4;
    for (let i = 0; i < 3; i++) {
      stream.send(header(WINDOW_UPDATE, 0, 1, part));
      stream.send(header(WINDOW_UPDATE, 0, 2, 1));
    }
    writes.flush();
    assert.equal(sent.length, 0);
    stream.send(header(WINDOW_UPDATE, 0, 1, part));
    writes.flush();
    assert.deepEqual(sent, [header(WINDOW_UPDATE, 0, 1, MAX_WITHHELD_BYTES)]);
  });

  it('bound: streams with windows to tell of; the oldest is told first', () => {
    const { sent, stream, writes } = setUp();
    for (let id = 1; id <= MAX_WITHHELD_STREAMS; id++) stream.send(header(WINDOW_UPDATE, 0, id, 10));
    writes.flush();
    assert.equal(sent.length, 0);
    stream.send(header(WINDOW_UPDATE, 0, MAX_WITHHELD_STREAMS + 1, 10));
    writes.flush();
    assert.deepEqual(sent, [header(WINDOW_UPDATE, 0, 1, 10)]);
  });

  it('lets who writes see that the connection is full, or closed', () => {
    const { sent, stream, writes } = setUp();
    assert.equal(stream.send(dataFrame(1, 10)), true);
    stream.writableNeedsDrain = true;
    assert.equal(stream.send(dataFrame(1, 10)), false);
    assert.equal(sent.length, 2);
    stream.writableNeedsDrain = false;
    stream.send(dataFrame(1, 10));
    stream.status = 'closed';
    assert.throws(() => stream.send(dataFrame(1, 10)));
    writes.flush();
    assert.equal(sent.length, 2);
  });
});
