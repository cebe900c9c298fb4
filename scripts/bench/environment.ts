/** Where a measurement was made: figures without it mean nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../../testnet/layout.ts';

export interface Environment {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  /** Runnable processes over the minute before: others on the machine spoil a measurement. */
  readonly load_before: number;
  readonly platform: string;
  readonly node: string;
  readonly version: string;
  /** Commit, with "+" when the work tree differs from it; null outside a repository. */
  readonly commit: string | null;
}

export function environment(): Environment {
  const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as { version: string };
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory_gib: Math.round(totalmem() / 2 ** 30),
    load_before: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    version,
    commit: commit(),
  };
}

function commit(): string | null {
  try {
    const head = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}+`;
  } catch {
    return null;
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: REPOSITORY, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}
