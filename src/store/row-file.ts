/**
 * Rows in one append-only file: those of a client's coordinator for one run of the command line. A record holds what is
 * kept together; it counts once it is whole, and is on the disk before `persist` resolves.
 *
 * File: "AITROWS1", then records: length u32, CRC-32C of the rest u32, then rows u16, each key (u16 length), u8 1 and value
 * (u32 length) or u8 0.
 */
import type { FileHandle } from 'node:fs/promises';
import { constants, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { bytesKey, compareBytes, concatBytes, equalBytes, keyBytes, utf8 } from '../bytes.ts';
import { Reader, Writer } from '../chain/codec.ts';
import { NodeError, toNodeError } from '../errors.ts';
import { crc32c } from './crc32c.ts';
import { ensurePrivateFolder, syncFolder, writeAll } from './files.ts';
import { storageError } from './storage-error.ts';

const MAGIC = utf8('AITROWS1');
const HEAD_BYTES = 8;
const MAX_ROWS = 4096;
const MAX_VALUE_BYTES = 8 * 1024 * 1024;
/** Of the file: a job of the longest input and output, with every voucher, takes a tenth. */
const MAX_ROW_FILE_BYTES = 64 * 1024 * 1024;

export interface FileRow {
  readonly key: Uint8Array;
  /** null: none. */
  readonly value: Uint8Array | null;
}

export interface RowFile {
  /** All rows, ordered by key. */
  load(): AsyncIterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  /** On the disk when it resolves; calls that come meanwhile share the next sync. @throws NodeError STORAGE */
  persist(rows: readonly FileRow[]): Promise<void>;
  /** Waits for what is being written. */
  close(): Promise<void>;
}

/**
 * Makes the file, 0600, or reads the one that is there; a torn last record is cut off. One process at a time: see
 * `lockFolder`.
 *
 * @throws NodeError STORAGE | CORRUPT
 */
export async function openRowFile(path: string, maxBytes = MAX_ROW_FILE_BYTES): Promise<RowFile> {
  try {
    await ensurePrivateFolder(dirname(path));
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      return await readRows(file, path, maxBytes);
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    if (toNodeError(error).code !== 'INTERNAL') throw error;
    throw storageError(error, 'open the file of a job', path);
  }
}

async function readRows(file: FileHandle, path: string, maxBytes: number): Promise<RowFile> {
  const { size } = await file.stat();
  if (size > maxBytes) throw full(path, maxBytes);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, size - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  const isNew = size < MAGIC.length && equalBytes(bytes, MAGIC.subarray(0, size));
  if (!isNew && !equalBytes(bytes.subarray(0, MAGIC.length), MAGIC)) throw corrupt(path, 0);
  const rows = new Map<string, Uint8Array>();
  const end = isNew ? 0 : readRecords(bytes, rows, path);
  if (end < size) await file.truncate(end);
  if (isNew) {
    await writeAll(file, MAGIC, 0);
    await file.sync();
    await syncFolder(dirname(path));
  }
  return new AppendedRows(file, path, rows, isNew ? MAGIC.length : end, maxBytes);
}

/** @returns where the last whole record ends @throws NodeError CORRUPT when a damaged record has a whole one after it */
function readRecords(bytes: Uint8Array, rows: Map<string, Uint8Array>, path: string): number {
  let at = MAGIC.length;
  for (let body = recordAt(bytes, at); body; body = recordAt(bytes, at)) {
    for (const { key, value } of decodeRows(body, path)) {
      if (value) rows.set(bytesKey(key), value);
      else rows.delete(bytesKey(key));
    }
    at += HEAD_BYTES + body.length;
  }
  // What was not synced yet is the last record alone: one batch is written at a time.
  if (at + HEAD_BYTES <= bytes.length && recordAt(bytes, at + HEAD_BYTES + lengthAt(bytes, at)))
    throw corrupt(path, at);
  return at;
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
}

/** The body of the record that begins there, if it is whole. */
function recordAt(bytes: Uint8Array, at: number): Uint8Array | null {
  if (at + HEAD_BYTES > bytes.length) return null;
  const length = lengthAt(bytes, at);
  if (length === 0 || at + HEAD_BYTES + length > bytes.length) return null;
  const body = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length);
  return crc32c(body) === new DataView(bytes.buffer, bytes.byteOffset + at + 4).getUint32(0) ? body : null;
}

function decodeRows(body: Uint8Array, path: string): FileRow[] {
  try {
    const reader = new Reader(body, 'rows');
    const rows: FileRow[] = [];
    for (let left = reader.count16(MAX_ROWS, 3); left > 0; left--) {
      const key = reader.bytes16(0xffff).slice();
      rows.push({ key, value: reader.bool() ? reader.bytes32(MAX_VALUE_BYTES).slice() : null });
    }
    reader.end();
    return rows;
  } catch (error) {
    throw new NodeError('CORRUPT', `${path} holds a record of another form`, { data: { path }, cause: error });
  }
}

function encodeRecord(rows: readonly FileRow[]): Uint8Array {
  const writer = new Writer(256).u16(rows.length);
  for (const { key, value } of rows) {
    writer.bytes16(key).bool(value !== null);
    if (value) writer.bytes32(value);
  }
  const body = writer.finish();
  return concatBytes([new Writer(HEAD_BYTES).u32(body.length).u32(crc32c(body)).finish(), body]);
}

interface Waiting {
  readonly rows: readonly FileRow[];
  readonly resolve: () => void;
  readonly reject: (error: NodeError) => void;
}

export class AppendedRows implements RowFile {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #rows: Map<string, Uint8Array>;
  readonly #maxBytes: number;
  #end: number;
  /** As many as the coordinator has jobs. */
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #failure: NodeError | null = null;

  constructor(file: FileHandle, path: string, rows: Map<string, Uint8Array>, end: number, maxBytes: number) {
    this.#file = file;
    this.#path = path;
    this.#rows = rows;
    this.#end = end;
    this.#maxBytes = maxBytes;
  }

  async *load(): AsyncIterable<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
    await this.#writing;
    const rows = [...this.#rows].map(([key, value]) => ({ key: keyBytes(key), value }));
    yield* rows.sort((a, b) => compareBytes(a.key, b.key));
  }

  persist(rows: readonly FileRow[]): Promise<void> {
    if (rows.length === 0) return Promise.resolve();
    if (rows.length > MAX_ROWS || rows.some(({ value }) => (value?.length ?? 0) > MAX_VALUE_BYTES)) {
      return Promise.reject(new NodeError('TOO_LARGE', 'more rows, or a larger one, than a record holds'));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ rows, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async close(): Promise<void> {
    await this.#writing;
    this.#failure ??= new NodeError('STORAGE', 'the file of the job is closed', { data: { path: this.#path } });
    await this.#file.close();
  }

  async #writeAll(): Promise<void> {
    // Lets the caller keep more with the same sync.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        if (this.#failure) throw this.#failure;
        await this.#write(batch.flatMap(({ rows }) => rows));
        for (const { resolve } of batch) resolve();
      } catch (thrown) {
        // What is in the file now is unknown: nothing more is kept, and nothing more may be sent.
        this.#failure ??= asStorage(thrown, this.#path);
        for (const { reject } of batch) reject(this.#failure);
      }
    }
    this.#writing = null;
  }

  /** Calls that fit one record: were they several, a crash could lose the first and leave the next. */
  #take(): Waiting[] {
    let count = 0;
    const end = this.#waiting.findIndex(({ rows }) => (count += rows.length) > MAX_ROWS);
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  async #write(rows: readonly FileRow[]): Promise<void> {
    const record = encodeRecord(rows);
    if (this.#end + record.length > this.#maxBytes) throw full(this.#path, this.#maxBytes);
    await writeAll(this.#file, record, this.#end);
    await this.#file.datasync();
    this.#end += record.length;
    for (const { key, value } of rows) {
      if (value) this.#rows.set(bytesKey(key), value);
      else this.#rows.delete(bytesKey(key));
    }
  }
}

function asStorage(thrown: unknown, path: string): NodeError {
  const error = toNodeError(thrown);
  return error.code === 'INTERNAL' ? storageError(thrown, 'keep a job', path) : error;
}

function full(path: string, maxBytes: number): NodeError {
  return new NodeError('STORAGE', 'the file of the job is full', { data: { path, maxBytes } });
}

function corrupt(path: string, at: number): NodeError {
  return new NodeError('CORRUPT', `${path} is damaged: what follows byte ${at} cannot be told`, {
    data: { path, at },
    hint: 'the money it is about comes back when the agreement expires: aitbc agreement show ID',
  });
}
