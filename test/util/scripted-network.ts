/** The network as one node sees it, with peers that a test scripts: what it says is kept, what it asks is answered. */
import type { Method, Methods, Topic, Topics } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import { NodeError } from '../../src/errors.ts';
import { noMiners } from './no-miners.ts';

/** Answers of one peer; a method without one fails as unreachable. */
export type PeerScript = {
  [M in Method]?: (
    request: Methods[M]['request'],
    signal: AbortSignal | undefined,
  ) => Methods[M]['response'] | Promise<Methods[M]['response']>;
};

export interface Published {
  readonly topic: Topic;
  readonly message: Topics[Topic];
}

export class ScriptedNetwork implements ChainNetwork {
  readonly self: PeerId = 'self';
  readonly scopeOf = noMiners.scopeOf;
  readonly connect = noMiners.connect;
  readonly serveWork = noMiners.serveWork;
  readonly openWork = noMiners.openWork;
  readonly vouch = noMiners.vouch;
  readonly scripts = new Map<PeerId, PeerScript>();
  readonly published: Published[] = [];
  readonly asked: { readonly peer: PeerId; readonly method: Method; readonly request: unknown }[] = [];
  readonly reports: { readonly peer: PeerId; readonly action: string; readonly reason: string }[] = [];

  peers(): readonly PeerId[] {
    return [...this.scripts.keys()];
  }

  publish<T extends Topic>(topic: T, message: Topics[T]): void {
    this.published.push({ topic, message });
  }

  of<T extends Topic>(topic: T): Topics[T][] {
    return this.published.filter((item) => item.topic === topic).map(({ message }) => message as Topics[T]);
  }

  async request<M extends Method>(
    peer: PeerId,
    method: M,
    request: Methods[M]['request'],
    signal?: AbortSignal,
  ): Promise<Methods[M]['response']> {
    this.asked.push({ peer, method, request });
    await Promise.resolve();
    const answer = this.scripts.get(peer)?.[method];
    if (!answer) throw new NodeError('UNREACHABLE', 'no such peer, or it does not answer this');
    return answer(request, signal);
  }

  report(peer: PeerId, action: string, reason: string): void {
    this.reports.push({ peer, action, reason });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** An answer that comes only when the request is given up. */
export function stall<T>(_: unknown, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => {
      reject(new NodeError('TIMEOUT', 'given up'));
    });
  });
}
