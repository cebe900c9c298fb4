/** Joins two streams of a relay: what one side sends, the other gets, no faster than it takes it. */
import type { Stream } from '@libp2p/interface';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { RelayLimit } from './messages.ts';

export interface CircuitOptions {
  /** Null: as long and as much as they like. */
  readonly limit: RelayLimit | null;
  readonly clock: Clock;
  readonly onBytes: (bytes: number) => void;
  /** Once, when both directions are over. */
  readonly onEnd: () => void;
}

/** @returns ends it */
export function joinStreams(source: Stream, destination: Stream, options: CircuitOptions): (reason: string) => void {
  const { limit, clock, onBytes, onEnd } = options;
  let carriedBytes = 0;
  let isOver = false;
  const end = (reason: string): void => {
    if (isOver) return;
    isOver = true;
    cancel();
    const error = new NodeError('UNREACHABLE', reason);
    source.abort(error);
    destination.abort(error);
    onEnd();
  };
  const cancel = limit
    ? clock.after(limit.seconds * 1_000, () => {
        end('the time of the relayed connection is up');
      })
    : () => undefined;

  const carry = (from: Stream, to: Stream): void => {
    to.addEventListener('drain', () => {
      if (from.readStatus === 'paused') from.resume();
    });
    from.addEventListener('message', ({ data }) => {
      if (isOver) return;
      carriedBytes += data.byteLength;
      onBytes(data.byteLength);
      if (limit && carriedBytes > limit.bytes) {
        end('the bytes of the relayed connection are used up');
        return;
      }
      try {
        if (!to.send(data) && from.readStatus === 'readable') from.pause();
      } catch {
        end('the other side of the relayed connection is gone');
      }
    });
    // A relayed connection has no use for half of itself.
    for (const event of ['close', 'remoteCloseWrite'] as const) {
      from.addEventListener(event, () => {
        to.close({ signal: AbortSignal.timeout(CLOSE_MS) }).then(
          () => {
            end('closed');
          },
          () => {
            end('closed');
          },
        );
      });
    }
  };
  carry(source, destination);
  carry(destination, source);
  if (source.status !== 'open' || destination.status !== 'open') end('closed');
  return end;
}

/** For what is still on its way to the other side. */
const CLOSE_MS = 1_000;
