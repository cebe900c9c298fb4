import assert from 'node:assert/strict';
import { readEvents, readLines } from '../../../../src/compute/executors/http/lines.ts';
import { failsWith } from '../../../util/executor-jobs.ts';

const bounds = { maxLineBytes: 12, maxBodyBytes: 60 };

async function* chunks(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) {
    await Promise.resolve();
    yield bytes.subarray(at, at + size);
  }
}

async function all(of: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const one of of) found.push(one);
  return found;
}

describe('lines and events of a model server', () => {
  it('are the same however they are cut', async () => {
    for (let size = 1; size < 40; size++) {
      assert.deepEqual(await all(readLines(chunks('one\r\n\nzwei ü🌕\nend', size), bounds)), [
        'one',
        '',
        'zwei ü🌕',
        'end',
      ]);
      const events = ': hello\n\ndata: a\ndata:b\nid: 7\n\n\ndata: [DONE]\n';
      assert.deepEqual(await all(readEvents(chunks(events, size), bounds)), ['a\nb', '[DONE]']);
    }
  });

  it('bound: the length of a line', async () => {
    assert.deepEqual(await all(readLines(chunks('123456789012\n', 5), bounds)), ['123456789012']);
    await failsWith('EXECUTOR', all(readLines(chunks('1234567890123', 5), bounds)), /a line of more than 12 bytes/);
  });

  it('bound: the length of a body', async () => {
    await failsWith('EXECUTOR', all(readLines(chunks('a\n'.repeat(31), 7), bounds)), /an answer of more than 60 bytes/);
  });

  it('bound: the length of an event of many lines, empty ones too', async () => {
    await failsWith(
      'EXECUTOR',
      all(readEvents(chunks('data:\n'.repeat(13), 7), { ...bounds, maxBodyBytes: 1e6 })),
      /event/,
    );
  });

  it('are text, or a failure', async () => {
    const body = (async function* () {
      await Promise.resolve();
      yield Uint8Array.of(0xff, 0x0a);
    })();
    await failsWith('EXECUTOR', all(readLines(body, bounds)), /UTF-8/);
  });
});
