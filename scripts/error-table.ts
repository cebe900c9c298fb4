/** Writes the table of error codes into src/README.md; a test holds the two against each other. */
import { readFileSync, writeFileSync } from 'node:fs';
import { ERRORS } from '../src/errors.ts';

const FILE = new URL('../src/README.md', import.meta.url);
const BEGIN = '<!-- errors:begin -->';
const END = '<!-- errors:end -->';

export function errorTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { http, jsonRpc, exit, retryable, title }]) =>
      `| \`${code}\` | ${title} | ${http} | ${jsonRpc} | ${exit} | ${retryable ? 'yes' : 'no'} |`,
  );
  return ['| code | meaning | HTTP | JSON-RPC | exit | retryable |', '|---|---|---|---|---|---|', ...rows].join('\n');
}

/** The table as the README holds it. */
export function readmeTable(): string {
  const text = readFileSync(FILE, 'utf8');
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)).trim();
}

if (import.meta.main) {
  const text = readFileSync(FILE, 'utf8');
  const [head, tail] = [text.slice(0, text.indexOf(BEGIN) + BEGIN.length), text.slice(text.indexOf(END))];
  writeFileSync(FILE, `${head}\n${errorTable()}\n${tail}`);
}
