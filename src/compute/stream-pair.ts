/** Both ends of a work stream within one process: the node's own coordinator and its own miner. */
import { NodeError } from '../errors.ts';
import { MAX_WORK_FRAME_BYTES } from '../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';

/** Bytes that wait to be read before the sender is held up. One frame may go over. */
const READ_AHEAD_BYTES = 128 * 1024;

/** One way of a pair. */
class Way {
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;
  #isOver = false;
  /** Wakes all who wait, readers and senders. */
  #wake = Promise.withResolvers<void>();

  async send(frame: Uint8Array): Promise<void> {
    if (frame.length > MAX_WORK_FRAME_BYTES) {
      throw new NodeError('TOO_LARGE', 'a frame exceeds the cap', { data: { bytes: frame.length } });
    }
    while (this.#bytes >= READ_AHEAD_BYTES && !this.#isOver) await this.#wake.promise;
    if (this.#isOver) throw new NodeError('UNREACHABLE', 'the work stream is closed');
    this.#bytes += frame.length;
    this.#frames.push(frame.slice());
    this.#turn();
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) {
        this.#bytes -= frame.length;
        this.#turn();
        return frame;
      }
      if (this.#isOver) return null;
      await this.#wake.promise;
    }
  }

  /** What was sent can still be read. */
  end(): void {
    this.#isOver = true;
    this.#turn();
  }

  drop(): void {
    this.#frames.length = 0;
    this.end();
  }

  #turn(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

export function workStreamPair(): readonly [client: WorkStream, miner: WorkStream] {
  const [there, back] = [new Way(), new Way()];
  return [endOf(there, back), endOf(back, there)];
}

function endOf(out: Way, into: Way): WorkStream {
  // Calls are sent in their order, also when the first of them waits.
  let last: Promise<unknown> = Promise.resolve();
  return {
    send: (frame) => {
      const done = last.then(() => out.send(frame));
      last = done.catch(() => undefined);
      return done;
    },
    read: () => into.read(),
    close: () => {
      out.end();
      into.drop();
    },
  };
}
