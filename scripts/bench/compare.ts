/** Two results of the same benchmark side by side: every figure that both have, and what the second is of the first. */
import { readFileSync } from 'node:fs';
import { NodeError } from '../../src/errors.ts';

interface Result {
  readonly bench: string;
  readonly environment?: { readonly commit?: string | null; readonly cpu?: string; readonly load_before?: number };
  readonly [field: string]: unknown;
}

/** Of a result, what no comparison needs. */
const LEFT_OUT = new Set(['checks', 'environment', 'ok', 'timing']);

/** @param before, after paths of what `--json` printed @returns lines for people @throws NodeError USAGE | CONFIG */
export function compareFiles(before: string, after: string): string {
  return compareResults(readResult(before), readResult(after));
}

/** @throws NodeError USAGE for results of two benchmarks */
export function compareResults(before: Result, after: Result): string {
  if (before.bench !== after.bench) {
    throw new NodeError('USAGE', `one is of ${before.bench}, the other of ${after.bench}`, {
      hint: 'compare two results of one benchmark',
    });
  }
  const first = numbersOf(before);
  const second = numbersOf(after);
  const rows = [...first].flatMap(([name, a]) => {
    const b = second.get(name);
    return b === undefined ? [] : [[name, String(a), String(b), ratio(a, b)] as const];
  });
  const table = [['', describe(before), describe(after), 'ratio'] as const, ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  const lines = table.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
  );
  return `${[`bench ${before.bench}`, ...lines].join('\n')}\n`;
}

/** Every number within, by its path: "submit_to_final_ms.p99". */
function numbersOf(value: unknown, path = ''): Map<string, number> {
  if (typeof value === 'number') return new Map([[path, value]]);
  if (typeof value !== 'object' || value === null) return new Map();
  return new Map(
    Object.entries(value).flatMap(([name, each]) =>
      path === '' && LEFT_OUT.has(name) ? [] : [...numbersOf(each, path === '' ? name : `${path}.${name}`)],
    ),
  );
}

function ratio(before: number, after: number): string {
  if (before === 0) return after === 0 ? '1.000' : '–';
  return (after / before).toFixed(3);
}

function describe({ environment }: Result): string {
  const load = environment?.load_before;
  return `${environment?.commit ?? 'no commit'}${load === undefined ? '' : ` (load ${load})`}`;
}

/** The last line that is an object with the name of a benchmark: people's lines may stand before it. */
function readResult(path: string): Result {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new NodeError('CONFIG', `${path} cannot be read`, { hint: 'write one with --json > FILE' });
  }
  for (const line of text.trimEnd().split('\n').reverse()) {
    try {
      const value = JSON.parse(line) as Partial<Result> | null;
      if (typeof value?.bench === 'string') return value as Result;
    } catch {
      // A line for people.
    }
  }
  throw new NodeError('CONFIG', `${path} holds no result of a benchmark`, { hint: 'write one with --json > FILE' });
}
