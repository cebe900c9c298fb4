/** Both ends of a work stream within one process: the node's own coordinator and its own miner. */
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import { NodeError } from '../errors.ts';
import { MAX_WORK_RECORD_BYTES, PING_RECORD } from '../../protocols/market/work-channel.ts';
import { PING_MS } from '../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';

/** Bytes that wait to be read before the sender is held up. One frame may go over. */
const READ_AHEAD_BYTES = 128 * 1024;

/** One way of a pair. */
class Way {
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;
  #isOver = false;
  /** Something was sent since the last beat. */
  #isBusy = false;
  /** Wakes all who wait, readers and senders. */
  #wake = Promise.withResolvers<void>();

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Nobody needs more than one ping. */
  beat(): void {
    if (!this.#isBusy && !this.#isOver && this.#frames.length === 0) this.#push(PING_RECORD);
    this.#isBusy = false;
  }

  async send(frame: Uint8Array): Promise<void> {
    if (frame.length > MAX_WORK_RECORD_BYTES) {
      throw new NodeError('TOO_LARGE', 'a frame exceeds the cap', { data: { bytes: frame.length } });
    }
    while (this.#bytes >= READ_AHEAD_BYTES && !this.#isOver) await this.#wake.promise;
    if (this.#isOver) throw new NodeError('UNREACHABLE', 'the work stream is closed');
    this.#isBusy = true;
    this.#push(frame.slice());
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

  #push(frame: Uint8Array): void {
    this.#bytes += frame.length;
    this.#frames.push(frame);
    this.#turn();
  }

  #turn(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

/** With pings of both sides where nothing else is sent, as on every work stream. */
export function workStreamPair(clock: Clock): readonly [client: WorkStream, miner: WorkStream] {
  const there = new Way();
  const back = new Way();
  const stop = every(clock, PING_MS, () => {
    there.beat();
    back.beat();
  });
  const end = (): void => {
    if (there.isOver && back.isOver) stop();
  };
  return [endOf(there, back, end), endOf(back, there, end)];
}

function endOf(out: Way, into: Way, onClose: () => void): WorkStream {
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
      onClose();
    },
  };
}
