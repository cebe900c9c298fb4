/** The one place that knows libp2p's stream API: length-prefixed messages over a stream, with caps in both directions. */
import type { Stream } from '@libp2p/interface';
import { byteStream } from '@libp2p/utils';
import { pipe } from 'it-pipe';
import { Uint8ArrayList } from 'uint8arraylist';
import type { Frame } from '../../protocols/frames.ts';
import { decodeFrame } from '../../protocols/frames.ts';
import { NodeError } from '../errors.ts';
import { plainBytes } from './plain-bytes.ts';

const LENGTH_BYTES = 4;

/** Bytes that may wait unread beyond one message; above it the stream is reset. */
const READ_AHEAD_BYTES = 1024 * 1024;

export interface FramedStream {
  /**
   * The next message, or null when the other side ended the stream between two messages.
   *
   * @throws NodeError PEER_PROTOCOL when a length exceeds the cap or the stream ends inside a message; UNREACHABLE when
   *   the stream breaks
   */
  read(signal?: AbortSignal): Promise<Uint8Array | null>;
  /** Resolves when the transport can take more. @throws NodeError UNREACHABLE */
  write(message: Uint8Array, signal?: AbortSignal): Promise<void>;
  readonly open: boolean;
  /** Ends our side in order; resets the stream when that does not work at once. */
  close(): void;
  /** Resets the stream: both sides fail. */
  abort(reason: string): void;
}

export function framedStream(stream: Stream, maxMessageBytes: number): FramedStream {
  const bytes = byteStream(stream, { maxBufferSize: maxMessageBytes + READ_AHEAD_BYTES });

  async function readExactly(count: number, signal: AbortSignal | undefined): Promise<Uint8Array> {
    if (count === 0) return new Uint8Array();
    const options = signal === undefined ? { bytes: count } : { bytes: count, signal };
    return plainBytes((await bytes.read(options)).subarray());
  }

  return {
    async read(signal) {
      let head: Uint8Array;
      try {
        head = await readExactly(LENGTH_BYTES, signal);
      } catch (error) {
        if (endedInOrder(stream, error)) return null;
        throw broken(error);
      }
      const length = new DataView(head.buffer, head.byteOffset, LENGTH_BYTES).getUint32(0);
      if (length > maxMessageBytes) {
        throw new NodeError('PEER_PROTOCOL', 'message exceeds the cap', { data: { length, cap: maxMessageBytes } });
      }
      try {
        return await readExactly(length, signal);
      } catch (error) {
        if (endedInOrder(stream, error)) {
          throw new NodeError('PEER_PROTOCOL', 'stream ended inside a message', { data: { length } });
        }
        throw broken(error);
      }
    },

    async write(message, signal) {
      const head = new Uint8Array(LENGTH_BYTES);
      new DataView(head.buffer).setUint32(0, message.length);
      try {
        await bytes.write(new Uint8ArrayList(head, message), signal === undefined ? {} : { signal });
      } catch (error) {
        throw broken(error);
      }
    },

    get open() {
      return stream.status === 'open' && stream.writeStatus === 'writable';
    },

    close() {
      stream.close({ signal: AbortSignal.timeout(1_000) }).catch(() => {
        this.abort('close timed out');
      });
    },

    abort(reason) {
      stream.abort(new NodeError('UNREACHABLE', reason));
    },
  };
}

/** Every frame until the other side ends the stream, for a pipeline. @throws as `read`, and NodeError CODEC */
export function framesOf(framed: FramedStream): AsyncIterable<Frame> {
  return pipe(messagesOf(framed), async function* (messages) {
    for await (const bytes of messages) yield decodeFrame(bytes);
  });
}

async function* messagesOf(framed: FramedStream): AsyncGenerator<Uint8Array> {
  for (let bytes = await framed.read(); bytes !== null; bytes = await framed.read()) yield bytes;
}

/** The other side closed for writing, as opposed to a reset or a lost connection. */
function endedInOrder(stream: Stream, error: unknown): boolean {
  return error instanceof Error && error.name === 'UnexpectedEOFError' && stream.status !== 'reset';
}

function broken(cause: unknown): NodeError {
  return new NodeError('UNREACHABLE', 'the stream to the peer broke', { cause });
}
