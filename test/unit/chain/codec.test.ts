import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CodecFault } from '../../../src/chain/codec.ts';
import { MAX_U64, Reader, Writer } from '../../../src/chain/codec.ts';
import { isNodeError } from '../../../src/errors.ts';
import { CASES } from '../../util/cases.ts';

/** One field of a record: a value, and how values of its kind are written and read. */
interface Field {
  readonly value: unknown;
  readonly write: (writer: Writer, value: unknown) => void;
  readonly read: (reader: Reader) => unknown;
}

function fieldOf<T>(value: T, write: (writer: Writer, value: T) => void, read: (reader: Reader) => T): Field {
  return { value, write: (writer, other) => write(writer, other as T), read };
}

const integerField = (type: 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'i64', min: number, max: number) =>
  fc.maxSafeInteger().map((seed) => {
    // Small numbers, both ends and the neighbourhood of powers of two matter more than the middle.
    const spread = seed % 4 === 0 ? seed : Math.trunc(seed / 2 ** (Math.abs(seed) % 50));
    const value = Math.min(max, Math.max(min, spread)) + 0;
    return fieldOf(
      value,
      (writer, other) => writer[type](other),
      (reader) => reader[type](),
    );
  });

const bytesField = (type: 'bytes8' | 'bytes16' | 'bytes32' | 'fixed') =>
  fc.uint8Array({ maxLength: 12 }).map((value) =>
    fieldOf<Uint8Array>(
      value,
      (writer, other) => (type === 'fixed' ? writer.fixed(other, value.length) : writer[type](other)),
      (reader) => reader[type](type === 'fixed' ? value.length : 12),
    ),
  );

const field: fc.Arbitrary<Field> = fc.oneof(
  integerField('u8', 0, 0xff),
  integerField('u16', 0, 0xffff),
  integerField('u32', 0, 0xffff_ffff),
  integerField('u64', 0, MAX_U64),
  integerField('i32', -0x8000_0000, 0x7fff_ffff),
  integerField('i64', -MAX_U64, MAX_U64),
  bytesField('bytes8'),
  bytesField('bytes16'),
  bytesField('bytes32'),
  bytesField('fixed'),
  fc.boolean().map((value) =>
    fieldOf(
      value,
      (writer, other) => writer.bool(other),
      (reader) => reader.bool(),
    ),
  ),
  fc.nat(2 ** 30).map((seed) =>
    fieldOf(
      String.fromCharCode(...Array.from({ length: seed % 9 }, (_, i) => 0x20 + ((seed >> i) % 95))),
      (writer, other) => writer.ascii8(other),
      (reader) => reader.ascii8(8),
    ),
  ),
);

const record = fc.array(field, { minLength: 1, maxLength: 4 });

function encode(fields: readonly Field[]): Uint8Array {
  const writer = new Writer(fields.length % 3);
  for (const { write, value } of fields) write(writer, value);
  return writer.finish();
}

function decode(fields: readonly Field[], bytes: Uint8Array): unknown[] {
  const reader = new Reader(bytes, 'record');
  const values = fields.map(({ read }) => read(reader));
  reader.end();
  return values;
}

const rejects = (run: () => unknown, ...reasons: CodecFault[]): void => {
  assert.throws(run, (error) => {
    return isNodeError(error) && error.code === 'CODEC' && reasons.some((reason) => error.data['reason'] === reason);
  });
};

describe('codec', () => {
  it('reads back what it wrote, from a view as well, and knows where it ends', () => {
    fc.assert(
      fc.property(record, (fields) => {
        const bytes = encode(fields);
        const view = new Uint8Array(bytes.length + 3).subarray(2, 2 + bytes.length);
        view.set(bytes);
        assert.deepEqual(
          decode(fields, view),
          fields.map(({ value }) => value),
        );
      }),
      { numRuns: CASES },
    );
  });

  it('rejects a record cut anywhere, and one with bytes after it', () => {
    fc.assert(
      fc.property(record, fc.nat(255), (fields, seed) => {
        const bytes = encode(fields);
        const longer = new Uint8Array(bytes.length + 1 + (seed % 3)).fill(seed);
        longer.set(bytes);
        rejects(() => decode(fields, longer), 'trailing');
        if (bytes.length > 0) rejects(() => decode(fields, bytes.subarray(0, seed % bytes.length)), 'truncated');
      }),
      { numRuns: CASES },
    );
  });

  it('rejects records cut at every single byte', () => {
    fc.assert(
      fc.property(record, (fields) => {
        const bytes = encode(fields);
        for (let end = 0; end < bytes.length; end++) rejects(() => decode(fields, bytes.subarray(0, end)), 'truncated');
      }),
      { numRuns: 2000 },
    );
  });

  it('accepts of arbitrary bytes only the one encoding of a value', () => {
    let accepted = 0;
    fc.assert(
      fc.property(record, fc.uint8Array({ maxLength: 24 }), (fields, bytes) => {
        const reader = new Reader(bytes, 'record');
        const writer = new Writer();
        try {
          for (const { read, write } of fields) {
            write(writer, read(reader));
            accepted += 1;
          }
        } catch (error) {
          assert.ok(isNodeError(error) && error.code === 'CODEC');
        }
        const again = writer.finish();
        assert.deepEqual(again, bytes.slice(0, again.length));
      }),
      { numRuns: CASES },
    );
    assert.ok(accepted > CASES / 10);
  });

  it('rejects lengths above their cap, whatever follows', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('bytes8' as const, 'bytes16' as const, 'bytes32' as const),
        fc.nat(255),
        fc.nat(255),
        (type, cap, over) => {
          const bytes = new Writer()[type](new Uint8Array(Math.min(255, cap + over))).finish();
          const reader = new Reader(bytes, 'bytes');
          if (cap + over > cap && cap < 255) rejects(() => reader[type](cap), 'over-cap');
          else assert.ok(reader[type](cap).length <= cap);
        },
      ),
      { numRuns: CASES },
    );
  });

  it('rejects counts above their cap or beyond the bytes left, before anything is made of them', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.nat(2000), fc.nat(100), fc.nat(64), (count, cap, itemBytes, left) => {
        const bytes = new Uint8Array(4 + left);
        new DataView(bytes.buffer).setUint32(0, count);
        const read = (): number => new Reader(bytes, 'list').count32(cap, itemBytes);
        if (count > cap) rejects(read, 'over-cap');
        else if (count * itemBytes > left) rejects(read, 'truncated');
        else assert.equal(read(), count);
      }),
      { numRuns: CASES },
    );
  });

  it('gives views of its input, not copies', () => {
    const bytes = Uint8Array.of(2, 7, 8);
    assert.equal(new Reader(bytes, 'bytes').bytes8(2).buffer, bytes.buffer);
  });

  it('refuses to encode what has no encoding', () => {
    const numbers = [-1, 1.5, NaN, Infinity, MAX_U64 + 1];
    for (const value of numbers) {
      for (const type of ['u8', 'u16', 'u32', 'u64'] as const) {
        rejects(() => new Writer()[type](value), 'out-of-range');
      }
    }
    for (const [type, value] of [
      ['u8', 256],
      ['u16', 65536],
      ['u32', 2 ** 32],
      ['i32', 2 ** 31],
      ['i32', -(2 ** 31) - 1],
      ['i64', 2 ** 53],
      ['i64', -(2 ** 53)],
      ['i64', 0.5],
    ] as const) {
      rejects(() => new Writer()[type](value), 'out-of-range');
    }
    rejects(() => new Writer().fixed(new Uint8Array(31), 32), 'out-of-range');
    rejects(() => new Writer().bytes8(new Uint8Array(256)), 'out-of-range');
    rejects(() => new Writer().bytes16(new Uint8Array(65536)), 'out-of-range');
    for (const text of ['é', '\n', '\u007f', 'x'.repeat(256), '\u{1f600}']) {
      rejects(() => new Writer().ascii8(text), 'out-of-range');
    }
  });

  it('hands out bytes that no later writer changes, whatever their size, and ends with that', () => {
    for (const size of [1, 64, 65, 300, 512, 513, 5_000]) {
      const writers = [1, 2, 3].map((value) => new Writer(size % 400).raw(new Uint8Array(size).fill(value)));
      const written = writers.map((writer) => writer.finish());
      new Writer().raw(new Uint8Array(size)).finish();
      written.forEach((bytes, i) => {
        assert.deepEqual(bytes, new Uint8Array(size).fill(i + 1));
      });
      const [writer] = writers;
      assert.throws(() => writer?.finish(), { code: 'INTERNAL' });
      assert.throws(() => writer?.u8(1), { code: 'INTERNAL' });
      assert.throws(() => writer?.raw(new Uint8Array(size)), { code: 'INTERNAL' });
    }
  });
});
