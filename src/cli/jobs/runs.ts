/**
 * Jobs of this home: <home>/jobs/<chain>-<genesis8>/<begun>-<random>/, one folder a run, 0700. `rows` is what the job's
 * coordinator keeps, and what a run that was killed goes on from, with large inputs, sealed, in `blobs`; `job.json`, `receipt.json` and `result` are for people, and
 * for programs. Runs share nothing, so that any number go on at once.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../bytes.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { systemClock } from '../../clock.ts';
import type { BlobShelf } from '../../compute/blobs/shelf.ts';
import { openShelf } from '../../compute/blobs/shelf.ts';
import { isNodeError, NodeError, toNodeError } from '../../errors.ts';
import { nopLogger } from '../../log.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { blobFiles } from '../../store/blob-files.ts';
import { ensurePrivateFolder, replaceFile } from '../../store/files.ts';
import { lockFolder } from '../../store/folder-lock.ts';
import type { RowFile } from '../../store/row-file.ts';
import { openRowFile } from '../../store/row-file.ts';
import { errorCode, storageError } from '../../store/storage-error.ts';
import type { JobRecord } from './job-record.ts';

const FORMAT = 'aitbc-job/1' satisfies JobRecord['format'];
const MAX_RECORD_BYTES = 256 * 1024;
const LEAST_PREFIX = 8;

export interface Run {
  readonly folder: string;
  readonly rows: RowFile;
  /** Kept as long as the run: doing the work again needs it. */
  readonly shelf: BlobShelf;
  record(record: Omit<JobRecord, 'format'>): Promise<void>;
  keep(name: KeptFile, bytes: Uint8Array): Promise<void>;
  /** Lets others go on with it. */
  close(): Promise<void>;
  /** Of a run that is closed and came to nothing. */
  remove(): Promise<void>;
}

export interface FoundRun {
  readonly folder: string;
  readonly record: JobRecord;
}

export const RESULT_FILE = 'result';
export const RECEIPT_FILE = 'receipt.json';
/** All that doing the work again takes. */
export const WORK_FILE = 'work.json';

/** Large inputs, sealed. */
export const BLOBS_FOLDER = 'blobs';

export type KeptFile = keyof typeof KEPT;

const KEPT = { [RESULT_FILE]: 'result', [RECEIPT_FILE]: 'receipt', [WORK_FILE]: 'record of its input' } as const;

function runsFolder(home: string, { chainId, genesisHash }: ChainContext): string {
  return join(home, 'jobs', `${chainId}-${toHex(genesisHash).slice(0, 8)}`);
}

/** @throws NodeError STORAGE */
export async function createRun(home: string, chain: ChainContext, nowMs: number): Promise<Run> {
  const begun = new Date(nowMs).toISOString().replace(/[-:.]/g, '');
  return openRun(join(runsFolder(home, chain), `${begun}-${randomBytes(4).toString('hex')}`));
}

/** @throws NodeError DATA_LOCKED while another process has it | STORAGE | CORRUPT */
export async function openRun(folder: string): Promise<Run> {
  try {
    await ensurePrivateFolder(folder);
    const lock = await lockFolder(folder, nopLogger);
    const rows = await openRowFile(join(folder, 'rows')).catch(async (error: unknown) => {
      await lock.release();
      throw error;
    });
    const shelf = await openBlobs(folder);
    return {
      folder,
      rows,
      shelf,
      record: (record) => replaceFile(join(folder, 'job.json'), jsonBytes({ format: FORMAT, ...record })),
      keep: (name, bytes) => replaceFile(join(folder, name), bytes),
      close: async () => {
        await rows.close();
        await lock.release();
      },
      remove: () => rm(folder, { recursive: true, force: true }),
    };
  } catch (error) {
    if (isNodeError(error)) throw error.code === 'DATA_LOCKED' ? inUse(error) : error;
    throw storageError(error, 'keep a job', folder);
  }
}

function openBlobs(folder: string): Promise<BlobShelf> {
  const bytes = blobFiles(join(folder, BLOBS_FOLDER), nativeCrypto);
  return openShelf({
    bytes,
    hasher: nativeCrypto,
    clock: systemClock,
    limits: { maxBytes: Infinity, idleMs: Infinity },
  });
}

/** Of all chains, the newest first; a folder that is none of a run is left out. */
export async function listRuns(home: string, limit = Infinity): Promise<FoundRun[]> {
  const root = join(home, 'jobs');
  const chains = await foldersOf(root);
  const runs = await Promise.all(
    chains.map(async (chain) =>
      (await foldersOf(join(root, chain))).map((name) => ({ name, folder: join(root, chain, name) })),
    ),
  );
  const found: FoundRun[] = [];
  for (const { folder } of runs.flat().sort((a, b) => (a.name < b.name ? 1 : -1))) {
    if (found.length >= limit) break;
    const record = await readRecord(folder);
    if (record) found.push({ folder, record });
  }
  return found;
}

/** @param id of the job or of its receipt; the first eight digits do, if no other begins so @throws NodeError NOT_FOUND | USAGE */
export async function findRun(home: string, id: string): Promise<FoundRun> {
  if (!/^[0-9a-f]{8,64}$/.test(id)) {
    throw new NodeError('USAGE', `the id of a job has 64 hex digits, of which the first ${LEAST_PREFIX} do`);
  }
  const found = (await listRuns(home)).filter(
    ({ record: { job } }) => job.job_id.startsWith(id) || job.receipt_id?.startsWith(id) === true,
  );
  const [only] = found;
  if (only && found.length === 1) return only;
  if (only) throw new NodeError('USAGE', `${found.length} jobs begin with ${id}`, { hint: 'give more digits' });
  throw new NodeError('NOT_FOUND', `no job of this home begins with ${id}`, {
    data: { id, home },
    hint: 'aitbc job list shows them; --node asks the node for its own',
  });
}

/** @throws NodeError NOT_FOUND */
export async function readKept(run: FoundRun, name: KeptFile): Promise<Uint8Array> {
  try {
    return await readFile(join(run.folder, name));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw storageError(error, 'read what was kept of a job', run.folder);
    const { job } = run.record;
    throw new NodeError('NOT_FOUND', `job ${job.job_id} has no ${KEPT[name]}: it is ${job.state}`, {
      hint: `aitbc job why ${job.job_id}`,
    });
  }
}

/** @returns null without one */
export async function readRecord(folder: string): Promise<JobRecord | null> {
  try {
    const bytes = await readFile(join(folder, 'job.json'));
    if (bytes.length > MAX_RECORD_BYTES) return null;
    const record = JSON.parse(bytes.toString('utf8')) as JobRecord;
    return record.format === FORMAT ? record : null;
  } catch {
    return null;
  }
}

/** Of one chain, the oldest first. */
export async function runFolders(home: string, chain: ChainContext): Promise<string[]> {
  const folder = runsFolder(home, chain);
  return (await foldersOf(folder)).sort().map((name) => join(folder, name));
}

async function foldersOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw storageError(toNodeError(error), 'list the jobs of this home', folder);
  }
}

function inUse({ data }: NodeError): NodeError {
  return new NodeError('CONFLICT', `process ${String(data['pid'])} follows this job already`, {
    data: { pid: data['pid'] },
    hint: `kill -INT ${String(data['pid'])} cancels it there`,
  });
}

export function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}
