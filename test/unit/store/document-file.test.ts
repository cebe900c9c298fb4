import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DocumentFile } from '../../../src/store/document-file.ts';

describe('a document on disk', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-document-'));
    path = join(folder, 'access', 'doc');
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const file = () => new DocumentFile(path, 'the things');

  it('is there whole, for this user alone', async () => {
    assert.equal(await file().read(), null);
    await file().write(() => ({ a: [1, 'ü'] }));
    assert.deepEqual(await file().read(), { a: [1, 'ü'] });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(statSync(join(folder, 'access')).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(join(folder, 'access')), ['doc']);
  });

  it('makes one write of those asked for meanwhile, and each resolves when its content is there', async () => {
    const document = file();
    let value = 0;
    let asked = 0;
    const write = () => {
      value++;
      return document.write(() => {
        asked++;
        return value;
      });
    };
    const first = write();
    await Promise.resolve();
    await Promise.resolve();
    await Promise.all([first, write(), write(), write()]);
    assert(asked <= 2, `${asked} writes for four`);
    assert.equal(await file().read(), 4);
  });

  it('is refused when it is damaged, or of a newer program', async () => {
    await file().write(() => ({ spent: 1_000 }));
    const text = readFileSync(path, 'utf8');
    for (const damaged of [text.replace('1000', '0000'), text.slice(0, -1), '', 'x'.repeat(17 * 1024 * 1024)]) {
      writeFileSync(path, damaged);
      await assert.rejects(file().read(), { code: 'CORRUPT' });
    }
    const newer = JSON.stringify({ format: 2, content: {} });
    writeFileSync(path, `${createHash('sha256').update(newer).digest('hex')}\n${newer}`);
    await assert.rejects(file().read(), { code: 'DATA_TOO_NEW' });
  });

  it('tells of a disk that fails, and writes again once it does not', async () => {
    writeFileSync(join(folder, 'access'), 'no folder');
    const document = file();
    await assert.rejects(
      document.write(() => 1),
      { code: 'STORAGE' },
    );
    rmSync(join(folder, 'access'));
    await document.write(() => 2);
    assert.equal(await file().read(), 2);
  });
});
