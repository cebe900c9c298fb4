/**
 * What a node tells of itself, in a folder to hand on. Of the home only configuration, whose options hold no secret, and
 * what `doctor` finds are taken; of a log its end, without what looks like a key.
 */
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigSources } from '../config.ts';
import { loadConfig, resolveSettings } from '../config.ts';
import { NodeError, toNodeError } from '../errors.ts';
import { errorCode, storageError } from '../store/storage-error.ts';
import { VERSION } from '../version.ts';
import type { Context } from './context.ts';
import { readConfigText } from './context.ts';
import { findingsOf } from './doctor.ts';
import { plural } from './output.ts';

/** Of one file; what is longer is cut. */
export const MAX_PART_BYTES = 1024 * 1024;
const METRICS_WITHIN_MS = 5000;
/** Keys and signatures alike: 32 bytes or more in hex. API keys, and words after a name that tells of a secret. */
const SECRETS =
  /\baitbc_[a-z0-9]+_[0-9a-f]{16,}|(?<=(?:authorization|password|passphrase|mnemonic|secret|token|seed|private_?key)\W{1,4})\S+/gi;

interface Part {
  readonly name: string;
  readonly what: string;
  /** @throws when it cannot be had: then the reason stands in its place */
  read(): Promise<string>;
}

export async function bundle(context: Context, folder: string, log: string | undefined): Promise<void> {
  await makeFolder(folder);
  const parts = partsOf(context, log);
  const lines: string[] = [];
  const files: string[] = [];
  for (const part of parts) {
    const { text, failure } = await read(part);
    await writeFile(join(folder, part.name), text, { mode: 0o600 });
    files.push(part.name);
    lines.push(`${part.name.padEnd(16)} ${part.what}${failure === null ? '' : `: not to be had (${failure})`}`);
  }
  const made = new Date().toISOString();
  const about = [
    'No keys, passwords or wallets are in here. Addresses of peers and of this machine are.',
    '',
    ...lines,
  ];
  await writeFile(join(folder, 'README.txt'), `${[`aitbc ${VERSION}, ${made}`, ...about].join('\n')}\n`, {
    mode: 0o600,
  });
  context.out.data({ folder, created: made, files }, lines.join('\n'));
  context.out.note(
    `${plural(files.length, 'file')} in ${folder}. Look through it before you hand it on: tar -czf bundle.tar.gz ${folder}`,
  );
}

/** Nothing that is there is written into. @throws NodeError CONFLICT | STORAGE */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw storageError(error, 'make the folder', folder);
    throw new NodeError('CONFLICT', `${folder} is there already`, {
      data: { path: folder },
      hint: 'name a new folder',
    });
  }
}

async function read(part: Part): Promise<{ readonly text: string; readonly failure: string | null }> {
  try {
    return { text: cut(await part.read()), failure: null };
  } catch (error) {
    const { code, message } = toNodeError(error);
    return { text: `${code}: ${message}\n`, failure: code };
  }
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= MAX_PART_BYTES ? text : `${bytes.subarray(0, MAX_PART_BYTES).toString('utf8')}\n… cut\n`;
}

function partsOf(context: Context, log: string | undefined): Part[] {
  const client = context.client();
  const json = (name: string, what: string, get: () => unknown): Part => ({
    ...{ name: `${name}.json`, what },
    read: async () => `${JSON.stringify(await get(), null, 1)}\n`,
  });
  return [
    json('versions', 'program, Node and platform', () => ({
      ...{ aitbc: VERSION, node: process.versions, platform: process.platform, arch: process.arch },
    })),
    json('config', 'options of the home, and where each came from', () => resolveSettings(sourcesOf(context))),
    json('doctor', 'what is wrong, the likeliest first', () => findingsOf(context)),
    json('status', 'head, state, pool', () => client.status()),
    json('chains', 'chains of the node', () => client.chains()),
    json('readiness', 'its checks', () => client.readiness()),
    json('consensus', 'round, votes, reasons', () => client.consensus()),
    json('validators', 'who validates', () => client.validators()),
    json('peers', 'connected nodes', () => client.peers()),
    json('snapshots', 'snapshots offered', () => client.snapshots()),
    { name: 'metrics.txt', what: 'all metrics', read: () => readMetrics(context) },
    ...(log === undefined ? [] : [{ name: 'log.txt', what: `the end of ${log}`, read: () => readEnd(log) }]),
  ];
}

function sourcesOf(context: Context): ConfigSources {
  return { fileText: readConfigText(context.home) ?? '', env: process.env };
}

async function readMetrics(context: Context): Promise<string> {
  const { listen } = loadConfig(sourcesOf(context)).metrics;
  if (!listen) throw new NodeError('METHOD_DISABLED', 'metrics.listen is off');
  const { host, port } = listen;
  const answer = await fetch(`http://${host.includes(':') ? `[${host}]` : host}:${port}/metrics`, {
    signal: AbortSignal.timeout(METRICS_WITHIN_MS),
  });
  return answer.text();
}

async function readEnd(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, MAX_PART_BYTES));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, size - bytes.length);
    return bytes.subarray(0, bytesRead).toString('utf8').replace(SECRETS, '[left out]');
  } finally {
    await file.close();
  }
}
