/**
 * Fewer and larger writes below the streams. The libraries write every frame by itself, in up to five pieces of which each
 * is a call of the system and a packet, and answer every data frame with a window update. Here the frames of one turn of
 * the event loop become one noise message, which noise.ts makes one write, and window updates wait until they matter.
 */
import type { MessageStream } from '@libp2p/interface';
import { Uint8ArrayList } from 'uint8arraylist';

/** Frames wait for each other up to this size: the largest noise message is a little less. */
const MAX_JOINED_BYTES = 60 * 1024;

/**
 * What a peer may have sent on a stream without its window being told to grow. The smallest window is 256 KiB, so that
 * seven eighths of it are always open.
 */
export const MAX_WITHHELD_BYTES = 32 * 1024;
/** Streams of a connection with updates that wait; those of the oldest are sent when there are more. */
export const MAX_WITHHELD_STREAMS = 256;

/** The yamux frame header: version, type, u16 flags, u32 stream, u32 length (hashicorp/yamux spec.md). */
const HEADER_BYTES = 12;
const WINDOW_UPDATE = 1;

export interface JoinedWrites {
  /** Sends what waits. */
  flush(): void;
}

/**
 * Changes the `send` of a secured connection, to which a yamux muxer gives one frame a call.
 *
 * @param onWaiting called when something begins to wait for `flush`
 */
export function joinWrites(stream: MessageStream, onWaiting: (writes: JoinedWrites) => void): JoinedWrites {
  const send = stream.send.bind(stream);
  const withheld = new Map<number, number>();
  let waiting = new Uint8ArrayList();
  const writes: JoinedWrites = {
    flush() {
      if (waiting.byteLength === 0) return;
      const frames = waiting.subarray();
      waiting = new Uint8ArrayList();
      try {
        send(frames);
      } catch (error) {
        // Nobody waits for the outcome of a frame: streams learn of a lost connection by its end.
        stream.log('frames were not sent - %e', error);
      }
    },
  };
  stream.send = (frame) => {
    const due = isWindowUpdate(frame) ? withhold(withheld, frame) : frame;
    if (due === null) return !stream.writableNeedsDrain;
    if (stream.status !== 'open' || stream.writableNeedsDrain || due.byteLength > MAX_JOINED_BYTES) {
      writes.flush();
      return send(due);
    }
    if (waiting.byteLength + due.byteLength > MAX_JOINED_BYTES) writes.flush();
    if (waiting.byteLength === 0) onWaiting(writes);
    waiting.append(due);
    return true;
  };
  return writes;
}

/** One that does nothing but open the window: others begin, accept, end or reset a stream. */
function isWindowUpdate(frame: Uint8Array | Uint8ArrayList): frame is Uint8Array {
  return (
    frame instanceof Uint8Array &&
    frame.byteLength === HEADER_BYTES &&
    frame[1] === WINDOW_UPDATE &&
    frame[2] === 0 &&
    frame[3] === 0
  );
}

/** @returns a frame that tells all that was withheld of its stream, once that is enough, or of another one, or null */
function withhold(withheld: Map<number, number>, frame: Uint8Array): Uint8Array | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const stream = view.getUint32(4);
  const bytes = (withheld.get(stream) ?? 0) + view.getUint32(8);
  withheld.delete(stream);
  if (bytes >= MAX_WITHHELD_BYTES) return windowUpdate(stream, bytes);
  withheld.set(stream, bytes);
  if (withheld.size <= MAX_WITHHELD_STREAMS) return null;
  for (const [oldest, bytesOfOldest] of withheld) {
    withheld.delete(oldest);
    return windowUpdate(oldest, bytesOfOldest);
  }
  return null;
}

function windowUpdate(stream: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(HEADER_BYTES);
  frame[1] = WINDOW_UPDATE;
  const view = new DataView(frame.buffer);
  view.setUint32(4, stream);
  view.setUint32(8, bytes);
  return frame;
}
