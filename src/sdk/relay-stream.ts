/** A work stream over a node's WebSocket, for browsers and Node. */
import type { ErrorCode } from '../errors.ts';
import { isErrorCode, NodeError } from '../errors.ts';
import { subprotocols } from './live.ts';
import { MAX_WORK_RECORD_BYTES, PING_RECORD } from '../../protocols/market/work-channel.ts';
import { LEASE_MS, PING_MS } from '../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../protocols/market/work-stream.ts';

/** Bytes that wait unread: a miner sends no more than it has credit for, and no output is larger than half of it. */
export const MAX_UNREAD_BYTES = 8 * 1024 * 1024;
/** Bytes that the socket has taken and the network has not. */
const MAX_UNSENT_BYTES = 256 * 1024;
const SEND_POLL_MS = 10;
const CONNECT_WITHIN_MS = 10_000;

/** @param url ws or wss @throws NodeError UNREACHABLE | TIMEOUT */
export function openRelayStream(url: string, apiKey: string | undefined, signal: AbortSignal): Promise<WorkStream> {
  return new Promise((resolve, reject) => {
    const stream = new RelayStream(url, subprotocols(apiKey));
    const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_WITHIN_MS)]);
    const onAbort = (): void => {
      const late = !signal.aborted;
      stream.fail(new NodeError(late ? 'TIMEOUT' : 'UNREACHABLE', late ? 'no answer in time' : 'given up'));
    };
    if (limit.aborted) onAbort();
    else limit.addEventListener('abort', onAbort);
    stream.opened
      .finally(() => {
        limit.removeEventListener('abort', onAbort);
      })
      .then(() => {
        resolve(stream);
      }, reject);
  });
}

class RelayStream implements WorkStream {
  readonly opened: Promise<void>;
  readonly #socket: WebSocket;
  readonly #frames: Uint8Array[] = [];
  #unread = 0;
  #failure: NodeError | null = null;
  #isOver = false;
  #wake: (() => void) | null = null;
  #sending: Promise<void> = Promise.resolve();
  #heardMs = performance.now();
  #sentMs = performance.now();
  readonly #beat: ReturnType<typeof setInterval>;

  constructor(url: string, protocols: readonly string[]) {
    this.#socket = new WebSocket(url, [...protocols]);
    this.#socket.binaryType = 'arraybuffer';
    this.#beat = setInterval(() => {
      this.#onBeat();
    }, 1_000);
    this.opened = new Promise((resolve, reject) => {
      this.#socket.addEventListener('open', () => {
        this.#heardMs = performance.now();
        resolve();
      });
      this.#socket.addEventListener('close', ({ code, reason }) => {
        this.#end(code === 1000 ? null : closeError(code, reason));
        reject(this.#failure ?? closeError(code, reason));
      });
    });
    this.opened.catch(() => undefined);
    this.#socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
      this.#onMessage(data);
    });
  }

  send(frame: Uint8Array): Promise<void> {
    if (frame.length > MAX_WORK_RECORD_BYTES) {
      return Promise.reject(new NodeError('TOO_LARGE', 'a frame exceeds the cap', { data: { bytes: frame.length } }));
    }
    const sent = this.#sending.then(async () => {
      // A WebSocket tells no one when it has drained.
      while (!this.#isOver && this.#socket.bufferedAmount > MAX_UNSENT_BYTES) {
        await new Promise((resolve) => setTimeout(resolve, SEND_POLL_MS));
      }
      if (this.#isOver) throw this.#failure ?? new NodeError('UNREACHABLE', 'the work stream is closed');
      this.#sentMs = performance.now();
      this.#socket.send(frame.slice());
    });
    this.#sending = sent.catch(() => undefined);
    return sent;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame) {
        this.#unread -= frame.length;
        return frame;
      }
      if (this.#failure) throw this.#failure;
      if (this.#isOver) return null;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = null;
    }
  }

  close(): void {
    this.#frames.length = 0;
    this.#end(null);
    this.#socket.close(1000);
  }

  fail(error: NodeError): void {
    this.#end(error);
    this.#socket.close(1000);
  }

  #onMessage(data: unknown): void {
    if (this.#isOver) return;
    this.#heardMs = performance.now();
    if (!(data instanceof ArrayBuffer) || data.byteLength > MAX_WORK_RECORD_BYTES) {
      this.fail(new NodeError('PEER_PROTOCOL', 'the node sent what is no frame of a work stream'));
      return;
    }
    this.#unread += data.byteLength;
    if (this.#unread > MAX_UNREAD_BYTES) {
      this.fail(new NodeError('PEER_PROTOCOL', 'more came than any miner may send'));
      return;
    }
    this.#frames.push(new Uint8Array(data));
    this.#wake?.();
  }

  #onBeat(): void {
    const nowMs = performance.now();
    if (nowMs - this.#heardMs > LEASE_MS) {
      this.fail(new NodeError('UNREACHABLE', 'nothing came over the work stream for too long'));
    } else if (nowMs - this.#sentMs >= PING_MS && this.#socket.readyState === WebSocket.OPEN) {
      this.#sentMs = nowMs;
      this.#socket.send(PING_RECORD.slice());
    }
  }

  /** What has come can still be read. */
  #end(failure: NodeError | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    clearInterval(this.#beat);
    this.#wake?.();
  }
}

/** The node's reason begins with a code; an upgrade that was refused tells none. */
function closeError(code: number, reason: string): NodeError {
  const [name = '', ...rest] = reason.split(': ');
  const known: ErrorCode = isErrorCode(name) ? name : 'UNREACHABLE';
  const told = isErrorCode(name) ? rest.join(': ') : 'the node does not relay the work stream';
  return new NodeError(known, told, {
    data: { closeCode: code },
    ...(!isErrorCode(name) && { hint: 'is the node reachable, and does it take work streams of this page or client?' }),
  });
}
