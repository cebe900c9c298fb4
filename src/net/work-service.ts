/** Work streams of one chain: opened to miners, and served where this node has one. */
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import type { WorkStream } from '../../protocols/market/work-stream.ts';
import type { PeerId, WorkHandler } from '../../protocols/network.ts';
import { WORK } from '../../protocols/registry.ts';
import { workProtocolId } from '../../protocols/topics.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { isNodeError, NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { deadline } from './deadline.ts';
import type { LogLimit } from './log-limit.ts';
import { createLogLimit } from './log-limit.ts';
import { pacedStream } from './paced-stream.ts';
import type { PeerQuotas } from './peer-quotas.ts';
import type { PeerBook } from './peers.ts';
import type { LoadedStream, Side, WorkLoad } from './work-load.ts';

export interface WorkServiceOptions {
  readonly libp2p: Pick<Libp2p, 'handle' | 'unhandle'>;
  readonly chain: ChainContext;
  /** An open connection to the peer. */
  readonly connection: (peer: PeerId) => Connection | undefined;
  readonly work: WorkLoad;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Over all peers; what one may have, the load decides. */
const STREAM_LIMITS = {
  maxInboundStreams: WORK.maxStreams,
  maxOutboundStreams: WORK.maxStreams,
  runOnLimitedConnection: true,
};

export class WorkService {
  readonly #options: WorkServiceOptions;
  readonly #protocol: string;
  readonly #limit: LogLimit;
  readonly #open = new Set<LoadedStream>();
  #handler: WorkHandler | null = null;
  /** Registering takes time and is done in order. */
  #registration: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: WorkServiceOptions) {
    this.#options = options;
    this.#protocol = workProtocolId(options.chain);
    this.#limit = createLogLimit(options.log, options.clock);
  }

  /** Streams of the handler before go on to their end. */
  serve(handler: WorkHandler | null): Promise<void> {
    const done = this.#registration.then(async () => {
      const { libp2p } = this.#options;
      const isServed = this.#handler !== null;
      this.#handler = this.#isStopped ? null : handler;
      if (isServed === (this.#handler !== null)) return;
      if (isServed) await libp2p.unhandle(this.#protocol);
      else await libp2p.handle(this.#protocol, (stream, link) => this.#serve(stream, link), STREAM_LIMITS);
    });
    this.#registration = done.catch(() => undefined);
    return done;
  }

  async open(peer: PeerId, signal: AbortSignal): Promise<WorkStream> {
    const { connection, clock, work } = this.#options;
    const link = connection(peer);
    if (!link) throw new NodeError('UNREACHABLE', 'the miner is not connected', { data: { peer } });
    if (!work.enter('client', peer)) {
      throw new NodeError('RATE_LIMITED', 'too many work streams are open', {
        data: { peer, cap: WORK.maxStreams },
        hint: 'wait for one that is free: a stream serves one attempt after the other',
      });
    }
    const limit = deadline(clock, WORK.openMs, signal);
    try {
      const options = { signal: limit.signal, maxOutboundStreams: WORK.maxStreams, runOnLimitedConnection: true };
      return this.#carry('client', peer, await link.newStream(this.#protocol, options)).stream;
    } catch (cause) {
      work.leave('client', peer);
      if (limit.signal.aborted) throw limit.signal.reason as NodeError;
      throw new NodeError('UNREACHABLE', 'the peer opens no work stream', {
        data: { peer },
        hint: 'it may have no miner any more: ask for another quote',
        cause,
      });
    } finally {
      limit.clear();
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.serve(null);
    for (const { paced } of this.#open) paced.abort(new NodeError('UNREACHABLE', 'stopping'));
  }

  /** Never throws. */
  async #serve(stream: Stream, link: Connection): Promise<void> {
    const { work, quotas, chain } = this.#options;
    const peer = link.remotePeer.toString();
    const handler = this.#handler;
    const refuse = (reason: string): void => {
      stream.abort(new NodeError('PEER_QUOTA', reason));
    };
    if (!handler) {
      refuse('no miner');
      return;
    }
    if (!quotas.take(peer, `${chain.chainId} work`, WORK.quota, 1)) {
      refuse('too many new streams');
      return;
    }
    if (!work.enter('miner', peer)) {
      quotas.refused(peer, 'work streams');
      refuse('too many open streams');
      return;
    }
    const carried = this.#carry('miner', peer, stream);
    try {
      await handler(carried.stream, peer);
      carried.stream.close();
    } catch (thrown) {
      // What frames say is their client's doing, and the peer may have passed them on unread for one that is none.
      if (!isNodeError(thrown)) this.#limit.log('error', peer, 'serving a work stream failed', { peer, error: thrown });
      carried.loaded.paced.abort(toNodeError(thrown));
    }
  }

  #broke(peer: PeerId, error: NodeError): void {
    this.#options.book.report(peer, 'protocol-error', `work: ${error.message}`);
  }

  /** Counted already; takes itself off the load when the transport says that it is over. */
  #carry(side: Side, peer: PeerId, stream: Stream): { readonly stream: WorkStream; readonly loaded: LoadedStream } {
    const { clock, work } = this.#options;
    const nowMs = clock.monotonic();
    const paced = pacedStream({
      stream,
      clock,
      maxMessageBytes: WORK.maxRecordBytes,
      readAheadBytes: WORK.readAheadBytes,
      onArrival: () => {
        loaded.heardMs = clock.monotonic();
      },
    });
    const loaded: LoadedStream = { peer, side, paced, heardMs: nowMs, sentMs: nowMs, sendingMs: null };
    const onOver = (): void => {
      if (!this.#open.delete(loaded)) return;
      work.remove(loaded);
      work.leave(side, peer);
    };
    this.#open.add(loaded);
    work.add(loaded);
    stream.addEventListener('close', onOver);
    if (stream.status !== 'open') onOver();
    return {
      stream: workStream(loaded, clock, (error) => {
        this.#broke(peer, error);
      }),
      loaded,
    };
  }
}

function workStream(loaded: LoadedStream, clock: Clock, onBroken: (error: NodeError) => void): WorkStream {
  const { paced } = loaded;
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const write = async (frame: Uint8Array): Promise<void> => {
    loaded.sendingMs ??= clock.monotonic();
    loaded.sentMs = clock.monotonic();
    try {
      await paced.write(frame);
    } finally {
      loaded.sendingMs = --waiting > 0 ? clock.monotonic() : null;
    }
  };
  return {
    send: (frame) => {
      if (frame.length > WORK.maxRecordBytes) {
        const data = { bytes: frame.length, cap: WORK.maxRecordBytes };
        return Promise.reject(new NodeError('TOO_LARGE', 'a frame exceeds the cap', { data }));
      }
      waiting++;
      const done = last.then(() => write(frame));
      last = done.catch(() => undefined);
      return done;
    },
    read: async () => {
      try {
        return await paced.read();
      } catch (error) {
        if (isNodeError(error) && error.code === 'PEER_PROTOCOL') onBroken(error);
        throw error;
      }
    },
    close: () => {
      paced.close();
    },
  };
}
