/** A logger whose lines a test reads. */
import type { Logger } from '../../src/log.ts';
import { createLogger } from '../../src/log.ts';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export function collectLines(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const write = (line: string): void => {
    lines.push(JSON.parse(line) as LogLine);
  };
  return { log: createLogger({ level: 'info', format: 'json', stream: { write } }), lines };
}
