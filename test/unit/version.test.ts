import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { VERSION } from '../../src/version.ts';

it('the version is that of the package', async () => {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  assert.equal((JSON.parse(text) as { version: string }).version, VERSION);
});
