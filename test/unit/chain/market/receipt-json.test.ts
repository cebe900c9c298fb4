import assert from 'node:assert/strict';
import fc from 'fast-check';
import { receiptFromJson, receiptToJson } from '../../../../src/chain/market/receipt-json.ts';
import { acknowledgementCheck, receiptCheck } from '../../../../src/chain/market/receipt.ts';
import type { Json, JsonObject } from '../../../../src/chain/modules/types.ts';
import { isNodeError } from '../../../../src/errors.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { fixtureGenesis } from '../../../util/chain-fixture.ts';
import { makeReceipt } from '../../../util/fake-receipt.ts';

const { chain } = fixtureGenesis();
const fixture = makeReceipt(chain);

const written = (acknowledged = true): Json => {
  const { receipt: signed, acknowledgement } = fixture;
  const document = { chain, signed, acknowledgement: acknowledged ? acknowledgement : null };
  return JSON.parse(JSON.stringify(receiptToJson(nativeCrypto, document))) as Json;
};

/** Every place of a document that holds a value. */
function leaves(json: Json, path: readonly string[] = []): string[][] {
  if (typeof json !== 'object' || json === null) return [[...path]];
  return Object.entries(json).flatMap(([key, value]) => leaves(value, [...path, key]));
}

function changed(json: Json, [key = '', ...rest]: readonly string[], value: unknown): Json {
  const copy = structuredClone(json) as Record<string, Json>;
  copy[key] = rest.length === 0 ? (value as Json) : changed(copy[key] ?? null, rest, value);
  return copy;
}

describe('the JSON of a receipt', () => {
  it('holds all that was signed, and the chain it is of', () => {
    for (const acknowledged of [true, false]) {
      const read = receiptFromJson(nativeCrypto, written(acknowledged));
      const { receipt: signed, id, acknowledgement } = fixture;
      assert.deepEqual(read, {
        chain,
        signed,
        id,
        acknowledgement: acknowledged ? acknowledgement : null,
        anchor: null,
      });
    }
    const { chain: of, signed, acknowledgement, id } = receiptFromJson(nativeCrypto, written());
    assert(acknowledgement);
    const checks = [receiptCheck(of, signed), acknowledgementCheck(of, id, acknowledgement, signed.receipt.signer)];
    for (const { message, signature, publicKey } of checks) {
      assert.equal(nativeCrypto.verify(message, signature, publicKey), true);
    }
  });

  it('has the names that clients of the replaced system read, and integers alone', () => {
    const json = written() as JsonObject;
    const names = ['receipt_id', 'job_id', 'provider', 'client', 'status', 'units', 'unit_type', 'unit_price', 'price'];
    for (const name of [...names, 'started_at', 'completed_at', 'metadata', 'signature', 'attestations']) {
      assert(Object.hasOwn(json, name), name);
    }
    assert.equal(json['price'], 100 + 3 + 42);
    for (const path of leaves(json)) {
      const value = path.reduce<Json>((at, key) => (at as JsonObject)[key] ?? null, json);
      assert(typeof value !== 'number' || Number.isSafeInteger(value), path.join('/'));
    }
  });

  it('is refused, or tells other signed fields, whatever is changed', () => {
    const json = written();
    for (const path of leaves(json)) {
      for (const value of [null, 'x', -1, 1.5, 2 ** 53, 7, '0', 'ab'.repeat(32), {}, []]) {
        const other = changed(json, path, value);
        if (JSON.stringify(other) === JSON.stringify(json)) continue;
        try {
          const { id, signed, acknowledgement } = receiptFromJson(nativeCrypto, other);
          // What it says is what its signature would be checked against.
          const isSigned =
            nativeCrypto.verify(...checkOf(receiptCheck(chain, signed))) &&
            acknowledgement !== null &&
            nativeCrypto.verify(...checkOf(acknowledgementCheck(chain, id, acknowledgement, signed.receipt.signer)));
          assert.equal(isSigned, false, path.join('/'));
        } catch (error) {
          assert(isNodeError(error), path.join('/'));
          assert.match(error.code, /^(INVALID_PARAMS|BAD_RECEIPT|BAD_ADDRESS|CODEC)$/);
        }
      }
    }
  });

  it('names the field that does not follow from what was signed', () => {
    const code = (json: Json): unknown => {
      try {
        receiptFromJson(nativeCrypto, json);
        return null;
      } catch (error) {
        assert(isNodeError(error));
        return [error.code, error.data['field']];
      }
    };
    assert.deepEqual(code(changed(written(), ['provider'], 'ait1other')), ['BAD_RECEIPT', 'provider']);
    assert.deepEqual(code(changed(written(), ['status'], 'canceled')), ['BAD_RECEIPT', 'status']);
    assert.deepEqual(code(changed(written(), ['started_at'], 1)), ['BAD_RECEIPT', 'started_at']);
  });

  it('refuses input of any kind with a code', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        try {
          receiptFromJson(nativeCrypto, json as Json);
          return false;
        } catch (error) {
          return isNodeError(error);
        }
      }),
    );
  });
});

function checkOf({ message, signature, publicKey }: ReturnType<typeof receiptCheck>) {
  return [message, signature, publicKey] as const;
}
