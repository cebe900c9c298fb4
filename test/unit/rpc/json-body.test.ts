import assert from 'node:assert/strict';
import { isNodeError } from '../../../src/errors.ts';
import { parseJsonBody } from '../../../src/rpc/json-body.ts';

describe('rpc/json-body', () => {
  it('says of a body that is not JSON nothing that is in it: it may be a prompt, and causes are logged', () => {
    try {
      parseJsonBody('{"prompt": whisper}');
      assert.fail('it was taken');
    } catch (error) {
      assert.ok(isNodeError(error) && error.code === 'PARSE_ERROR');
      const told = [error.message, error.hint, JSON.stringify(error.data), String(error.cause)].join(' ');
      assert.ok(!told.includes('whisper'), told);
    }
  });
});
