// Runs the tests in two processes at once: what computes, and what mostly starts other processes and waits for them. Each
// takes about half of the time on two cores. With arguments that are not options, mocha runs those alone.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const HALVES = ['test/{unit,vectors,sim,page}/**/*.test.ts', 'test/{net,e2e}/**/*.test.ts'];
const mocha = fileURLToPath(new URL('../node_modules/mocha/bin/mocha.js', import.meta.url));

interface Outcome {
  readonly exitCode: number;
  readonly output: string;
}

const args = process.argv.slice(2);
const isWhole = args.every((arg) => arg.startsWith('-'));
const children: ChildProcess[] = [];

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill(signal);
  });
}

if (isWhole) {
  const [first, second] = HALVES.map((glob, i) => run([glob, ...args], i === 0));
  const outcomes = [await first, await second].filter((outcome) => outcome !== undefined);
  process.stdout.write(outcomes[1]?.output ?? '');
  for (const word of ['passing', 'pending', 'failing']) {
    const count = outcomes.reduce((sum, { output }) => sum + countOf(output, word), 0);
    if (count > 0) console.log(`  ${count} ${word}`);
  }
  process.exitCode = Math.max(...outcomes.map(({ exitCode }) => exitCode));
} else {
  process.exitCode = (await run(args, true)).exitCode;
}

/** @param isShown at once; else the caller shows it when it is whole */
function run(mochaArgs: readonly string[], isShown: boolean): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [mocha, ...mochaArgs], {
      stdio: ['inherit', 'pipe', 'inherit'],
      env: { ...process.env, ...(process.stdout.isTTY && { FORCE_COLOR: '1' }) },
    });
    children.push(child);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (isShown) process.stdout.write(text);
    });
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
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
