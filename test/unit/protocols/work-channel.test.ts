import assert from 'node:assert/strict';
import { hpke } from '../../../protocols/market/sealing.ts';
import type { WorkChannel } from '../../../protocols/market/work-channel.ts';
import {
  acceptWorkChannel,
  MAX_WORK_RECORD_BYTES,
  openWorkChannel,
  PING_RECORD,
} from '../../../protocols/market/work-channel.ts';
import { encodeStreamRefusal } from '../../../protocols/market/stream-refusal.ts';
import { MAX_WORK_FRAME_BYTES } from '../../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import { createPureSigner, pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { equalBytes, utf8 } from '../../../src/bytes.ts';
import { NodeError } from '../../../src/errors.ts';
import { waitFor } from '../../util/wait.ts';

const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
const keysOf = (fill: number) => hpke.deriveSealKeys(new Uint8Array(32).fill(fill));
const [client, miner, stranger, forgotten] = [await keysOf(1), await keysOf(2), await keysOf(3), await keysOf(4)];
const account = createPureSigner(new Uint8Array(32).fill(5));

/** One way, as whoever carries it has it: `carry` may change, hold back, or add. */
class Way {
  readonly sent: Uint8Array[] = [];
  readonly #come: Uint8Array[] = [];
  #wake = Promise.withResolvers<void>();
  #isOver = false;
  carry: (record: Uint8Array, number: number) => readonly Uint8Array[] = (record) => [record];

  send(record: Uint8Array): void {
    if (this.#isOver) throw new NodeError('UNREACHABLE', 'closed');
    this.sent.push(record);
    for (const each of this.carry(record, this.sent.length - 1)) this.put(each);
  }

  put(record: Uint8Array): void {
    this.#come.push(record);
    this.#wake.resolve();
  }

  end(): void {
    this.#isOver = true;
    this.#wake.resolve();
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const record = this.#come.shift();
      if (record) return record;
      if (this.#isOver) return null;
      this.#wake = Promise.withResolvers();
      await this.#wake.promise;
    }
  }
}

const endOf = (out: Way, into: Way): WorkStream => ({
  send: async (record) => {
    await Promise.resolve();
    out.send(record);
  },
  read: () => into.read(),
  close: () => {
    out.end();
    into.end();
  },
});

async function connect(there = new Way(), back = new Way(), minerKey = miner.publicKey) {
  const served = acceptWorkChannel({
    ...{ chain, sealing: hpke, stream: endOf(back, there), signer: account },
    keysOf: (key) => [miner, stranger].find(({ publicKey }) => equalBytes(publicKey, key)),
  });
  const opened = await openWorkChannel({
    ...{ chain, sealing: hpke, stream: endOf(there, back), keys: client, minerKey },
    ...{ miner: account.publicKey, verifier: pureCrypto },
  });
  return { there, back, opened, served };
}

/** Both read: what came, until the end or the error. */
function readAll(channel: WorkChannel): { frames: string[]; over: Promise<string> } {
  const frames: string[] = [];
  const over = (async () => {
    try {
      for (let frame = await channel.read(); frame; frame = await channel.read()) {
        frames.push(new TextDecoder().decode(frame));
      }
      return 'end';
    } catch (error) {
      return error instanceof NodeError ? error.code : String(error);
    }
  })();
  return { frames, over };
}

describe('protocols/work-channel', () => {
  it('carries frames both ways, several in a record when they wait, none of them readable on the way', async () => {
    const { there, back, opened, served } = await connect();
    const [toClient, toMiner] = [readAll(opened), readAll(served)];
    await Promise.all(['one', 'two', 'three'].map((text) => opened.send(utf8(text))));
    await waitFor('the frames', () => toMiner.frames.length === 3);
    await served.send(utf8('an answer'));
    served.close();
    assert.deepEqual([await toClient.over, toClient.frames], ['end', ['an answer']]);
    assert.deepEqual(toMiner.frames, ['one', 'two', 'three']);
    assert.equal(there.sent.length, 2, 'a hello, and one record');
    assert.deepEqual(served.otherKey, client.publicKey);
    const seen = Buffer.concat([...there.sent, ...back.sent]).toString('latin1');
    assert.ok(!seen.includes('one') && !seen.includes('answer'));
  });

  it('bound: a record, however many frames wait, and however large they are', async () => {
    const { there, opened, served } = await connect();
    const toMiner = readAll(served);
    void readAll(opened);
    const sizes = [MAX_WORK_FRAME_BYTES, 0, 1, MAX_WORK_FRAME_BYTES - 100, 90, 20];
    await Promise.all(sizes.map((size) => opened.send(new Uint8Array(size).fill(65))));
    await assert.rejects(opened.send(new Uint8Array(MAX_WORK_FRAME_BYTES + 1)), { code: 'TOO_LARGE' });
    opened.close();
    await toMiner.over;
    assert.deepEqual(
      toMiner.frames.map(({ length }) => length),
      sizes,
    );
    assert.equal(Math.max(...there.sent.map(({ length }) => length)), MAX_WORK_RECORD_BYTES);
  });

  it('what was given before the close still goes out; then nothing does', async () => {
    const { opened, served } = await connect();
    const toMiner = readAll(served);
    void readAll(opened);
    await opened.send(utf8('first'));
    const last = opened.send(utf8('last'));
    opened.close();
    await last;
    await assert.rejects(opened.send(utf8('late')), { code: 'UNREACHABLE' });
    assert.deepEqual([await toMiner.over, toMiner.frames], ['end', ['first', 'last']]);
    assert.equal(await opened.read(), null);
  });

  it('pings are heard and passed over, before and after the hellos', async () => {
    let heard = 0;
    const [there, back] = [new Way(), new Way()];
    const options = { chain, sealing: hpke, onHeard: () => void heard++ };
    const served = acceptWorkChannel({ ...options, stream: endOf(back, there), keysOf: () => miner, signer: account });
    there.put(PING_RECORD);
    const opened = await connect(there, back).then(({ opened: made }) => made);
    const toMiner = readAll(served);
    void readAll(opened);
    await opened.send(utf8('x'));
    there.put(PING_RECORD);
    opened.close();
    assert.deepEqual([await toMiner.over, toMiner.frames, heard], ['end', ['x'], 4]);
  });

  // What whoever carries the records can do: each is refused at once, by whom it was meant for.
  const TRICKS: Record<string, Way['carry']> = {
    'changes a record': (record, number) => [
      number === 2 ? record.map((byte, i) => (i === 9 ? byte ^ 1 : byte)) : record,
    ],
    'says one twice': (record, number) => (number === 2 ? [record, record] : [record]),
    'leaves one out': (record, number) => (number === 1 ? [] : [record]),
    'makes one up': (record, number) => (number === 2 ? [Uint8Array.of(2, ...new Uint8Array(60))] : [record]),
    'says hello in between': (record, number) => (number === 2 ? [new Uint8Array(98).fill(1), record] : [record]),
    'sends what is no record': (record, number) => (number === 2 ? [Uint8Array.of(77)] : [record]),
    'cuts a record short': (record, number) => [number === 2 ? record.subarray(0, 10) : record],
    'changes the hello': (record, number) => [
      number === 0 ? record.map((byte, i) => (i === 5 ? byte ^ 1 : byte)) : record,
    ],
  };
  for (const direction of ['there', 'back'] as const) {
    for (const [what, carry] of Object.entries(TRICKS)) {
      it(`refuses at once when a relay ${what}, on the way ${direction}`, async () => {
        const made = await connect(Object.assign(new Way(), direction === 'there' && { carry }));
        if (direction === 'back') made.back.carry = carry;
        const [from, to] = direction === 'there' ? [made.opened, made.served] : [made.served, made.opened];
        const [read, other] = [readAll(to), readAll(from)];
        if (direction === 'back') await made.opened.send(utf8('first'));
        for (const text of ['1', '2', '3']) await Promise.race([from.send(utf8(text)), read.over]);
        from.close();
        assert.equal(await read.over, 'BAD_PROOF');
        assert.ok(!read.frames.includes('3'), 'nothing after it is taken');
        to.close();
        await other.over;
      });
    }
  }

  it('neither side takes what was recorded on another stream', async () => {
    const first = await connect();
    const [toClient, toMiner] = [readAll(first.opened), readAll(first.served)];
    await first.opened.send(utf8('pay'));
    await first.served.send(utf8('done'));
    first.opened.close();
    await Promise.all([toClient.over, toMiner.over]);

    const again = acceptWorkChannel({
      ...{ chain, sealing: hpke, stream: endOf(new Way(), first.there), keysOf: () => miner, signer: account },
    });
    for (const record of first.there.sent) first.there.put(record);
    assert.deepEqual(await readAll(again).over, 'BAD_PROOF', 'the miner');

    const back = new Way();
    for (const record of first.back.sent) back.put(record);
    const opened = await openWorkChannel({
      ...{ chain, sealing: hpke, stream: endOf(new Way(), back), keys: client, minerKey: miner.publicKey },
      ...{ miner: account.publicKey, verifier: pureCrypto },
    });
    assert.deepEqual(await readAll(opened).over, 'BAD_PROOF', 'the client');
  });

  it('a client cannot be answered by another than the owner of the key, nor a miner be asked by one', async () => {
    const [there, back] = [new Way(), new Way()];
    const thief = acceptWorkChannel({
      chain,
      sealing: hpke,
      stream: endOf(back, there),
      keysOf: () => stranger,
      signer: account,
    });
    const opened = await openWorkChannel({
      ...{ chain, sealing: hpke, stream: endOf(there, back), keys: client, minerKey: miner.publicKey },
      ...{ miner: account.publicKey, verifier: pureCrypto },
    });
    const read = readAll(opened);
    void readAll(thief);
    await thief.send(utf8('forged'));
    assert.equal(await read.over, 'BAD_PROOF');
    opened.close();

    // The client's public key is in its assignment, for all to see.
    const keys = { publicKey: client.publicKey, privateKey: stranger.privateKey };
    const [out, into] = [new Way(), new Way()];
    const served = acceptWorkChannel({
      chain,
      sealing: hpke,
      stream: endOf(into, out),
      keysOf: () => miner,
      signer: account,
    });
    const forged = await openWorkChannel({
      ...{ chain, sealing: hpke, stream: endOf(out, into), keys, minerKey: miner.publicKey },
      ...{ miner: account.publicKey, verifier: pureCrypto },
    });
    const refused = readAll(served);
    void readAll(forged);
    await forged.send(utf8('stop'));
    assert.deepEqual([await refused.over, refused.frames], ['BAD_PROOF', []]);
  });

  describe('a stream to a key that the miner has no more', () => {
    /** @param carry what becomes of the miner's refusal on the way */
    const refused = async (carry: Way['carry'] = (record) => [record], there = new Way()) => {
      const back = Object.assign(new Way(), { carry });
      const { opened, served } = await connect(there, back, forgotten.publicKey);
      const [toClient, toMiner] = [readAll(opened), readAll(served)];
      opened.send(utf8('work')).catch(() => undefined);
      assert.deepEqual([await toMiner.over, toMiner.frames], ['EXPIRED', []]);
      const over = await toClient.over;
      served.close();
      return { over, refusal: opened.refusal?.code ?? null, record: back.sent[0] ?? assert.fail(), sent: there.sent };
    };

    it('is refused in the miner’s own word, before anything but the hello has left', async () => {
      const { over, refusal, sent } = await refused();
      assert.deepEqual([over, refusal, sent.length], ['EXPIRED', 'EXPIRED', 1]);
    });

    it('is refused by nobody else: a relay can change nothing in it, and say it on no other stream', async () => {
      const forge = (change: (record: Uint8Array) => Uint8Array) => refused((record) => [change(record)]);
      const earlier = (await refused()).record;
      const other = createPureSigner(new Uint8Array(32).fill(6));
      const hello = new Uint8Array(98);
      const tricks: ((record: Uint8Array) => Uint8Array)[] = [
        (record) => record.map((byte, i) => (i === 2 ? byte ^ 1 : byte)),
        (record) => record.map((byte, i) => (i === record.length - 1 ? byte ^ 1 : byte)),
        (record) => record.subarray(0, 20),
        () => Uint8Array.of(4),
        () => earlier,
        () => Uint8Array.of(4, ...encodeStreamRefusal(chain, other, hello, 'EXPIRED')),
      ];
      for (const trick of tricks) {
        const { over, refusal } = await forge(trick);
        assert.deepEqual([over, refusal], ['BAD_PROOF', null]);
      }
    });

    it('is refused before it began, or never: neither side takes a refusal later', async () => {
      const { record } = await refused();
      for (const direction of ['there', 'back'] as const) {
        const made = await connect();
        const [toClient, toMiner] = [readAll(made.opened), readAll(made.served)];
        await made.opened.send(utf8('first'));
        await waitFor('the first', () => toMiner.frames.length === 1);
        made[direction].put(record);
        const [to, from] = direction === 'there' ? [toMiner, made.opened] : [toClient, made.served];
        assert.equal(await to.over, 'BAD_PROOF');
        from.close();
      }
      const there = new Way();
      const served = acceptWorkChannel({
        ...{ chain, sealing: hpke, stream: endOf(new Way(), there), signer: account, keysOf: () => miner },
      });
      there.put(record);
      assert.equal(await readAll(served).over, 'BAD_PROOF');
    });
  });
});
