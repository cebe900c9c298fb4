/** The connections below the streams: what is written to each in one turn goes out together, and each is pinged. */
import type { Connection, MessageStream, StreamMuxerFactory } from '@libp2p/interface';
import type { YamuxMuxerInit } from '@libp2p/yamux';
import { yamux } from '@libp2p/yamux';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import { deadline } from './deadline.ts';
import type { JoinedWrites } from './joined-writes.ts';
import { joinWrites } from './joined-writes.ts';

/**
 * A peer that answers no ping for PING_TIMEOUT_MS is cut off, so that a frozen machine is noticed. The muxer's own ping is
 * one small frame each way; the ping protocol opens a stream each time, which is fourteen.
 */
export const PING_MS = 5_000;
export const PING_TIMEOUT_MS = 8_000;

export interface PingTimes {
  readonly everyMs: number;
  /** Whoever has not answered by then is cut off. */
  readonly timeoutMs: number;
}

type Yamux = ReturnType<ReturnType<typeof yamux>>;
type Muxer = ReturnType<Yamux['createStreamMuxer']>;

export class Links {
  readonly #clock: Clock;
  readonly #times: PingTimes;
  readonly #muxers = new Map<Muxer, MessageStream>();
  readonly #waiting = new Set<JoinedWrites>();
  #flush: NodeJS.Immediate | null = null;
  #stopPings: () => void = () => undefined;

  constructor(clock: Clock, times: PingTimes = { everyMs: PING_MS, timeoutMs: PING_TIMEOUT_MS }) {
    this.#clock = clock;
    this.#times = times;
  }

  /** For libp2p's `streamMuxers`. */
  muxer(init: YamuxMuxerInit): () => StreamMuxerFactory<Muxer> {
    const create = yamux({ ...init, enableKeepAlive: false });
    return () => {
      const inner = create();
      return { protocol: inner.protocol, createStreamMuxer: (stream) => this.#add(inner, stream) };
    };
  }

  start(): void {
    this.#stopPings = every(this.#clock, this.#times.everyMs, () => {
      for (const [muxer, stream] of this.#muxers) this.#ping(muxer, stream);
    });
  }

  stop(): void {
    this.#stopPings();
    this.flush();
  }

  /** Sends at once what waits for the end of this turn: something that others wait for was written. */
  flush(): void {
    if (this.#flush) clearImmediate(this.#flush);
    this.#flush = null;
    // What is relayed goes out over another connection here, which may have had its turn already: then it has one more.
    for (const writes of this.#waiting) {
      this.#waiting.delete(writes);
      writes.flush();
    }
  }

  /** Of the last ping, in ms; null before its answer. */
  rttMs(connection: Connection): number | null {
    for (const muxer of this.#muxers.keys()) {
      // A connection shows the streams of its muxer.
      if (muxer.streams === connection.streams) return muxer.getRTT() < 0 ? null : muxer.getRTT();
    }
    return null;
  }

  #add(factory: Yamux, stream: MessageStream): Muxer {
    const writes = joinWrites(stream, (waiting) => {
      this.#waiting.add(waiting);
      this.#flush ??= setImmediate(() => {
        this.#flush = null;
        this.flush();
      });
    });
    const muxer = factory.createStreamMuxer(stream);
    const [close, abort] = [muxer.close.bind(muxer), muxer.abort.bind(muxer)];
    // What the streams say at their end goes out before the connection below ends.
    muxer.close = async (options) => {
      await close(options);
      writes.flush();
    };
    muxer.abort = (error) => {
      abort(error);
      writes.flush();
    };
    this.#muxers.set(muxer, stream);
    stream.addEventListener('close', () => {
      this.#muxers.delete(muxer);
      this.#waiting.delete(writes);
    });
    this.#ping(muxer, stream);
    return muxer;
  }

  #ping(muxer: Muxer, stream: MessageStream): void {
    void ping(deadline(this.#clock, this.#times.timeoutMs), muxer, stream);
  }
}

/** Resolves when it is answered, or the connection is cut off. A ping that is under way is not sent again. */
async function ping(limit: Deadline, muxer: Muxer, stream: MessageStream): Promise<void> {
  try {
    await muxer.ping({ signal: limit.signal });
  } catch (cause) {
    // A connection that is being closed is pinged no more.
    if (!limit.signal.aborted) return;
    const silent = new NodeError('UNREACHABLE', 'the peer does not answer pings', { cause });
    muxer.abort(silent);
    stream.abort(silent);
  } finally {
    limit.clear();
  }
}
