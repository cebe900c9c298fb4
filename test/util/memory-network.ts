/** Chains of one process joined without sockets: gossip floods, requests call the other's handler, links can be cut. */
import { METHOD_CODECS } from '../../protocols/codec.ts';
import type { Method, Methods, Topic, Topics } from '../../protocols/messages.ts';
import type { ChainHandlers, ChainNetwork, PeerId, WorkHandler } from '../../protocols/network.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import { workStreamPair } from '../../src/compute/stream-pair.ts';
import { systemClock } from '../../src/clock.ts';
import { NodeError } from '../../src/errors.ts';

export class MemoryNetwork {
  readonly #handlers = new Map<PeerId, ChainHandlers>();
  readonly #miners = new Map<PeerId, WorkHandler>();
  readonly #cut = new Set<string>();
  readonly reports: { peer: PeerId; action: string; reason: string }[] = [];

  join(self: PeerId, handlers: ChainHandlers): ChainNetwork {
    const peers = (): PeerId[] =>
      [...this.#handlers.keys()].filter((peer) => peer !== self && this.#linked(self, peer));
    this.#handlers.set(self, handlers);
    for (const peer of peers()) this.#handlers.get(peer)?.onPeer(self);
    return {
      self,
      peers,
      publish: <T extends Topic>(topic: T, message: Topics[T]) => {
        for (const peer of peers()) this.#gossip(self, peer, topic, message);
      },
      request: async <M extends Method>(peer: PeerId, method: M, request: Methods[M]['request']) => {
        const remote = this.#handlers.get(peer);
        if (!remote || !this.#linked(self, peer)) throw new NodeError('UNREACHABLE', 'no such peer');
        await Promise.resolve();
        const codec = METHOD_CODECS[method].response;
        return codec.decode(nativeHasher, codec.encode(await remote.requests[method](request, self)));
      },
      scopeOf: () => 'loopback',
      connect: async (peer) => {
        if (!peers().includes(peer)) throw new NodeError('UNREACHABLE', 'no such peer');
      },
      serveWork: async (handler) => {
        if (handler) this.#miners.set(self, handler);
        else this.#miners.delete(self);
      },
      openWork: async (peer) => {
        const handler = this.#miners.get(peer);
        if (!handler || !this.#linked(self, peer)) throw new NodeError('UNREACHABLE', 'no miner there');
        const [client, miner] = workStreamPair(systemClock);
        const served = handler(miner, self).catch(() => undefined);
        void served.then(() => {
          miner.close();
        });
        return client;
      },
      vouch: () => undefined,
      report: (peer, action, reason) => {
        this.reports.push({ peer, action, reason });
      },
      close: () => {
        this.#handlers.delete(self);
        for (const handler of this.#handlers.values()) handler.onPeerGone(self);
        return Promise.resolve();
      },
    };
  }

  cut(a: PeerId, b: PeerId): void {
    this.#cut.add(`${a}|${b}`).add(`${b}|${a}`);
  }

  heal(): void {
    this.#cut.clear();
    for (const [peer, handlers] of this.#handlers) {
      for (const other of this.#handlers.keys()) if (other !== peer) handlers.onPeer(other);
    }
  }

  #linked(a: PeerId, b: PeerId): boolean {
    return !this.#cut.has(`${a}|${b}`);
  }

  #gossip<T extends Topic>(from: PeerId, to: PeerId, topic: T, message: Topics[T]): void {
    setImmediate(() => {
      const handler = this.#handlers.get(to)?.gossip[topic] as
        | ((m: Topics[T], f: PeerId) => Promise<string>)
        | undefined;
      handler?.(message, from).catch((error: unknown) => {
        setImmediate(() => {
          throw error;
        });
      });
    });
  }
}
