/**
 * The network of a run: directed links that delay, reorder, drop, double and are cut one way or both; gossip that floods
 * and is relayed by who accepts it; requests that time out. Messages travel through the codecs of the wire.
 */
import { hash } from 'node:crypto';
import { METHOD_CODECS, TOPIC_CODECS } from '../../protocols/codec.ts';
import type { Method, Methods, Topic, Topics } from '../../protocols/messages.ts';
import type { ChainHandlers, ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { PeerAction } from '../../protocols/peer-actions.ts';
import { METHODS } from '../../protocols/registry.ts';
import { GOSSIP_VERDICTS } from '../../protocols/verdicts.ts';
import { isNodeError, NodeError, toNodeError } from '../../src/errors.ts';
import { noMiners } from '../util/no-miners.ts';
import type { Prng } from './prng.ts';
import { simCrypto } from './signatures.ts';
import type { VirtualTime } from './time.ts';

/** One direction between two nodes. */
export interface LinkQuality {
  readonly drop: number;
  readonly duplicate: number;
  readonly minMs: number;
  readonly maxMs: number;
}

export const GOOD_LINK: LinkQuality = { drop: 0, duplicate: 0, minMs: 1, maxMs: 20 };

/** A connection with a dead direction is noticed and closed after a while, and made again after the cut. */
const NOTICE_MS = [500, 8_000] as const;
const RECONNECT_MS = [50, 2_000] as const;
/** The notice of a closed socket. */
const GONE_MS = [1, 300] as const;

/** A message on one hop; relays are hops of their own. */
export interface Hop {
  readonly from: PeerId;
  readonly to: PeerId;
  /** `votes` is the answer to that request. */
  readonly kind: Topic | 'votes';
  readonly message: Topics[Topic] | Methods['votes']['response'];
}

export interface NetworkWatch {
  /** Everything a node publishes or reports, before the network touches it. */
  onPublish(from: PeerId, topic: Topic, message: Topics[Topic]): void;
  onReport(by: PeerId, peer: PeerId, action: PeerAction, reason: string): void;
  /** A handler failed with something that is no NodeError. */
  onFault(where: string, error: unknown): void;
}

interface Member {
  readonly id: PeerId;
  readonly handlers: ChainHandlers;
  /** Content ids of gossip this process saw. */
  readonly seen: Set<string>;
  readonly inFlight: Map<string, number>;
  alive: boolean;
}

interface Gossip {
  readonly topic: Topic;
  readonly message: Topics[Topic];
  readonly key: string;
}

export class SimNetwork {
  readonly #time: VirtualTime;
  readonly #rng: Prng;
  readonly #watch: NetworkWatch;
  readonly #members = new Map<PeerId, Member>();
  readonly #quality = new Map<string, LinkQuality>();
  readonly #cut = new Set<string>();
  /** Undirected, as "a|b" with a < b. */
  readonly #connected = new Set<string>();
  base: LinkQuality = GOOD_LINK;
  relays = true;
  /** What this says true of is lost. */
  loses: (hop: Hop) => boolean = () => false;

  constructor(time: VirtualTime, rng: Prng, watch: NetworkWatch) {
    this.#time = time;
    this.#rng = rng;
    this.#watch = watch;
  }

  // Faults

  isCut(from: PeerId, to: PeerId): boolean {
    return this.#cut.has(`${from}>${to}`);
  }

  cut(from: PeerId, to: PeerId): void {
    this.#cut.add(`${from}>${to}`);
    this.#later(NOTICE_MS, () => {
      if (this.isCut(from, to)) this.#disconnect(from, to);
    });
  }

  mend(from: PeerId, to: PeerId): void {
    if (this.#cut.delete(`${from}>${to}`)) this.#reconnect(from, to);
  }

  setQuality(from: PeerId, to: PeerId, quality: LinkQuality | null): void {
    if (quality) this.#quality.set(`${from}>${to}`, quality);
    else this.#quality.delete(`${from}>${to}`);
  }

  // Processes

  join(id: PeerId, handlers: ChainHandlers): ChainNetwork {
    const member: Member = { id, handlers, seen: new Set(), inFlight: new Map(), alive: true };
    this.#members.set(id, member);
    for (const other of this.#members.keys()) if (other !== id) this.#reconnect(id, other);
    return {
      ...noMiners,
      self: id,
      peers: () => this.#peersOf(member),
      publish: (topic, message) => {
        if (!member.alive) return;
        this.#watch.onPublish(id, topic, message);
        const gossip = encodeGossip(topic, message);
        // As gossipsub does with what it has seen, whoever sends it, even if nobody was there to hear it.
        if (member.seen.has(gossip.key)) return;
        member.seen.add(gossip.key);
        for (const peer of this.#peersOf(member)) this.#sendGossip(member, peer, gossip);
      },
      request: (peer, method, request, signal) => this.#request(member, peer, method, request, signal),
      report: (peer, action, reason) => {
        this.#watch.onReport(id, peer, action, reason);
      },
      close: () => {
        this.leave(id);
        return Promise.resolve();
      },
    };
  }

  /** The process is gone; its peers notice. */
  leave(id: PeerId): void {
    const member = this.#members.get(id);
    if (!member) return;
    member.alive = false;
    this.#members.delete(id);
    for (const other of this.#members.keys()) {
      if (this.#connected.delete(pair(id, other))) {
        this.#later(GONE_MS, () => {
          if (!this.#connected.has(pair(id, other))) this.#members.get(other)?.handlers.onPeerGone(id);
        });
      }
    }
  }

  /** A traitor's way to tell one peer what it does not tell the others. */
  whisper<T extends Topic>(from: PeerId, to: PeerId, topic: T, message: Topics[T]): void {
    const member = this.#members.get(from);
    if (member) this.#sendGossip(member, to, encodeGossip(topic, message));
  }

  isConnected(a: PeerId, b: PeerId): boolean {
    return this.#connected.has(pair(a, b));
  }

  #peersOf(member: Member): PeerId[] {
    if (!member.alive) return [];
    return [...this.#members.keys()].filter((peer) => this.#connected.has(pair(member.id, peer)));
  }

  #later([from, to]: readonly [number, number], run: () => void): void {
    this.#time.after(this.#rng.between(from, to), run);
  }

  #disconnect(a: PeerId, b: PeerId): void {
    if (!this.#connected.delete(pair(a, b))) return;
    this.#members.get(a)?.handlers.onPeerGone(b);
    this.#members.get(b)?.handlers.onPeerGone(a);
  }

  #reconnect(a: PeerId, b: PeerId): void {
    this.#later(RECONNECT_MS, () => {
      const one = this.#members.get(a);
      const two = this.#members.get(b);
      if (!one || !two || this.isCut(a, b) || this.isCut(b, a) || this.#connected.has(pair(a, b))) return;
      this.#connected.add(pair(a, b));
      one.handlers.onPeer(b);
      two.handlers.onPeer(a);
    });
  }

  // Messages

  /** Delivers zero, one or two times, to the process that was there when it was sent. */
  #send(from: Member, to: PeerId, deliver: (receiver: Member) => void): void {
    const receiver = this.#members.get(to);
    if (!receiver || !from.alive) return;
    const { drop, duplicate, minMs, maxMs } = this.#quality.get(`${from.id}>${to}`) ?? this.base;
    if (drop > 0 && this.#rng.chance(drop)) return;
    const copies = duplicate > 0 && this.#rng.chance(duplicate) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.#time.after(this.#rng.between(minMs, maxMs), () => {
        if (receiver.alive && !this.isCut(from.id, to)) deliver(receiver);
      });
    }
  }

  #sendGossip(from: Member, to: PeerId, gossip: Gossip): void {
    // What the receiver saw it would drop at once: not sending it is the same, and cheaper.
    if (this.#members.get(to)?.seen.has(gossip.key)) return;
    if (this.loses({ from: from.id, to, kind: gossip.topic, message: gossip.message })) return;
    this.#send(from, to, (receiver) => {
      if (receiver.seen.has(gossip.key)) return;
      receiver.seen.add(gossip.key);
      this.#receive(receiver, from.id, gossip).catch((error: unknown) => {
        this.#watch.onFault(`${receiver.id}, gossip ${gossip.topic}`, error);
      });
    });
  }

  async #receive(receiver: Member, from: PeerId, gossip: Gossip): Promise<void> {
    const handler = receiver.handlers.gossip[gossip.topic] as (m: Topics[Topic], f: PeerId) => Promise<string>;
    let code: string;
    try {
      code = await handler(gossip.message, from);
    } catch (error) {
      if (!isNodeError(error)) throw error;
      code = 'INTERNAL';
    }
    if (!receiver.alive) return;
    const verdict = GOSSIP_VERDICTS[code as keyof typeof GOSSIP_VERDICTS];
    if (verdict === 'reject') this.#watch.onReport(receiver.id, from, 'invalid-gossip', `${gossip.topic}: ${code}`);
    if (verdict !== 'accept' || !this.relays) return;
    for (const peer of this.#peersOf(receiver)) {
      const hearsIt = code === 'FIRST_HAND' && this.isConnected(peer, from);
      if (peer !== from && !hearsIt) this.#sendGossip(receiver, peer, gossip);
    }
  }

  #request<M extends Method>(
    from: Member,
    peer: PeerId,
    method: M,
    request: Methods[M]['request'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['response']> {
    const { timeoutMs, maxInFlight } = METHODS[method];
    const slot = `${peer} ${method}`;
    const inFlight = from.inFlight.get(slot) ?? 0;
    if (!from.alive || !this.isConnected(from.id, peer)) {
      return Promise.reject(new NodeError('UNREACHABLE', 'the peer is not connected'));
    }
    if (inFlight >= maxInFlight) return Promise.reject(new NodeError('RATE_LIMITED', 'too many requests at once'));
    if (signal?.aborted) return Promise.reject(new NodeError('TIMEOUT', 'the request was cancelled'));
    from.inFlight.set(slot, inFlight + 1);
    return new Promise((resolve, reject) => {
      let done = false;
      const finish = (end: () => void): void => {
        if (done) return;
        done = true;
        cancelTimeout();
        signal?.removeEventListener('abort', onAbort);
        from.inFlight.set(slot, (from.inFlight.get(slot) ?? 1) - 1);
        // A dead process hears of nothing.
        if (from.alive) end();
      };
      const onAbort = (): void => {
        finish(() => {
          reject(new NodeError('TIMEOUT', 'the request was cancelled'));
        });
      };
      const cancelTimeout = this.#time.after(timeoutMs, () => {
        finish(() => {
          reject(new NodeError('TIMEOUT', 'the peer did not answer in time'));
        });
      });
      signal?.addEventListener('abort', onAbort, { once: true });
      const codec = METHOD_CODECS[method].request;
      const question = codec.decode(simCrypto, codec.encode(request));
      this.#send(from, peer, (receiver) => {
        this.#answer(receiver, from, method, question).then(
          (settle) => {
            if (!settle) return;
            this.#send(receiver, from.id, () => {
              finish(() => {
                settle(resolve, reject);
              });
            });
          },
          (error: unknown) => {
            this.#watch.onFault(`${receiver.id}, request ${method}`, error);
          },
        );
      });
    });
  }

  async #answer<M extends Method>(
    receiver: Member,
    from: Member,
    method: M,
    question: Methods[M]['request'],
  ): Promise<
    ((resolve: (response: Methods[M]['response']) => void, reject: (error: NodeError) => void) => void) | null
  > {
    try {
      const response = await receiver.handlers.requests[method](question, from.id);
      if (method === 'votes') {
        const message = response as Methods['votes']['response'];
        if (this.loses({ from: receiver.id, to: from.id, kind: 'votes', message })) return null;
      }
      const bytes = METHOD_CODECS[method].response.encode(response);
      return (resolve, reject) => {
        try {
          resolve(METHOD_CODECS[method].response.decode(simCrypto, bytes));
        } catch (error) {
          this.#watch.onReport(from.id, receiver.id, 'protocol-error', `answer to ${method}`);
          reject(toNodeError(error));
        }
      };
    } catch (error) {
      if (!isNodeError(error)) throw error;
      return (_, reject) => {
        reject(new NodeError(error.code, error.message));
      };
    }
  }
}

function pair(a: PeerId, b: PeerId): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}

/** Receivers share one decoded copy: nobody may change a message. */
function encodeGossip<T extends Topic>(topic: T, message: Topics[T]): Gossip {
  const bytes = TOPIC_CODECS[topic].encode(message);
  const key = `${topic} ${hash('sha256', bytes, 'base64')}`;
  return { topic, message: TOPIC_CODECS[topic].decode(simCrypto, bytes), key };
}
