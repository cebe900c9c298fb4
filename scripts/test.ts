// Runs the tests a part at a time, several parts at once: those that compute beside those that start other processes and
// wait for them. With arguments that are not options, mocha runs those alone.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Parts at once: at least two, because some mostly wait. Clusters of real nodes bound how many are of use. */
const WORKERS = Math.min(6, Math.max(2, availableParallelism()));
const TESTS = fileURLToPath(new URL('../test/', import.meta.url));
/** Hundreds of short processes run the same sources: compiled once, a command takes 0.12 s of CPU instead of 0.3. */
const COMPILE_CACHE = fileURLToPath(new URL('../node_modules/.cache/aitbc', import.meta.url));
const mocha = fileURLToPath(new URL('../node_modules/mocha/bin/mocha.js', import.meta.url));

interface Outcome {
  readonly exitCode: number;
  readonly output: string;
}

const args = process.argv.slice(2);
const isWhole = args.every((arg) => arg.startsWith('-'));
const children = new Set<ChildProcess>();
let isEnding = false;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    isEnding = true;
    for (const child of children) child.kill(signal);
  });
}

if (isWhole) {
  const outcomes = await runParts(parts());
  for (const word of ['passing', 'pending', 'failing']) {
    const count = outcomes.reduce((sum, { output }) => sum + countOf(output, word), 0);
    if (count > 0) console.log(`  ${count} ${word}`);
  }
  process.exitCode = Math.max(isEnding ? 1 : 0, ...outcomes.map(({ exitCode }) => exitCode));
} else {
  process.exitCode = (await run(args, true)).exitCode;
}

/** What computes and what waits, in turn; the simulator first, which takes longest. */
function parts(): string[] {
  const entries = (folder: string): string[] => readdirSync(join(TESTS, folder)).sort();
  const isTest = (name: string): boolean => name.endsWith('.test.ts');
  const units = entries('unit').filter((name) => !isTest(name));
  const folders = ['sim', ...units.map((name) => `unit/${name}`), 'vectors', 'net', 'page'];
  const computing = [...folders.map((folder) => `test/${folder}/**/*.test.ts`), 'test/unit/*.test.ts'];
  const waiting = entries('e2e')
    .filter(isTest)
    .map((name) => `test/e2e/${name}`);
  const turns = Math.max(computing.length, waiting.length);
  return Array.from({ length: turns }, (_, i) => [computing[i] ?? [], waiting[i] ?? []]).flat(2);
}

async function runParts(queue: string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const work = async (): Promise<void> => {
    for (let part = queue.shift(); part !== undefined && !isEnding; part = queue.shift()) {
      const outcome = await run([part, ...args], false);
      process.stdout.write(outcome.output);
      outcomes.push(outcome);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));
  return outcomes;
}

/** @param isShown at once; else the caller shows it when it is whole */
function run(mochaArgs: readonly string[], isShown: boolean): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [mocha, ...mochaArgs], {
      stdio: ['inherit', 'pipe', 'inherit'],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: COMPILE_CACHE,
        ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
      },
    });
    children.add(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (isShown) process.stdout.write(text);
    });
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      children.delete(child);
      if (signal) output += `\nended by ${signal}\n`;
      resolve({ exitCode: exitCode ?? 1, output });
    });
  });
}

/** Of mocha's closing lines. */
function countOf(output: string, word: string): number {
  // eslint-disable-next-line no-control-regex -- colours
  const plain = output.replaceAll(/\u001b\[\d*m/g, '');
  return Number([...plain.matchAll(new RegExp(`^ *(\\d+) ${word}\\b`, 'gm'))].at(-1)?.[1] ?? 0);
}
