import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { errorTable, readmeTable } from '../../scripts/error-table.ts';
import { ERRORS, isNodeError, NodeError, toNodeError } from '../../src/errors.ts';

/** Without the table itself, and without this test. */
function sourcesIn(folder: string): string[] {
  const root = new URL(`../../${folder}/`, import.meta.url);
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && path !== 'errors.ts')
    .map((path) => readFileSync(new URL(path, root), 'utf8'));
}

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

  it('every code is used by the program, and given by it in a test', () => {
    const [program, tests] = [['src', 'protocols', 'testnet'], ['test']].map((folders) =>
      folders.flatMap(sourcesIn).join('\n'),
    );
    const isNamed = (text: string | undefined, code: string): boolean => text?.includes(`'${code}'`) === true;
    for (const code of Object.keys(ERRORS)) {
      assert(isNamed(program, code), `${code} is used by nothing`);
      assert(isNamed(tests, code), `no test knows ${code}`);
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
