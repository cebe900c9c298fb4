/** The token by which a node knows its operator: made once, readable by the user of the node alone. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { utf8 } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { createFile } from '../store/files.ts';
import { storageError } from '../store/storage-error.ts';

const TOKEN = /^[0-9a-f]{64}$/;

/** @throws NodeError KEY_FILE when the file holds no token; STORAGE */
export async function ensureOperatorToken(path: string): Promise<string> {
  let text: string;
  try {
    await createFile(path, utf8(`${randomBytes(32).toString('hex')}\n`));
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw storageError(error, 'use the operator token', path);
  }
  if (TOKEN.test(text)) return text;
  throw new NodeError('KEY_FILE', 'the file of the operator token holds none', {
    data: { path },
    hint: 'remove the file: the next start makes a new one',
  });
}
