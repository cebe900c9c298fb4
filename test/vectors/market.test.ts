import assert from 'node:assert/strict';
import { decodeClientFrame, decodeMinerFrame, encodeClientFrame } from '../../protocols/market/work-frames.ts';
import { fromHex, toHex } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import { pureCrypto } from '../../src/chain/crypto/pure.ts';
import type { Crypto } from '../../src/chain/crypto/types.ts';
import { assignmentSignBytes, decodeAssignment } from '../../src/chain/market/assignment.ts';
import { decodeContent, encodeContent } from '../../src/chain/market/content.ts';
import { attemptId, decodeJob, jobSignBytes } from '../../src/chain/market/job.ts';
import { decodeOffer, offerSignBytes } from '../../src/chain/market/offer.ts';
import type { Price } from '../../src/chain/market/price.ts';
import { dueUait } from '../../src/chain/market/price.ts';
import {
  decodeQuote,
  decodeQuoteRequest,
  quoteRequestSignBytes,
  quoteSignBytes,
} from '../../src/chain/market/quote.ts';
import { acknowledgementSignBytes, decodeReceipt, receiptSignBytes } from '../../src/chain/market/receipt.ts';
import { nextLink, tickSignBytes } from '../../src/chain/market/tick.ts';
import { agreementId } from '../../src/chain/modules/compute/agreement.ts';
import { decodeTransaction } from '../../src/chain/tx.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { hpke } from '../../protocols/market/sealing.ts';
import { openByReference } from '../unit/protocols/hpke-reference.ts';
import { readVectors } from './read.ts';

interface Vectors {
  readonly chain: { chainId: string; genesisHash: string };
  readonly keys: Readonly<Record<'client' | 'session' | 'miner', string>>;
  readonly content: { bytes: string; hash: string };
  readonly attempt: { job: string; number: number; id: string };
  readonly pieces: { bytes: string; link: string }[];
  readonly due: Price & { inputBytes: number; outputBytes: number; dueUait: number };
  readonly open: { bytes: string; agreement: string };
  readonly assign: string;
  readonly stream: Readonly<
    Record<'clientSecret' | 'minerSecret' | 'clientHello' | 'minerHello' | 'clientRecord' | 'minerRecord', string>
  > & { readonly clientFrames: string[]; readonly minerFrames: string[] };
  readonly signed: Record<string, { signBytes: string; signature: string; bytes: string; id?: string }>;
}

const vectors = readVectors<Vectors>('market');
const chain = { chainId: vectors.chain.chainId, genesisHash: fromHex(vectors.chain.genesisHash) };

/** From an object's bytes to what was signed. */
const SIGN_BYTES: Readonly<Record<string, (bytes: Uint8Array, id: string | undefined) => Uint8Array>> = {
  offer: (bytes) => offerSignBytes(chain, decodeOffer(bytes).offer),
  quoteRequest: (bytes) => quoteRequestSignBytes(chain, decodeQuoteRequest(bytes).request),
  quote: (bytes) => quoteSignBytes(chain, decodeQuote(bytes).quote),
  job: (bytes) => jobSignBytes(chain, decodeJob(bytes).spec),
  assignment: (bytes) => assignmentSignBytes(chain, decodeAssignment(bytes).assignment),
  tick: (bytes) => {
    const frame = decodeMinerFrame(bytes);
    assert(frame?.type === 'tick');
    return tickSignBytes(chain, frame.tick.tick);
  },
  receipt: (bytes) => receiptSignBytes(chain, decodeReceipt(bytes).receipt),
  acknowledgement: () => acknowledgementSignBytes(chain, fromHex(vectors.signed['receipt']?.id ?? '')),
};

const SIGNER: Readonly<Record<string, keyof Vectors['keys']>> = {
  ...{ quoteRequest: 'client', job: 'session', assignment: 'session', acknowledgement: 'session' },
};

for (const [back, crypto] of Object.entries<Crypto>({ pure: pureCrypto, native: nativeCrypto })) {
  describe(`market vectors, ${back}`, () => {
    for (const [name, { signBytes, signature, bytes, id }] of Object.entries(vectors.signed)) {
      it(name, () => {
        const signed = SIGN_BYTES[name]?.(fromHex(bytes), id);
        assert(signed);
        assert.equal(toHex(signed), signBytes);
        const publicKey = fromHex(vectors.keys[SIGNER[name] ?? 'miner']);
        assert(crypto.verify(signed, fromHex(signature), publicKey));
        if (id) assert.equal(toHex(crypto.hash(signed)), id);
      });
    }

    it('content, attempt, links and due', () => {
      const content = decodeContent(fromHex(vectors.content.bytes));
      assert.equal(toHex(encodeContent(content)), vectors.content.bytes);
      assert.equal(toHex(crypto.hash(fromHex(vectors.content.bytes))), vectors.content.hash);
      const { job, number, id } = vectors.attempt;
      let link = attemptId(crypto, fromHex(job), number);
      assert.equal(toHex(link), id);
      for (const piece of vectors.pieces) {
        link = nextLink(crypto, link, fromHex(piece.bytes));
        assert.equal(toHex(link), piece.link);
      }
      const { inputBytes, outputBytes, dueUait: due, ...price } = vectors.due;
      assert.equal(dueUait(price, inputBytes, outputBytes), due);
    });

    it('the opening and the frame that starts the work', () => {
      const open = decodeTransaction(crypto, fromHex(vectors.open.bytes));
      const client = addressOf(crypto, fromHex(vectors.keys.client));
      assert.equal(toHex(agreementId(crypto, chain, client, open.nonce)), vectors.open.agreement);
      const frame = decodeClientFrame(fromHex(vectors.assign));
      assert(frame?.type === 'assign');
      assert.equal(toHex(frame.open), vectors.open.bytes);
      assert.equal(toHex(encodeClientFrame(frame)), vectors.assign);
    });
  });
}

/** By Node's own primitives alone, from the bytes that went over the stream. */
describe('market vectors, records of a work stream', () => {
  const { stream } = vectors;
  const [clientHello, minerHello] = [fromHex(stream.clientHello), fromHex(stream.minerHello)];
  const info = Buffer.concat([Buffer.from('\x08AIT/work\x0aait-devnet'), chain.genesisHash]);
  const aad = Buffer.concat([clientHello, minerHello]);
  const withLengths = (frames: readonly string[]): Buffer =>
    Buffer.concat(
      frames
        .map((hex) => fromHex(hex))
        .map((frame) => {
          const length = Buffer.alloc(4);
          length.writeUInt32BE(frame.length);
          return Buffer.concat([length, frame]);
        }),
    );

  it('the hellos name both keys, which are those of quote and assignment', async () => {
    const client = await hpke.deriveSealKeys(fromHex(stream.clientSecret));
    const miner = await hpke.deriveSealKeys(fromHex(stream.minerSecret));
    assert.deepEqual([...clientHello.subarray(0, 2)], [1, 2]);
    assert.deepEqual([...minerHello.subarray(0, 2)], [1, 2]);
    assert.deepEqual([clientHello.length, minerHello.length], [98, 34]);
    assert.equal(toHex(clientHello.subarray(34, 66)), toHex(client.publicKey));
    assert.equal(toHex(clientHello.subarray(66)), toHex(miner.publicKey));
    assert.deepEqual(decodeQuote(fromHex(vectors.signed['quote']?.bytes ?? '')).quote.sealKey, miner.publicKey);
    const { assignment } = decodeAssignment(fromHex(vectors.signed['assignment']?.bytes ?? ''));
    assert.deepEqual(assignment.sealTo, client.publicKey);
  });

  for (const [who, hello, record, frames] of [
    ['client', clientHello, stream.clientRecord, stream.clientFrames],
    ['miner', minerHello, stream.minerRecord, stream.minerFrames],
  ] as const) {
    it(`the record of the ${who} opens to its frames`, async () => {
      const client = await hpke.deriveSealKeys(fromHex(stream.clientSecret));
      const miner = await hpke.deriveSealKeys(fromHex(stream.minerSecret));
      const [from, to] = who === 'client' ? [client, miner] : [miner, client];
      const [type, sealed] = [fromHex(record)[0], fromHex(record).subarray(1)];
      assert.equal(type, 2);
      const message = { enc: hello.subarray(2, 34), info, aad, sealed, sequence: 0 };
      const opened = openByReference({ aeadId: 2, keyBytes: 32 }, to, message, from.publicKey);
      assert.equal(opened.toString('hex'), withLengths(frames).toString('hex'));
    });
  }
});
