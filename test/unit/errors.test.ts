import assert from 'node:assert/strict';
import { errorTable, readmeTable } from '../../scripts/error-table.ts';
import { ERRORS, isNodeError, NodeError, toNodeError } from '../../src/errors.ts';

describe('errors', () => {
  it('the README lists exactly the codes of the program (node scripts/error-table.ts)', () => {
    assert.equal(readmeTable(), errorTable());
  });

  it('every code maps to a plausible status and a published exit code', () => {
    for (const [code, kind] of Object.entries(ERRORS)) {
      assert.ok(kind.http >= 400 && kind.http < 600, code);
      assert.ok(kind.jsonRpc <= -32000 && kind.jsonRpc >= -32768, code);
      assert.ok(kind.exit >= 1 && kind.exit <= 12, code);
    }
  });

  it('whatever was thrown becomes a coded error, and a coded one stays itself', () => {
    const coded = new NodeError('BAD_NONCE', 'used', { data: { nonce: 1 }, hint: 'ask again' });
    assert.equal(toNodeError(coded), coded);
    assert.ok(isNodeError(coded) && coded.kind.exit === 7);
    for (const thrown of [new TypeError('x'), 'text', undefined, { a: 1 }]) {
      assert.equal(toNodeError(thrown).code, 'INTERNAL');
    }
  });
});
