import assert from 'node:assert/strict';
import { readFromChild } from '../../../../src/compute/executors/builtin/messages.ts';

const result = { finish: 'stop', inputTokens: 1, outputTokens: null, contextTokens: null, loaded: [] };

describe('what a child says', () => {
  it('is taken when it is a message', () => {
    const piece = { type: 'piece', id: 1, bytes: Uint8Array.of(1) };
    assert.deepEqual(readFromChild({ ...piece, more: 'ignored' }), piece);
    assert.deepEqual(readFromChild({ type: 'done', id: 2, result }), { type: 'done', id: 2, result });
    const failed = { type: 'failed', id: 3, code: 'BAD_JOB', message: 'no' };
    assert.deepEqual(readFromChild(failed), failed);
  });

  it('bound: sizes and shapes of all it may say', () => {
    const wrong: unknown[] = [
      ...[null, undefined, 7, 'done', [], {}, { type: 'done', id: 1 }, { type: 'exec', id: 1 }],
      ...[
        { type: 'piece', id: 1, bytes: new Uint8Array() },
        { type: 'piece', id: 1, bytes: new Uint8Array(65_537) },
      ],
      ...[
        { type: 'piece', id: 1, bytes: 'text' },
        { type: 'piece', id: '1', bytes: Uint8Array.of(1) },
      ],
      ...[
        { type: 'failed', id: 1, code: 'NO_SUCH_CODE', message: '' },
        { type: 'failed', id: 1, code: 'BUSY' },
      ],
      { type: 'done', id: 1, result: { ...result, finish: 'maybe' } },
      { type: 'done', id: 1, result: { ...result, inputTokens: -1 } },
      { type: 'done', id: 1, result: { ...result, outputTokens: 0.5 } },
      { type: 'done', id: 1, result: { ...result, loaded: [7] } },
      { type: 'done', id: 1, result: { ...result, loaded: new Array<string>(65).fill('x') } },
    ];
    for (const message of wrong) assert.equal(readFromChild(message), null, JSON.stringify(message));
    const long = readFromChild({ type: 'failed', id: 1, code: 'BUSY', message: 'x'.repeat(10_000) });
    assert.equal(long?.type === 'failed' && long.message.length, 4_096);
  });
});
