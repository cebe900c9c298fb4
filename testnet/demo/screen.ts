/** One line a step: written over while it runs where a person watches, written once elsewhere. */
import type { WriteStream } from 'node:tty';

const REFRESH_MS = 200;
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const CLEAR_LINE = '\r\u001b[K';
const COLOURS = { good: 32, bad: 31 } as const;

export class Screen {
  readonly #stream: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>;
  readonly #isLive: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.#stream = stream;
    this.#isLive = stream.isTTY && env['TERM'] !== 'dumb' && !env['CI'];
    this.#isColoured = this.#isLive && !env['NO_COLOR'];
  }

  readonly #isColoured: boolean;

  line(text: string): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
  }

  /** Shows what is going on until `end`. @param status asked again and again, with the ms since the beginning */
  live(status: (sinceMs: number) => string): { end(): void } {
    const startedAtMs = performance.now();
    let frame = 0;
    const draw = (): void => {
      const text = `${FRAMES[frame++ % FRAMES.length] ?? ''} ${status(performance.now() - startedAtMs)}`;
      this.#stream.write(CLEAR_LINE + text.slice(0, Math.max(20, (this.#stream.columns ?? 80) - 1)));
    };
    if (this.#isLive) {
      draw();
      this.#timer = setInterval(draw, REFRESH_MS);
    }
    return {
      end: () => {
        clearInterval(this.#timer);
        this.#clear();
      },
    };
  }

  mark(good: boolean): string {
    const sign = good ? '✓' : '✗';
    return this.#isColoured ? `\u001b[${good ? COLOURS.good : COLOURS.bad}m${sign}\u001b[0m` : sign;
  }

  #clear(): void {
    if (this.#isLive) this.#stream.write(CLEAR_LINE);
  }
}
