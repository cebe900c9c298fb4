/** One line a step: written over while it runs where a person watches, written once elsewhere. */
import type { WriteStream } from 'node:tty';

const REFRESH_MS = 200;
/** Longer lines are hard to read. */
const MAX_WIDTH = 110;
const LEAST_WIDTH = 60;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const CLEAR_LINE = '\r\u001b[K';
const COLOURS = { good: 32, bad: 31 } as const;

export class Screen {
  readonly #stream: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>;
  readonly #isLive: boolean;
  readonly #isColoured: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.#stream = stream;
    this.#isLive = stream.isTTY && env['TERM'] !== 'dumb' && !env['CI'];
    this.#isColoured = this.#isLive && !env['NO_COLOR'];
  }

  line(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  /** A name, and beside it what came of it, on as many lines as it needs. */
  verdict(good: boolean, name: string, width: number, text: string): void {
    const indent = ' '.repeat(width + 4);
    const lines = wrap(text, Math.min(MAX_WIDTH, this.#width) - indent.length);
    this.line(` ${this.#mark(good)} ${name.padEnd(width)} ${lines.join(`\n${indent}`)}`);
  }

  /**
   * Shows what is going on until `end`; where nobody watches, it is told when the process is ended before that.
   *
   * @param status asked again and again, with the ms since the beginning
   */
  live(status: (sinceMs: number) => string): { end(): void } {
    const startedAtMs = performance.now();
    let frame = 0;
    const text = (): string => status(performance.now() - startedAtMs);
    const draw = (): void => {
      const line = `${FRAMES[frame++ % FRAMES.length] ?? ''} ${text()}`;
      this.#stream.write(CLEAR_LINE + line.slice(0, this.#width - 1));
    };
    // Interrupted, the line is not left half written.
    const left = (): void => {
      if (this.#isLive) this.#clear();
      else this.line(` ended at  ${text()}`);
    };
    process.once('exit', left);
    if (this.#isLive) {
      draw();
      this.#timer = setInterval(draw, REFRESH_MS);
    }
    return {
      end: () => {
        clearInterval(this.#timer);
        process.off('exit', left);
        this.#clear();
      },
    };
  }

  /** Some terminals say 0. */
  get #width(): number {
    const { columns = 0 } = this.#stream;
    return columns >= LEAST_WIDTH ? columns : MAX_WIDTH;
  }

  #mark(good: boolean): string {
    const sign = good ? '✓' : '✗';
    return this.#isColoured ? `\u001b[${good ? COLOURS.good : COLOURS.bad}m${sign}\u001b[0m` : sign;
  }

  #clear(): void {
    if (this.#isLive) this.#stream.write(CLEAR_LINE);
  }
}

/** Breaks between words, so that no line is longer than `width` unless a word is. */
export function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}
