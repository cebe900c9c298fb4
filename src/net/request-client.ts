/** Asks peers over long-lived streams, one a peer and method, with many requests in flight on each. */
import type { Connection } from '@libp2p/interface';
import { pipe } from 'it-pipe';
import { METHOD_CODECS } from '../../protocols/codec.ts';
import type { Frame } from '../../protocols/frames.ts';
import { decodeErrorPayload, encodeFrame, FRAME_HEAD_BYTES, MAX_ERROR_FRAME_BYTES } from '../../protocols/frames.ts';
import type { Method, Methods } from '../../protocols/messages.ts';
import type { PeerId } from '../../protocols/network.ts';
import { METHODS } from '../../protocols/registry.ts';
import { protocolId } from '../../protocols/topics.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { deadline } from './deadline.ts';
import type { FramedStream } from './framed-stream.ts';
import { framedStream, framesOf } from './framed-stream.ts';
import type { NetMetrics } from './metrics.ts';
import type { PeerBook } from './peers.ts';

export interface RequestClientOptions {
  readonly chain: ChainContext;
  readonly hasher: Hasher;
  /** An open connection to the peer. */
  readonly connection: (peer: PeerId) => Connection | undefined;
  readonly book: PeerBook;
  readonly clock: Clock;
  readonly metrics: NetMetrics;
}

interface Pending {
  resolve(payload: Uint8Array): void;
  reject(error: NodeError): void;
}

/** One stream to one peer for one method. */
interface Line {
  readonly framed: FramedStream;
  readonly pending: Map<number, Pending>;
  nextId: number;
}

export class RequestClient {
  readonly #options: RequestClientOptions;
  readonly #lines = new Map<string, Promise<Line>>();
  readonly #inFlight = new Map<string, number>();

  constructor(options: RequestClientOptions) {
    this.#options = options;
  }

  async request<M extends Method>(
    peer: PeerId,
    method: M,
    request: Methods[M]['request'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['response']> {
    const { chain, clock, metrics, book } = this.#options;
    const startMs = clock.monotonic();
    const labels = { chain: chain.chainId, side: 'client', method };
    const limit = deadline(clock, METHODS[method].timeoutMs, signal);
    try {
      const payload = METHOD_CODECS[method].request.encode(request);
      const answer = await this.#inSlot(peer, method, () => this.#ask(peer, method, payload, limit.signal));
      const response = this.#decode(method, answer);
      metrics.requests.inc({ ...labels, code: 'OK' });
      return response;
    } catch (error) {
      const failure = isNodeError(error)
        ? error
        : new NodeError('UNREACHABLE', 'the request to the peer failed', { data: { method }, cause: error });
      metrics.requests.inc({ ...labels, code: failure.code });
      if (failure.code === 'PEER_PROTOCOL') book.report(peer, 'protocol-error', `answer to ${method}`);
      if (failure.code === 'TIMEOUT' && signal?.aborted !== true) book.report(peer, 'timeout', method);
      throw failure;
    } finally {
      limit.clear();
      metrics.requestSeconds.observe((clock.monotonic() - startMs) / 1_000, labels);
    }
  }

  /** Fails what is in flight. */
  stop(): void {
    for (const opening of this.#lines.values()) {
      opening.then(
        (line) => {
          line.framed.abort('stopping');
        },
        () => undefined,
      );
    }
    this.#lines.clear();
  }

  async #inSlot<T>(peer: PeerId, method: Method, work: () => Promise<T>): Promise<T> {
    const key = `${peer} ${method}`;
    const inFlight = this.#inFlight.get(key) ?? 0;
    if (inFlight >= METHODS[method].maxInFlight) {
      throw new NodeError('RATE_LIMITED', 'too many requests to one peer at once', {
        data: { method, inFlight },
        hint: 'ask another peer, or wait for an answer',
      });
    }
    this.#inFlight.set(key, inFlight + 1);
    try {
      return await work();
    } finally {
      const left = (this.#inFlight.get(key) ?? 1) - 1;
      if (left > 0) this.#inFlight.set(key, left);
      else this.#inFlight.delete(key);
    }
  }

  /** A stream kept from earlier may be broken without our knowing: such a failure is tried once more on a new one. */
  async #ask(peer: PeerId, method: Method, payload: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const kept = this.#lines.has(`${peer} ${method}`);
    try {
      return await this.#send(peer, method, payload, signal);
    } catch (error) {
      const again = kept && isNodeError(error) && error.code === 'UNREACHABLE' && !signal.aborted;
      if (!again) throw error;
      return this.#send(peer, method, payload, signal);
    }
  }

  async #send(peer: PeerId, method: Method, payload: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const line = await raceAbort(this.#line(peer, method), signal);
    const id = line.nextId;
    line.nextId = (id + 1) % 2 ** 32;
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      line.pending.set(id, { resolve, reject });
    });
    try {
      const sent = line.framed.write(encodeFrame({ id, kind: 'request', payload }), signal);
      // The answer may overtake the end of the write, and its failure is the more telling one.
      return await raceAbort(Promise.race([answer, sent.then(() => answer)]), signal);
    } finally {
      line.pending.delete(id);
    }
  }

  async #line(peer: PeerId, method: Method): Promise<Line> {
    const key = `${peer} ${method}`;
    const kept = this.#lines.get(key);
    if (kept) {
      const line = await kept;
      if (line.framed.open) return line;
      if (this.#lines.get(key) === kept) this.#lines.delete(key);
    }
    const other = this.#lines.get(key);
    if (other) return other;
    const opening = this.#open(peer, method);
    this.#lines.set(key, opening);
    void opening
      .then((line) => listen(line))
      .catch(() => undefined)
      .finally(() => {
        if (this.#lines.get(key) === opening) this.#lines.delete(key);
      });
    return opening;
  }

  async #open(peer: PeerId, method: Method): Promise<Line> {
    const { chain, connection, clock } = this.#options;
    const limit = deadline(clock, METHODS[method].timeoutMs);
    try {
      const open = connection(peer);
      if (!open) throw new NodeError('UNREACHABLE', 'the peer is not connected', { data: { peer, method } });
      const stream = await open.newStream(protocolId(chain, method), {
        signal: limit.signal,
        runOnLimitedConnection: true,
      });
      const cap = Math.max(METHODS[method].maxResponseBytes + FRAME_HEAD_BYTES, MAX_ERROR_FRAME_BYTES);
      return { framed: framedStream(stream, cap), pending: new Map(), nextId: 1 };
    } catch (error) {
      if (isNodeError(error)) throw error;
      throw new NodeError('UNREACHABLE', 'no stream to the peer', { data: { peer, method }, cause: error });
    } finally {
      limit.clear();
    }
  }

  #decode<M extends Method>(method: M, bytes: Uint8Array): Methods[M]['response'] {
    try {
      return METHOD_CODECS[method].response.decode(this.#options.hasher, bytes);
    } catch (cause) {
      throw new NodeError('PEER_PROTOCOL', 'the peer answered with bytes that do not decode', {
        data: { method },
        cause,
      });
    }
  }
}

/** Hands out answers until the stream ends, then fails what is left. */
async function listen(line: Line): Promise<void> {
  let failure = new NodeError('UNREACHABLE', 'the peer closed the stream');
  try {
    await pipe(framesOf(line.framed), async (frames) => {
      for await (const frame of frames) deliver(line, frame);
    });
  } catch (error) {
    const broke = isNodeError(error) && error.code === 'UNREACHABLE';
    failure = broke ? error : new NodeError('PEER_PROTOCOL', 'the peer sent a broken frame', { cause: error });
  }
  line.framed.abort('done');
  for (const pending of line.pending.values()) pending.reject(failure);
}

/** @throws NodeError CODEC on what an answering side never sends */
function deliver(line: Line, frame: Frame): void {
  const pending = line.pending.get(frame.id);
  if (frame.kind === 'request' || frame.id >= line.nextId) {
    throw new NodeError('CODEC', 'not an answer to any request', { data: { id: frame.id, kind: frame.kind } });
  }
  // Late: the request timed out or was cancelled.
  if (!pending) return;
  if (frame.kind === 'response') pending.resolve(frame.payload);
  else pending.reject(decodeErrorPayload(frame.payload));
}

/** The promise, or the signal's reason as soon as it aborts. */
function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as NodeError);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}
