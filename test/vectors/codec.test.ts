import assert from 'node:assert/strict';
import { fromHex, toHex } from '../../src/bytes.ts';
import { Reader, Writer } from '../../src/chain/codec.ts';
import { isNodeError } from '../../src/errors.ts';
import { readVectors } from './read.ts';

interface CodecVector {
  readonly type: string;
  readonly value: string;
  readonly hex: string;
  readonly cap?: number;
  readonly itemBytes?: number;
}

type Rejected = Omit<CodecVector, 'value'> & { readonly reason: string };

const { valid, rejected } = readVectors<{ valid: CodecVector[]; rejected: Rejected[] }>('codec');

/** The value in the form of the vectors. */
function read(reader: Reader, { type, cap = 0, itemBytes = 0 }: Omit<CodecVector, 'value' | 'hex'>): string {
  switch (type) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
    case 'i32':
    case 'i64':
    case 'bool':
      return String(reader[type]());
    case 'fixed':
    case 'bytes8':
    case 'bytes16':
    case 'bytes32':
      return toHex(reader[type](cap));
    case 'ascii8':
      return reader.ascii8(cap);
    case 'count16':
    case 'count32':
      return String(reader[type](cap, itemBytes));
    default:
      throw new Error(`no primitive ${type}`);
  }
}

function write(writer: Writer, { type, value, cap = 0 }: CodecVector): Writer {
  switch (type) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
    case 'i32':
    case 'i64':
      return writer[type](Number(value));
    case 'bool':
      return writer.bool(value === 'true');
    case 'fixed':
      return writer.fixed(fromHex(value), cap);
    case 'bytes8':
    case 'bytes16':
    case 'bytes32':
      return writer[type](fromHex(value));
    case 'ascii8':
      return writer.ascii8(value);
    default:
      throw new Error(`no primitive ${type}`);
  }
}

describe('codec vectors', () => {
  it('are read, to the last byte', () => {
    for (const vector of valid) {
      const reader = new Reader(fromHex(vector.hex), 'vector');
      assert.equal(read(reader, vector), vector.value);
      if (!vector.type.startsWith('count')) reader.end();
    }
  });

  it('are written', () => {
    for (const vector of valid) {
      if (vector.type.startsWith('count')) continue;
      assert.equal(toHex(write(new Writer(0), vector).finish()), vector.hex);
    }
  });

  for (const vector of rejected) {
    it(`rejects ${vector.type} ${vector.hex} (cap ${vector.cap ?? 'none'}): ${vector.reason}`, () => {
      const reader = new Reader(fromHex(vector.hex), 'vector');
      assert.throws(
        () => {
          read(reader, vector);
          reader.end();
        },
        (error) => isNodeError(error) && error.code === 'CODEC' && error.data['reason'] === vector.reason,
      );
    });
  }
});
