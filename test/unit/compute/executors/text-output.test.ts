import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { TextEnd } from '../../../../src/compute/executors/text-output.ts';
import { TextOutput } from '../../../../src/compute/executors/text-output.ts';

interface Written {
  readonly text: string;
  readonly end: TextEnd | null;
  readonly sizes: readonly number[];
}

async function write(parts: readonly string[], stops: readonly string[] = [], maxBytes = 1e9): Promise<Written> {
  const pieces: Uint8Array[] = [];
  const emit = (bytes: Uint8Array): Promise<void> => {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    pieces.push(bytes);
    return Promise.resolve();
  };
  const output = new TextOutput({ maxBytes, stops, emit });
  let end: TextEnd | null = null;
  for (const part of parts) {
    end = await output.push(part);
    if (end !== null) break;
  }
  end ??= await output.end();
  return { text: Buffer.concat(pieces).toString('utf8'), end, sizes: pieces.map(({ length }) => length) };
}

describe('text on its way out', () => {
  it('ends before the first text to stop at, however it is cut', async () => {
    assert.deepEqual(await write(['one ', 't', 'wo', ' three'], ['two', 'three']), {
      text: 'one ',
      end: 'stop',
      sizes: [4],
    });
    assert.equal((await write(['aab'], ['ab'])).text, 'a');
    const long = ['b', 'abc'];
    assert.deepEqual([(await write(['ab', 'c'], long)).text, (await write(['ab', 'd'], long)).text], ['', 'a']);
    assert.deepEqual(await write(['ab'], long), { text: 'a', end: 'stop', sizes: [1] });
    assert.deepEqual(await write(['a', 'a', 'tw'], ['two']), { text: 'aatw', end: null, sizes: [1, 1, 2] });
  });

  it('is the same as the text cut as a whole', async () => {
    const unit = fc.constantFrom('a', 'b', 'ü', '🌕', ' ');
    const words = fc.array(
      fc.array(unit, { maxLength: 4 }).map((units) => units.join('')),
      { maxLength: 12 },
    );
    const stops = fc.array(
      fc.array(unit, { minLength: 1, maxLength: 3 }).map((units) => units.join('')),
      { maxLength: 2 },
    );
    await fc.assert(
      fc.asyncProperty(words, stops, fc.integer({ min: 0, max: 40 }), async (parts, texts, maxBytes) => {
        const whole = parts.join('');
        const ats = texts.map((stop) => whole.indexOf(stop)).filter((at) => at !== -1);
        const kept = ats.length === 0 ? whole : whole.slice(0, Math.min(...ats));
        const { text, end } = await write(parts, texts, maxBytes);
        assert.ok(kept.startsWith(text));
        if (Buffer.byteLength(kept) <= maxBytes)
          assert.deepEqual([text, end], [kept, ats.length === 0 ? null : 'stop']);
        else
          assert.ok(end === 'length' && Buffer.byteLength(text) <= maxBytes && Buffer.byteLength(text) > maxBytes - 4);
      }),
    );
  });

  it('joins the halves of a character that came apart', async () => {
    assert.deepEqual((await write(['\ud83c', '\udf15'])).text, '🌕');
    assert.deepEqual((await write(['\ud83c'])).text, '\ufffd');
  });

  it('bound: pieces have at most 64 KiB', async () => {
    const long = 'ü🌕x'.repeat(30_000);
    const { text, sizes } = await write([long]);
    assert.equal(text, long);
    assert.ok(sizes.every((size) => size <= 65_536) && sizes.length < 5);
  });
});
