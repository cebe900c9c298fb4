/**
 * Messages over a libp2p stream at the pace of who reads them: what is not read stays with the sender. For streams on which
 * one side may send for long without being asked; framed-stream.ts is for those where answers follow requests.
 */
import type { Stream } from '@libp2p/interface';
import { Uint8ArrayList } from 'uint8arraylist';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import { plainBytes } from './plain-bytes.ts';

const LENGTH_BYTES = 4;
/** For the other side to end a stream that we have ended. */
const CLOSE_MS = 1_000;

export interface PacedOptions {
  readonly stream: Stream;
  readonly clock: Clock;
  readonly maxMessageBytes: number;
  /** Bytes that may wait unread here before the sender is held up; at least one message. */
  readonly readAheadBytes: number;
  /** Called when something arrives, read or not. */
  readonly onArrival: () => void;
}

export interface PacedStream {
  /** Null when the other side ended the stream. One call at a time. @throws NodeError UNREACHABLE | PEER_PROTOCOL */
  read(): Promise<Uint8Array | null>;
  /** Resolves when the transport can take more. @throws NodeError UNREACHABLE */
  write(message: Uint8Array): Promise<void>;
  /** Read ahead and not sent yet, here and in the transport. */
  readonly heldBytes: number;
  /** Nothing arrives because nobody reads. */
  readonly isPaused: boolean;
  readonly isOpen: boolean;
  /** What was written goes out, what comes is dropped; a stream that is not over soon is reset. Safe to call again. */
  close(): void;
  /** Fails both sides. */
  abort(reason: NodeError): void;
}

export function pacedStream(options: PacedOptions): PacedStream {
  return new Paced(options);
}

class Paced implements PacedStream {
  readonly #options: PacedOptions;
  readonly #stream: Stream;
  readonly #bytes = new Uint8ArrayList();
  #failure: NodeError | null = null;
  #isResuming = false;
  #isClosed = false;
  /** Wakes who waits in `read`. */
  #wake: (() => void) | null = null;

  constructor(options: PacedOptions) {
    this.#options = options;
    this.#stream = options.stream;
    const wake = (): void => {
      this.#wake?.();
    };
    this.#stream.addEventListener('close', (event) => {
      const cause = 'error' in event ? event.error : undefined;
      if (cause !== undefined)
        this.#failure ??= new NodeError('UNREACHABLE', 'the stream to the peer broke', { cause });
      wake();
    });
    this.#stream.addEventListener('remoteCloseWrite', wake);
    this.#stream.addEventListener('message', ({ data }) => {
      this.#bytes.append(data);
      this.#holdUp();
      options.onArrival();
      wake();
    });
  }

  get heldBytes(): number {
    return this.#bytes.byteLength + this.#stream.readBufferLength + this.#stream.writeBufferLength;
  }

  get isPaused(): boolean {
    return this.#stream.readStatus === 'paused';
  }

  get isOpen(): boolean {
    return this.#stream.status === 'open' && this.#stream.writeStatus === 'writable';
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.#isClosed) return null;
      this.#goOn();
      const message = this.#take();
      if (message) return message;
      if (this.#failure) throw this.#failure;
      if (this.#hasEnded()) {
        if (this.#bytes.byteLength === 0) return null;
        throw new NodeError('PEER_PROTOCOL', 'stream ended inside a message');
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }

  async write(message: Uint8Array): Promise<void> {
    const head = new Uint8Array(LENGTH_BYTES);
    new DataView(head.buffer).setUint32(0, message.length);
    try {
      this.#stream.send(new Uint8ArrayList(head, message));
    } catch (cause) {
      throw this.#failure ?? new NodeError('UNREACHABLE', 'the stream to the peer broke', { cause });
    }
    if (this.#stream.writeBufferLength > 0) await this.#untilIdle();
    if (this.#failure) throw this.#failure;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#bytes.consume(this.#bytes.byteLength);
    this.#wake?.();
    const cancel = this.#options.clock.after(CLOSE_MS, () => {
      this.abort(new NodeError('UNREACHABLE', 'close timed out'));
    });
    this.#stream.addEventListener('close', cancel);
    // One that breaks meanwhile is over as well.
    this.#stream.closeRead().catch(() => undefined);
    this.#stream.close().catch(() => undefined);
  }

  abort(reason: NodeError): void {
    this.#failure ??= reason;
    this.#stream.abort(reason);
    this.#wake?.();
  }

  /** Not until it drains: the library says so to every stream of a connection, and once it did, ever after. */
  #untilIdle(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#stream.removeEventListener('idle', done);
        this.#stream.removeEventListener('close', done);
        resolve();
      };
      this.#stream.addEventListener('idle', done);
      this.#stream.addEventListener('close', done);
    });
  }

  /** @throws NodeError PEER_PROTOCOL */
  #take(): Uint8Array | null {
    if (this.#bytes.byteLength < LENGTH_BYTES) return null;
    const length = this.#bytes.getUint32(0);
    const cap = this.#options.maxMessageBytes;
    if (length > cap) throw new NodeError('PEER_PROTOCOL', 'message exceeds the cap', { data: { length, cap } });
    const end = LENGTH_BYTES + length;
    if (this.#bytes.byteLength < end) return null;
    const message = plainBytes(this.#bytes.slice(LENGTH_BYTES, end));
    this.#bytes.consume(end);
    return message;
  }

  #hasEnded(): boolean {
    const { remoteWriteStatus, readBufferLength } = this.#stream;
    return remoteWriteStatus !== 'writable' && readBufferLength === 0;
  }

  #holdUp(): void {
    const { readStatus } = this.#stream;
    if (this.#isResuming || readStatus !== 'readable') return;
    if (this.#bytes.byteLength > this.#options.readAheadBytes) this.#stream.pause();
  }

  #goOn(): void {
    if (!this.isPaused || this.#bytes.byteLength > this.#options.readAheadBytes / 2) return;
    // What waited in the transport arrives within the call, after which it would undo a pause.
    this.#isResuming = true;
    this.#stream.resume();
    this.#isResuming = false;
    this.#holdUp();
  }
}
