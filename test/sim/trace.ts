/** What happened in a run, for people: the last lines, and counts of what was reached. */
import { isNodeError } from '../../src/errors.ts';
import type { LogContext } from '../../src/log.ts';
import { short } from './checker.ts';
import type { VirtualTime } from './time.ts';

const MAX_LINES = 400;

export class Trace {
  readonly lines: string[] = [];
  readonly counts = new Map<string, number>();
  /** Highest round of a commit; commits in a round above 0. */
  topRound = 0;
  lateCommits = 0;
  readonly #time: VirtualTime;
  readonly #onLine: ((line: string) => void) | null;

  constructor(time: VirtualTime, onLine: ((line: string) => void) | null = null) {
    this.#time = time;
    this.#onLine = onLine;
  }

  say(node: number | null, text: string): void {
    const seconds = (this.#time.nowMs / 1000).toFixed(3).padStart(9);
    const line = `${seconds} ${node === null ? '   ' : `n${node} `} ${text}`;
    this.#onLine?.(line);
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.shift();
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  commit(node: number, height: number, round: number, blockId: Uint8Array, txs: number): void {
    this.topRound = Math.max(this.topRound, round);
    if (round > 0) this.lateCommits++;
    this.say(node, `commits ${height} in round ${round}: ${short(blockId)}, ${txs} transactions`);
  }

  log(node: number, level: string, message: string, context: LogContext = {}): void {
    if (level === 'debug') return;
    const { error, ...rest } = context;
    const reason = isNodeError(error) ? ` (${error.code} ${error.message})` : '';
    this.say(node, `${level} ${message}${reason} ${JSON.stringify(rest)}`);
  }
}
