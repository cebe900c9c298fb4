/** The handshake on every connection: who carries which chains, and which of them are refused for their genesis. */
import type { Connection, Stream } from '@libp2p/interface';
import type { Hello } from '../../protocols/hello.ts';
import {
  decodeHello,
  decodeHelloAnswer,
  encodeHello,
  encodeHelloAnswer,
  goodbyeOf,
  HELLO_PROTOCOL,
  matchChains,
  MAX_HELLO_ANSWER_BYTES,
  MAX_HELLO_BYTES,
} from '../../protocols/hello.ts';
import type { PeerId } from '../../protocols/network.ts';
import { HELLO_QUOTA, HELLO_TIMEOUT_MS } from '../../protocols/registry.ts';
import { toHex } from '../bytes.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Clock } from '../clock.ts';
import { isNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { deadline } from './deadline.ts';
import { framedStream } from './framed-stream.ts';
import type { LogLimit } from './log-limit.ts';
import { createLogLimit } from './log-limit.ts';
import type { PeerBook } from './peers.ts';
import type { PeerQuotas } from './peer-quotas.ts';

/** A chain that a peer and this node call by one name and mean two things by. Hashes in hex. */
export interface Refusal {
  readonly peer: PeerId;
  readonly address: string;
  readonly chainId: string;
  readonly ourGenesis: string;
  readonly theirGenesis: string;
  /** Wall clock. */
  readonly atMs: number;
}

export const MAX_REFUSALS = 64;

/** Time for a goodbye to arrive before the connection is closed from this side. */
const GOODBYE_GRACE_MS = 1_000;

export interface HelloOptions {
  readonly agent: string;
  readonly ourChains: () => readonly ChainContext[];
  /** The chains a peer shares have changed; none left when it disconnected. */
  readonly onShared: (peer: PeerId, chainIds: readonly string[]) => void;
  readonly close: (connection: Connection) => void;
  readonly book: PeerBook;
  readonly quotas: PeerQuotas;
  readonly clock: Clock;
  readonly log: Logger;
}

interface PeerState {
  hello: Hello | null;
  /** The last greeting on its way; the next one waits for it, so that the newest list is told last. */
  greeting: Promise<void>;
}

export class HelloService {
  readonly #options: HelloOptions;
  readonly #limit: LogLimit;
  readonly #peers = new Map<PeerId, PeerState>();
  readonly #refusals = new Map<string, Refusal>();
  readonly #timers = new Set<() => void>();

  constructor(options: HelloOptions) {
    this.#options = options;
    this.#limit = createLogLimit(options.log, options.clock);
  }

  /** Newest last, at most {@link MAX_REFUSALS}. */
  refusals(): Refusal[] {
    return [...this.#refusals.values()];
  }

  /** What the peer said of itself; null before its handshake. */
  helloOf(peer: PeerId): Hello | null {
    return this.#peers.get(peer)?.hello ?? null;
  }

  stop(): void {
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  /** The dialler greets; the other side waits to be greeted, but not for long. */
  onConnection(connection: Connection): void {
    const state = this.#state(connection.remotePeer.toString());
    if (connection.direction === 'outbound') {
      this.greet(connection);
    } else {
      this.#after(HELLO_TIMEOUT_MS, () => {
        if (state.hello !== null || connection.status !== 'open') return;
        this.#options.log.debug('peer without handshake, closing', { peer: connection.remotePeer.toString() });
        this.#options.close(connection);
      });
    }
  }

  onPeerGone(peer: PeerId): void {
    if (this.#peers.delete(peer)) this.#options.onShared(peer, []);
  }

  /** Tells the peer our chains and hears its own: on connect, and again when ours have changed. */
  greet(connection: Connection): void {
    const peer = connection.remotePeer.toString();
    const state = this.#state(peer);
    state.greeting = state.greeting
      .then(() => this.#exchange(connection))
      .catch((error: unknown) => {
        this.#onError(connection, error);
      });
  }

  /** Server side: the handler of {@link HELLO_PROTOCOL}. */
  async serve(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString();
    const { clock, quotas } = this.#options;
    this.#state(peer);
    const framed = framedStream(stream, MAX_HELLO_BYTES);
    const limit = deadline(clock, HELLO_TIMEOUT_MS);
    try {
      if (!quotas.take(peer, 'hello', HELLO_QUOTA, 1)) {
        framed.abort('too many handshakes');
        return;
      }
      const bytes = await framed.read(limit.signal);
      if (bytes === null) return;
      const hello = decodeHello(bytes);
      const ours = this.#options.ourChains();
      const match = matchChains(ours, hello.chains);
      const goodbye = goodbyeOf(ours, hello.chains, match);
      const refused = match.refused.map(({ chainId }) => chainId);
      await framed.write(encodeHelloAnswer({ ...this.#ownHello(), refused, goodbye }), limit.signal);
      framed.close();
      if (!this.#apply(connection, hello)) {
        this.#after(GOODBYE_GRACE_MS, () => {
          this.#options.close(connection);
        });
      }
    } catch (error) {
      this.#onError(connection, error);
      framed.abort('handshake failed');
    } finally {
      limit.clear();
    }
  }

  async #exchange(connection: Connection): Promise<void> {
    if (connection.status !== 'open') return;
    const limit = deadline(this.#options.clock, HELLO_TIMEOUT_MS);
    try {
      const stream = await connection.newStream(HELLO_PROTOCOL, { signal: limit.signal, runOnLimitedConnection: true });
      const framed = framedStream(stream, MAX_HELLO_ANSWER_BYTES);
      try {
        await framed.write(encodeHello(this.#ownHello()), limit.signal);
        const bytes = await framed.read(limit.signal);
        if (bytes === null) return;
        const answer = decodeHelloAnswer(bytes);
        framed.close();
        if (!this.#apply(connection, answer) || answer.goodbye !== 'none') this.#options.close(connection);
      } catch (error) {
        framed.abort('handshake failed');
        throw error;
      }
    } finally {
      limit.clear();
    }
  }

  /** @returns false when the two share no chain and the connection serves nothing */
  #apply(connection: Connection, hello: Hello): boolean {
    const peer = connection.remotePeer.toString();
    const state = this.#peers.get(peer);
    if (!state || connection.status !== 'open') return true;
    state.hello = { agent: hello.agent, chains: hello.chains };
    const ours = this.#options.ourChains();
    const match = matchChains(ours, hello.chains);
    const address = connection.remoteAddr.toString();
    for (const { chainId, ours: our, theirs } of match.refused) {
      const refusal = { peer, address, chainId, ourGenesis: toHex(our), theirGenesis: toHex(theirs) };
      this.#remember({ ...refusal, atMs: this.#options.clock.now() });
      this.#limit.log('warn', `${peer} ${chainId}`, 'chain refused: the peer has another genesis of that name', {
        ...refusal,
        hint: 'one of the two nodes holds the wrong genesis file; compare `genesis_hash` of both',
      });
    }
    this.#options.onShared(peer, match.shared);
    if (goodbyeOf(ours, hello.chains, match) === 'none') return true;
    this.#limit.log('info', peer, 'peer shares no chain with this node, closing the connection', {
      peer,
      address,
      agent: hello.agent,
      chains: hello.chains.map(({ chainId }) => chainId),
    });
    return false;
  }

  #ownHello(): Hello {
    const chains = [...this.#options.ourChains()].sort((a, b) => (a.chainId < b.chainId ? -1 : 1));
    return { agent: this.#options.agent, chains };
  }

  #remember(refusal: Refusal): void {
    const key = `${refusal.peer} ${refusal.chainId}`;
    this.#refusals.delete(key);
    this.#refusals.set(key, refusal);
    const oldest = this.#refusals.keys().next();
    if (this.#refusals.size > MAX_REFUSALS && oldest.done !== true) this.#refusals.delete(oldest.value);
  }

  #state(peer: PeerId): PeerState {
    let state = this.#peers.get(peer);
    if (!state) {
      state = { hello: null, greeting: Promise.resolve() };
      this.#peers.set(peer, state);
    }
    return state;
  }

  #onError(connection: Connection, error: unknown): void {
    const peer = connection.remotePeer.toString();
    const { book, log } = this.#options;
    log.debug('handshake failed', { peer, error });
    if (isNodeError(error) && (error.code === 'CODEC' || error.code === 'PEER_PROTOCOL')) {
      book.report(peer, 'protocol-error', 'handshake');
    }
    if (this.helloOf(peer) === null && connection.status === 'open') this.#options.close(connection);
  }

  #after(ms: number, fn: () => void): void {
    const cancel = this.#options.clock.after(ms, () => {
      this.#timers.delete(cancel);
      fn();
    });
    this.#timers.add(cancel);
  }
}
