import assert from 'node:assert/strict';
import { isNodeError } from '../../../src/errors.ts';
import { MAX_JSON_DEPTH, parseJsonBody } from '../../../src/rpc/json-body.ts';

const codeOf = (text: string): string | undefined => {
  try {
    parseJsonBody(text);
    return undefined;
  } catch (error) {
    return isNodeError(error) ? error.code : String(error);
  }
};

describe('rpc/json-body', () => {
  it('refuses keys that reach into prototypes, however they are spelt, and nothing else', () => {
    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__', 'c\\u006fnstructor']) {
      assert.equal(codeOf(`{"a":[{"${key}":1}]}`), 'PARSE_ERROR', key);
    }
    for (const value of ['__proto__', 'constructor', 'a\\nb', 'prototypes']) {
      assert.equal(codeOf(`{"a":"${value}"}`), undefined, value);
    }
    assert.equal(codeOf('{"prototypes":1,"__proto":2}'), undefined);
  });

  it('bound: brackets within each other, not beside each other nor in strings', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    assert.equal(codeOf(nested(MAX_JSON_DEPTH)), undefined);
    assert.equal(codeOf(nested(MAX_JSON_DEPTH + 1)), 'PARSE_ERROR');
    assert.equal(codeOf('{"a":'.repeat(MAX_JSON_DEPTH + 1) + '1' + '}'.repeat(MAX_JSON_DEPTH + 1)), 'PARSE_ERROR');
    assert.equal(codeOf(`[${'[],'.repeat(100)}"${'['.repeat(100)}"]`), undefined);
  });

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
