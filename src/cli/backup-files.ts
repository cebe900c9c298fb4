/** `aitbc backup create|restore`: the work. */
import { open } from 'node:fs/promises';
import { NodeError } from '../errors.ts';
import { nopLogger } from '../log.ts';
import { collectBackup, restoreBackup } from '../node/backup.ts';
import { decodeBackup, encodeBackup, MAX_BACKUP_BYTES } from '../node/backup-file.ts';
import { createFile } from '../store/files.ts';
import { errorCode, storageError } from '../store/storage-error.ts';
import type { Context } from './context.ts';
import { plural } from './output.ts';

export async function create(context: Context, file: string): Promise<void> {
  const backup = await collectBackup(context.home, new Date().toISOString());
  const bytes = encodeBackup(backup);
  const made = await createFile(file, bytes).catch((error: unknown) => {
    throw storageError(error, 'write the backup', file);
  });
  if (!made) {
    throw new NodeError('KEY_EXISTS', `${file} is there already, and is not overwritten`, {
      data: { path: file },
      hint: 'name a new file',
    });
  }
  const paths = backup.files.map(({ path }) => path);
  context.out.data(
    { file, created: backup.created, bytes: bytes.length, files: paths },
    `Wrote ${plural(paths.length, 'file')} into ${file}`,
  );
  context.out.note(
    'It holds keys that are not encrypted: whoever reads it can act as this node. Keep it where only you can.',
  );
}

export async function restore(context: Context, file: string, replace: boolean): Promise<void> {
  const backup = decodeBackup(await readBackup(file));
  const files = await restoreBackup(context.home, backup, { replace, log: nopLogger });
  const words = { restored: 'Restored', found: 'Found', replaced: 'Replaced', kept: 'Kept' };
  context.out.data(
    { home: context.home, created: backup.created, files },
    files.map(({ path, action }) => `${words[action]} ${path}`).join('\n'),
  );
  if (files.some(({ path, action }) => action === 'restored' && path.includes('/sign_guard-'))) {
    context.out.note(
      `The sign guard is as of ${backup.created}. Stop the node that this was made of before this one starts: two with one ` +
        'key sign against each other. What the key signed since, the other validators tell at the start; a validator that ' +
        'is a quorum alone has nobody to ask, so import its newest blocks first (aitbc chain import).',
    );
  }
  if (files.some(({ path, action }) => action !== 'found' && path === 'access/api_keys')) {
    context.out.note('API keys revoked since the backup hold again: aitbc key list shows them, key revoke ends one.');
  }
  context.out.note(`Next: aitbc doctor --home ${context.home}`);
}

async function readBackup(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      if (size > MAX_BACKUP_BYTES)
        throw new NodeError('TOO_LARGE', `${path} is too large for a backup`, { data: { path } });
      return new Uint8Array(await file.readFile());
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error instanceof NodeError ? error : storageError(error, 'read', path);
    throw new NodeError('NOT_FOUND', `there is no file ${path}`, { data: { path } });
  }
}
