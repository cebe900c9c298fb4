/** What the disk says, as the program's errors: the reason in words, and what to do next. */
import { NodeError } from '../errors.ts';

const REASONS: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
  ENOSPC: ['the disk is full', 'free some space, then start the node again; nothing is lost'],
  EDQUOT: ['the disk quota is used up', 'free some space or raise the quota, then start the node again'],
  EFBIG: ['a file may not grow further', 'raise the file size limit, then start the node again'],
  EROFS: ['the file system is read-only', 'mount it writable, then start the node again'],
  EIO: ['the device failed', 'check the disk and the system log before starting the node again'],
  EACCES: ['permission denied', 'give the user that runs the node the right to write there'],
  EPERM: ['permission denied', 'give the user that runs the node the right to write there'],
  EMFILE: ['too many open files', 'raise the limit of open files (ulimit -n)'],
};

/** LevelDB passes the system's message on, not its code. */
const TEXTS: readonly (readonly [text: RegExp, code: string])[] = [
  [/no space left/i, 'ENOSPC'],
  [/quota exceeded/i, 'EDQUOT'],
  [/file too large/i, 'EFBIG'],
  [/read-only file system/i, 'EROFS'],
  [/input\/output error/i, 'EIO'],
  [/permission denied/i, 'EACCES'],
  [/too many open files/i, 'EMFILE'],
];

/** The code that node:fs or LevelDB put on what was thrown. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** @param what completes "could not …", e.g. "write the sign guard" */
export function storageError(error: unknown, what: string, path: string): NodeError {
  const message = error instanceof Error ? error.message : String(error);
  const code = TEXTS.find(([text]) => text.test(message))?.[1] ?? errorCode(error);
  const [reason, hint] = REASONS[code ?? ''] ?? [message, 'check the disk, then start the node again'];
  return new NodeError('STORAGE', `could not ${what}: ${reason}`, { data: { path, reason: code }, hint, cause: error });
}
