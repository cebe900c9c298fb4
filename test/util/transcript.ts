/**
 * Transcripts in Markdown: fenced blocks of the language `console`, with commands behind "$ " and below each what it
 * prints. `…` stands for anything within a line, and a line of it alone for any number of lines.
 */
import assert from 'node:assert/strict';

export interface Step {
  /** Without its comment. */
  readonly command: string;
  readonly lines: readonly string[];
  /** Of the Markdown, from 1. */
  readonly line: number;
}

const COMMENT = /\s{2,}# .*$/;

export function readTranscripts(markdown: string): Step[] {
  const steps: { command: string; lines: string[]; line: number }[] = [];
  let isInside = false;
  for (const [i, text] of markdown.split('\n').entries()) {
    if (text.startsWith('```')) isInside = text === '```console';
    else if (!isInside) continue;
    else if (text.startsWith('$ ')) steps.push({ command: text.slice(2).replace(COMMENT, ''), lines: [], line: i + 1 });
    else steps.at(-1)?.lines.push(text);
  }
  return steps;
}

/** @throws AssertionError showing the first line that is another */
export function compareOutput({ command, lines, line }: Step, output: string): void {
  const printed = output.replace(/\n$/, '').split('\n');
  const found = output === '' ? [] : printed;
  const whole = lines
    .map((text) => (text === '…' ? '(?:.*\\n)*?' : `${text.split('…').map(escape).join('.*')}\\n`))
    .join('');
  const text = found.map((one) => `${one}\n`).join('');
  if (new RegExp(`^${whole}$`).test(text)) return;
  assert.fail(`line ${line}: $ ${command}\nexpected:\n${lines.join('\n')}\nprinted:\n${text}`);
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
