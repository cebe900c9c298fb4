/** Puts a mutant into a copy of the program and lets the simulator look for it there. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Mutant } from './mutant-list.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** What the simulator needs to run. */
const PARTS = ['src', 'protocols', 'test/sim', 'test/util', 'testnet/command-line.ts', 'package.json', 'tsconfig.json'];

export interface Catch {
  readonly seed: number;
  /** The first thing that went wrong. */
  readonly violation: string;
}

/** @returns the edits whose text is not exactly once in its file */
export async function misfits({ edits }: Mutant): Promise<string[]> {
  const wrong: string[] = [];
  for (const { file, from } of edits) {
    const source = await readFile(join(ROOT, file), 'utf8');
    if (source.split(from).length !== 2) wrong.push(`${file}: ${from}`);
  }
  return wrong;
}

async function applyTo(folder: string, { name, edits }: Mutant): Promise<void> {
  for (const { file, from, to } of edits) {
    const path = join(folder, file);
    const source = await readFile(path, 'utf8');
    if (source.split(from).length !== 2) throw new Error(`mutant "${name}" does not fit ${file} any more`);
    // As a function: in a plain replacement `$` has a meaning.
    await writeFile(
      path,
      source.replace(from, () => to),
    );
  }
}

/**
 * @param seeds tried one after another from 1 on, until one catches it
 * @returns null when it survives them all
 * @throws Error when an edit does not fit, or the simulator fails in a way that is no finding
 */
export async function hunt(mutant: Mutant, seeds: number): Promise<Catch | null> {
  const folder = await mkdtemp(join(tmpdir(), 'aitbc-mutant-'));
  try {
    for (const part of PARTS) await cp(join(ROOT, part), join(folder, part), { recursive: true });
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    await applyTo(folder, mutant);
    return await run(folder, seeds);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function run(folder: string, seeds: number): Promise<Catch | null> {
  const args = ['test/sim/main.ts', '--seeds', String(seeds), '--bail', '--no-shrink', '--jobs', '1'];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const [, seed, violation] = /seed (\d+) (?:fails|does not end)[^\n]*\n\s*([^\n]*)/.exec(stderr) ?? [];
      if (seed !== undefined && violation !== undefined) resolve({ seed: Number(seed), violation });
      // What the seeds did not reach is no finding.
      else if (!error || stdout.includes('NOT REACHED')) resolve(null);
      else reject(new Error(`the simulator failed: ${stderr.slice(0, 500)}`));
    });
  });
}
