/** Logs of node processes, bounded: the file in use and the one before it, each of at most a size. */
import { copyFileSync, readFileSync, statSync, truncateSync } from 'node:fs';

export const MAX_LOG_BYTES = 16 * 1024 * 1024;
const TAIL_LINES = 12;
const TAIL_BYTES = 8192;

/**
 * Moves a large log aside to `<path>.1`. The file is truncated in place, as its writers hold it open for appending. Never
 * throws: a log that cannot be moved must not end a node.
 */
export function boundLog(path: string, maxBytes = MAX_LOG_BYTES): void {
  try {
    if (statSync(path).size < maxBytes) return;
    copyFileSync(path, `${path}.1`);
    truncateSync(path);
  } catch {
    // There is none, or the disk is full.
  }
}

/** The last lines; none when there is no log. */
export function logTail(path: string): string[] {
  try {
    const text = readFileSync(path, 'utf8').slice(-TAIL_BYTES).trimEnd();
    return text === '' ? [] : text.split('\n').slice(-TAIL_LINES);
  } catch {
    return [];
  }
}
