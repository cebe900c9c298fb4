/**
 * The form of a backup: one JSON document with the files in base64, a SHA-256 of each, and one of everything. What is read
 * may have been damaged or made by anyone: only files that a backup can hold are taken, at places inside a home.
 */
import { hash } from 'node:crypto';
import { utf8 } from '../bytes.ts';
import { NodeError } from '../errors.ts';

const VERSION = 1;
export const MAX_BACKUP_BYTES = 128 * 1024 * 1024;
export const MAX_BACKUP_FILES = 4_096;

/** With forward slashes, relative to the home. */
const CHAIN = 'chains/[a-z0-9][a-z0-9._-]{0,31}';
const PLACES = new RegExp(
  `^(?:config\\.toml|identity/(?:node_key|store_key)|access/api_keys|keystore/[A-Za-z0-9][A-Za-z0-9._-]{0,100}|` +
    `${CHAIN}/(?:genesis\\.json|validator_key|miner_key|sign_guard-[0-9a-f]{16}/[ab]))$`,
);

export interface BackupFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface Backup {
  /** RFC 3339 UTC. */
  readonly created: string;
  readonly files: readonly BackupFile[];
}

/** @throws NodeError TOO_LARGE | INTERNAL when it holds what no backup may hold */
export function encodeBackup({ created, files }: Backup): Uint8Array {
  const entries = files.map(({ path, bytes }) => {
    if (!PLACES.test(path)) throw new NodeError('INTERNAL', `a backup has no place for ${path}`);
    return { path, sha256: sha256(bytes), base64: Buffer.from(bytes).toString('base64') };
  });
  const body = { aitbc_backup: VERSION, created, files: entries };
  const text = utf8(`${JSON.stringify({ ...body, sha256: sha256(utf8(JSON.stringify(body))) })}\n`);
  if (text.length > MAX_BACKUP_BYTES || files.length > MAX_BACKUP_FILES) throw tooLarge();
  return text;
}

/** @throws NodeError CORRUPT | DATA_TOO_NEW | TOO_LARGE */
export function decodeBackup(bytes: Uint8Array): Backup {
  if (bytes.length > MAX_BACKUP_BYTES) throw tooLarge();
  const { sha256: sum, ...body } = objectOf(parse(bytes));
  if (typeof body['aitbc_backup'] !== 'number') throw corrupt('it is not a backup of this program');
  if (body['aitbc_backup'] > VERSION) {
    throw new NodeError('DATA_TOO_NEW', 'the backup was made by a newer program', {
      data: { version: body['aitbc_backup'], known: VERSION },
      hint: 'restore it with that program',
    });
  }
  if (sum !== sha256(utf8(JSON.stringify(body)))) throw corrupt('its checksum does not hold');
  const { created, files } = body;
  if (typeof created !== 'string' || !Array.isArray(files)) throw corrupt('it lacks its list of files');
  if (files.length > MAX_BACKUP_FILES) throw tooLarge();
  const decoded = files.map(decodeFile);
  if (new Set(decoded.map(({ path }) => path)).size !== decoded.length) throw corrupt('it holds a file twice');
  return { created, files: decoded };
}

function decodeFile(value: unknown): BackupFile {
  const { path, sha256: sum, base64 } = objectOf(value);
  if (typeof path !== 'string' || !PLACES.test(path)) throw corrupt('it holds a file that no backup holds');
  const bytes = typeof base64 === 'string' ? new Uint8Array(Buffer.from(base64, 'base64')) : new Uint8Array();
  if (sum !== sha256(bytes)) throw corrupt(`the checksum of ${path} does not hold`);
  return { path, bytes };
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corrupt('it is not a backup');
  return value as Record<string, unknown>;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown;
  } catch {
    throw corrupt('it is cut off, or no backup');
  }
}

function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

function corrupt(why: string): NodeError {
  return new NodeError('CORRUPT', `the backup cannot be used: ${why}`, { hint: 'take another copy of it' });
}

function tooLarge(): NodeError {
  return new NodeError('TOO_LARGE', 'the backup is too large', {
    data: { maxBytes: MAX_BACKUP_BYTES, maxFiles: MAX_BACKUP_FILES },
  });
}
