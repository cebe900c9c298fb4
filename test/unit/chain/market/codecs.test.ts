/** One encoding a value, of everything that the two sides of the market sign or send. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  decodeClientFrame,
  decodeMinerFrame,
  encodeClientFrame,
  encodeMinerFrame,
  MAX_WORK_FRAME_BYTES,
} from '../../../../protocols/market/work-frames.ts';
import { Writer } from '../../../../src/chain/codec.ts';
import { ASSIGNMENT_BYTES, decodeAssignment, encodeAssignment } from '../../../../src/chain/market/assignment.ts';
import {
  decodeContent,
  encodeContent,
  MAX_CONTENT_PARAMS,
  MAX_CONTENT_PARTS,
} from '../../../../src/chain/market/content.ts';
import { decodeJob, encodeJob, MAX_JOB_BYTES } from '../../../../src/chain/market/job.ts';
import type { OfferedModel } from '../../../../src/chain/market/offer.ts';
import { decodeOffer, encodeOffer, MAX_OFFER_BYTES, MAX_OFFERED_MODELS } from '../../../../src/chain/market/offer.ts';
import {
  decodeQuote,
  decodeQuoteRequest,
  encodeQuote,
  encodeQuoteRequest,
  MAX_QUOTE_BYTES,
  MAX_QUOTE_REQUEST_BYTES,
} from '../../../../src/chain/market/quote.ts';
import { decodeReceipt, encodeReceipt, MAX_RECEIPT_BYTES } from '../../../../src/chain/market/receipt.ts';
import { isNodeError } from '../../../../src/errors.ts';
import * as arbitrary from '../../../util/market-arbitraries.ts';

interface Form<T> {
  readonly values: fc.Arbitrary<T>;
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
  readonly maxBytes: number;
}

const form = <T>(
  values: fc.Arbitrary<T>,
  encode: (value: T) => Uint8Array,
  decode: (bytes: Uint8Array) => unknown,
  maxBytes: number,
): Form<unknown> => ({ values, encode, decode, maxBytes }) as Form<unknown>;

const FORMS: Readonly<Record<string, Form<unknown>>> = {
  content: form(arbitrary.content, encodeContent, decodeContent, Infinity),
  job: form(arbitrary.job, encodeJob, decodeJob, MAX_JOB_BYTES),
  'quote request': form(arbitrary.quoteRequest, encodeQuoteRequest, decodeQuoteRequest, MAX_QUOTE_REQUEST_BYTES),
  quote: form(arbitrary.quote, encodeQuote, decodeQuote, MAX_QUOTE_BYTES),
  assignment: form(arbitrary.assignment, encodeAssignment, decodeAssignment, ASSIGNMENT_BYTES),
  receipt: form(arbitrary.receipt, encodeReceipt, decodeReceipt, MAX_RECEIPT_BYTES),
  offer: form(arbitrary.offer, encodeOffer, decodeOffer, MAX_OFFER_BYTES),
  'client frame': form(arbitrary.clientFrame, encodeClientFrame, decodeClientFrame, MAX_WORK_FRAME_BYTES),
  'miner frame': form(arbitrary.minerFrame, encodeMinerFrame, decodeMinerFrame, MAX_WORK_FRAME_BYTES),
};

const isCodecError = (error: unknown): boolean => isNodeError(error) && error.code === 'CODEC';

/** The value, or nothing where the bytes are rejected; every other failure is one of the decoder. */
function decoded(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch (error) {
    assert(isCodecError(error), String(error));
    return undefined;
  }
}

for (const [name, { values, encode, decode, maxBytes }] of Object.entries(FORMS)) {
  describe(`market: ${name}`, () => {
    it('decodes what was encoded, within the bytes it may have', () => {
      const property = fc.property(values, (value) => {
        const bytes = encode(value);
        assert(bytes.length <= maxBytes, `${bytes.length} bytes`);
        assert.deepEqual(plain(decode(bytes)), plain(value));
      });
      fc.assert(property, { numRuns: 150 });
    });

    it('has one encoding: what decodes after a change encodes to the very bytes', () => {
      const changes = fc.record({ at: fc.nat(), to: fc.nat(255), cut: fc.boolean() });
      const property = fc.property(values, fc.array(changes, { minLength: 1, maxLength: 4 }), (value, edits) => {
        let bytes = Uint8Array.from(encode(value));
        for (const { at, to, cut } of edits) {
          if (bytes.length === 0) return;
          if (cut) bytes = bytes.subarray(0, at % bytes.length);
          else bytes[at % bytes.length] = to;
        }
        const back = decoded(decode, bytes);
        // A code of a later version is read as a fault, and is not sent on.
        const isForeign = (back as { code?: string } | undefined)?.code === 'PEER_PROTOCOL';
        if (back && !isForeign) assert.deepEqual(encode(back), bytes);
      });
      fc.assert(property, { numRuns: 300 });
    });

    it('takes no byte more', () => {
      fc.assert(
        fc.property(values, (value) => {
          const longer = Uint8Array.from([...encode(value), 0]);
          assert.throws(() => decode(longer), isCodecError);
        }),
        { numRuns: 20 },
      );
    });
  });
}

describe('market: bounds of counts', () => {
  it('bound: parts and parameters of a content', () => {
    const salt = new Uint8Array(32);
    const part = { role: '', mediaType: '', data: new Uint8Array() };
    const param = { name: 'n', value: '' };
    const most = {
      ...{ salt, params: Array(MAX_CONTENT_PARAMS).fill(param), parts: Array(MAX_CONTENT_PARTS).fill(part) },
    } as Parameters<typeof encodeContent>[0];
    assert.equal(decodeContent(encodeContent(most)).parts.length, MAX_CONTENT_PARTS);
    const overParts = encodeContent({ ...most, parts: [...most.parts, part] });
    const overParams = encodeContent({ ...most, params: [...most.params, param] });
    for (const bytes of [overParts, overParams]) assert.throws(() => decodeContent(bytes), isCodecError);
  });

  it('a parameter that is not UTF-8 is no content', () => {
    const bytes = new Writer(64).fixed(new Uint8Array(32), 32).u16(1).ascii8('n').bytes16(Uint8Array.of(0xff)).u16(0);
    assert.throws(() => decodeContent(bytes.finish()), isCodecError);
  });

  it('bound: models and bytes of an offer', () => {
    const [sample] = fc.sample(
      arbitrary.offer.filter(({ offer }) => offer.models.length > 0),
      { numRuns: 1, seed: 1 },
    );
    const model = sample?.offer.models[0];
    assert(sample && model);
    const small: OfferedModel = { ...model, kind: 'k', model: 'm', digest: null, tags: [] };
    const withModels = (count: number, each: OfferedModel): Uint8Array =>
      encodeOffer({ ...sample, offer: { ...sample.offer, models: Array<OfferedModel>(count).fill(each) } });
    decodeOffer(withModels(MAX_OFFERED_MODELS, small));
    assert.throws(() => decodeOffer(withModels(MAX_OFFERED_MODELS + 1, small)), isCodecError);
    const large = {
      ...small,
      model: 'm'.repeat(128),
      digest: new Uint8Array(32),
      tags: Array<string>(4).fill('t'.repeat(24)),
    };
    assert.throws(() => decodeOffer(withModels(MAX_OFFERED_MODELS, large)), isCodecError);
  });

  it('a frame of a later version is passed over, an unknown one of this version is not', () => {
    for (const decode of [decodeClientFrame, decodeMinerFrame]) {
      assert.equal(decode(Uint8Array.of(128, 1, 2, 3)), null);
      assert.throws(() => decode(Uint8Array.of(127)), isCodecError);
      assert.throws(() => decode(new Uint8Array()), isCodecError);
    }
  });

  it('a long text is cut at a whole character', () => {
    const attempt = new Uint8Array(32);
    const bytes = encodeMinerFrame({ type: 'refuse', attempt, code: 'BUSY', afterMs: 0, text: 'ü€😀'.repeat(100) });
    const frame = decodeMinerFrame(bytes);
    assert(frame?.type === 'refuse' && frame.text.length > 50 && !frame.text.includes('\uFFFD'));
  });

  it('a code that this version does not know is a failure of the peer', () => {
    const bytes = new Writer(64).u8(35).fixed(new Uint8Array(32), 32).ascii8('NEWER').u32(0).bytes16(new Uint8Array());
    const frame = decodeMinerFrame(bytes.finish());
    assert(frame?.type === 'refuse' && frame.code === 'PEER_PROTOCOL');
  });
});

/** Views into one buffer and copies compare alike. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}
