/** Data goes to stdout, everything else to stderr; with --json data is one document. */
import Table from 'cli-table3';
import type { NodeError } from '../errors.ts';

export interface Output {
  readonly json: boolean;
  /** The result of the command. */
  data(document: unknown, text: string): void;
  /** For people: progress, hints, warnings. */
  note(line: string): void;
}

export function createOutput(json: boolean): Output {
  return {
    json,
    data: (document, text) => {
      const line = json ? JSON.stringify(document) : text;
      if (line !== '') process.stdout.write(`${line}\n`);
    },
    note: (line) => {
      process.stderr.write(`${line}\n`);
    },
  };
}

/** A failure on stderr: words for people, or one line of JSON. */
export function writeError(error: NodeError, json: boolean): void {
  if (json) {
    const { code, message, hint, data } = error;
    process.stderr.write(
      `${JSON.stringify({ error: { code, message, ...(hint !== undefined && { hint }), data } })}\n`,
    );
    return;
  }
  // It may quote what others sent.
  const lines = [`${paint('✗', 31)} ${printable(error.message)}   [${error.code}]`];
  if (error.hint !== undefined) lines.push(`  ${printable(error.hint)}`);
  if (error.code === 'INTERNAL' && error.stack !== undefined) lines.push(error.stack);
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** Colour on stderr, where a person sees it and has not said no. */
function paint(text: string, colour: number): string {
  const { NO_COLOR, TERM, CI } = process.env;
  if (!process.stderr.isTTY || NO_COLOR || TERM === 'dumb' || CI) return text;
  return `\u001b[${colour}m${text}\u001b[0m`;
}

/** Name and value, one a line. */
export function fields(rows: readonly (readonly [string, string | number | null])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value ?? '-'}`).join('\n');
}

/** Columns without borders. */
export function table(head: readonly string[], rows: readonly (readonly (string | number | null)[])[]): string {
  const none = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' };
  const chars = { ...none, 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' };
  const style = { head: [], border: [], 'padding-left': 0, 'padding-right': 2 };
  const drawn = new Table({ head: [...head], chars: { ...chars, right: '', 'right-mid': '', middle: '' }, style });
  for (const row of rows) drawn.push(row.map((cell) => String(cell ?? '-')));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Text of others: it may not move the cursor of a terminal, nor turn the direction of writing. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The ends of a long hash. */
export function shortHash(hash: string): string {
  return hash.length > 16 ? `${hash.slice(0, 8)}…${hash.slice(-4)}` : hash;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
