/** Answers peers' requests: size, quota and concurrency first, then the handler; a failing handler answers an error. */
import type { Connection, Stream } from '@libp2p/interface';
import { pipe } from 'it-pipe';
import { METHOD_CODECS } from '../../protocols/codec.ts';
import type { Frame } from '../../protocols/frames.ts';
import { encodeErrorPayload, encodeFrame, FRAME_HEAD_BYTES } from '../../protocols/frames.ts';
import type { Method, Methods } from '../../protocols/messages.ts';
import type { PeerId, RequestHandlers } from '../../protocols/network.ts';
import { ANSWER_QUOTA, METHODS } from '../../protocols/registry.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { isNodeError, NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { deadline } from './deadline.ts';
import type { FramedStream } from './framed-stream.ts';
import { framedStream, framesOf } from './framed-stream.ts';
import type { LogLimit } from './log-limit.ts';
import { createLogLimit } from './log-limit.ts';
import type { NetMetrics } from './metrics.ts';
import type { PeerQuotas } from './peer-quotas.ts';
import type { PeerBook } from './peers.ts';

/** Requests served at once over all peers and methods of a host, in equal parts for its chains. */
export const MAX_SERVED = 64;

/** Shared by the servers of all chains of a host. */
export class ServerLoad {
  /** Chains of the host. */
  chains = 1;
  readonly #served = new Map<string, number>();

  /** @returns false when the chain's part is in use; else `release` is called afterwards */
  take(chainId: string): boolean {
    const served = this.#served.get(chainId) ?? 0;
    if (served >= Math.floor(MAX_SERVED / Math.max(1, this.chains))) return false;
    this.#served.set(chainId, served + 1);
    return true;
  }

  release(chainId: string): void {
    const left = (this.#served.get(chainId) ?? 1) - 1;
    if (left > 0) this.#served.set(chainId, left);
    else this.#served.delete(chainId);
  }
}

export const METHOD_NAMES = Object.keys(METHODS) as Method[];

export interface RequestServerOptions {
  readonly chain: ChainContext;
  readonly handlers: RequestHandlers;
  readonly hasher: Hasher;
  readonly load: ServerLoad;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
}

export class RequestServer {
  readonly #options: RequestServerOptions;
  readonly #limit: LogLimit;
  readonly #streams = new Set<FramedStream>();
  readonly #inFlight = new Map<string, number>();

  constructor(options: RequestServerOptions) {
    this.#options = options;
    this.#limit = createLogLimit(options.log, options.clock);
  }

  stop(): void {
    for (const framed of this.#streams) framed.abort('stopping');
    this.#streams.clear();
  }

  /** Reads requests until the stream ends. A request is answered while later ones are read. */
  async serve(method: Method, stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString();
    const framed = framedStream(stream, METHODS[method].maxRequestBytes + FRAME_HEAD_BYTES);
    this.#streams.add(framed);
    try {
      await pipe(framesOf(framed), async (frames) => {
        for await (const frame of frames) {
          if (frame.kind !== 'request') throw new NodeError('PEER_PROTOCOL', 'a frame that is not a request');
          await this.#accept(method, peer, frame, framed);
        }
      });
      framed.close();
    } catch (error) {
      if (isNodeError(error) && (error.code === 'CODEC' || error.code === 'PEER_PROTOCOL')) {
        this.#options.book.report(peer, 'protocol-error', `${method}: ${error.message}`);
      }
      framed.abort('broken request stream');
    } finally {
      this.#streams.delete(framed);
    }
  }

  /** Resolves at once for a request that is served, and after the answer is written for one that is refused. */
  async #accept<M extends Method>(method: M, peer: PeerId, frame: Frame, framed: FramedStream): Promise<void> {
    const { chain, hasher, quotas, load, book } = this.#options;
    const { chainId } = chain;
    const refuse = async (error: NodeError): Promise<void> => {
      await this.#write(framed, method, errorFrame(frame.id, error));
      this.#count(method, error.code);
    };
    let request: Methods[M]['request'];
    try {
      request = METHOD_CODECS[method].request.decode(hasher, frame.payload);
    } catch (error) {
      book.report(peer, 'protocol-error', `${method}: request does not decode`);
      await refuse(toNodeError(error));
      return;
    }
    const rule = METHODS[method];
    const key = `${peer} ${method}`;
    const inFlight = this.#inFlight.get(key) ?? 0;
    if (inFlight >= rule.maxInFlight) {
      quotas.refused(peer, method);
      await refuse(new NodeError('PEER_QUOTA', 'too many requests at once'));
    } else if (
      !quotas.take(peer, `${chainId} request ${method}`, rule.quota, rule.cost(request)) ||
      !quotas.take(peer, `${chainId} answer bytes`, ANSWER_QUOTA, 0)
    ) {
      await refuse(new NodeError('PEER_QUOTA', 'quota used up'));
    } else if (!load.take(chainId)) {
      await refuse(new NodeError('RATE_LIMITED', 'busy with other peers'));
    } else {
      this.#inFlight.set(key, inFlight + 1);
      void this.#answer(method, peer, frame.id, request, framed).finally(() => {
        load.release(chainId);
        const left = (this.#inFlight.get(key) ?? 1) - 1;
        if (left > 0) this.#inFlight.set(key, left);
        else this.#inFlight.delete(key);
      });
    }
  }

  /** Never throws. Its slot is free when the transport has taken the answer, so that a slow reader holds few of them. */
  async #answer<M extends Method>(
    method: M,
    peer: PeerId,
    id: number,
    request: Methods[M]['request'],
    framed: FramedStream,
  ): Promise<void> {
    const { chain, clock, metrics, quotas } = this.#options;
    const startMs = clock.monotonic();
    const { frame, code } = await this.#handle(method, peer, id, request);
    quotas.charge(peer, `${chain.chainId} answer bytes`, ANSWER_QUOTA, frame.length);
    this.#count(method, code);
    try {
      await this.#write(framed, method, frame);
    } catch {
      framed.abort('the answer was not taken');
    }
    const labels = { chain: chain.chainId, side: 'server', method };
    metrics.requestSeconds.observe((clock.monotonic() - startMs) / 1_000, labels);
  }

  async #handle<M extends Method>(
    method: M,
    peer: PeerId,
    id: number,
    request: Methods[M]['request'],
  ): Promise<{ frame: Uint8Array; code: string }> {
    const { handlers, clock } = this.#options;
    const limit = deadline(clock, METHODS[method].timeoutMs);
    try {
      const late = new Promise<never>((_, reject) => {
        limit.signal.addEventListener('abort', () => {
          reject(new NodeError('TIMEOUT', 'the handler took too long'));
        });
      });
      const response = await Promise.race([handlers[method](request, peer), late]);
      const payload = METHOD_CODECS[method].response.encode(response);
      return { frame: encodeFrame({ id, kind: 'response', payload }), code: 'OK' };
    } catch (thrown) {
      const error = toNodeError(thrown);
      if (error.code === 'INTERNAL' || error.code === 'CODEC') {
        this.#limit.log('error', method, 'request handler failed', { method, error: thrown });
        return { frame: errorFrame(id, new NodeError('INTERNAL', 'unexpected failure')), code: 'INTERNAL' };
      }
      return { frame: errorFrame(id, error), code: error.code };
    } finally {
      limit.clear();
    }
  }

  async #write(framed: FramedStream, method: Method, frame: Uint8Array): Promise<void> {
    const limit = deadline(this.#options.clock, METHODS[method].timeoutMs);
    try {
      await framed.write(frame, limit.signal);
    } finally {
      limit.clear();
    }
  }

  #count(method: Method, code: string): void {
    this.#options.metrics.requests.inc({ chain: this.#options.chain.chainId, side: 'server', method, code });
  }
}

function errorFrame(id: number, error: NodeError): Uint8Array {
  return encodeFrame({ id, kind: 'error', payload: encodeErrorPayload(error.code, error.message) });
}
