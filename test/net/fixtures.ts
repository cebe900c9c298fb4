/** Real hosts on loopback, with handlers that record, and cleared away after each test. */
import { createHash } from 'node:crypto';
import type { Methods, SignedStatus, Topic, Topics } from '../../protocols/messages.ts';
import type { ChainHandlers, ChainNetwork } from '../../protocols/network.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { NodeError } from '../../src/errors.ts';
import type { LogContext, Logger } from '../../src/log.ts';
import type { LogLevel } from '../../src/log-level.ts';
import { nativeHasher } from '../../src/native/hasher.ts';
import type { Host, HostOptions } from '../../src/net/host.ts';
import { createHost } from '../../src/net/host.ts';
import { waitFor } from '../util/wait.ts';

export function chainOf(chainId: string, genesis = chainId): ChainContext {
  return { chainId, genesisHash: Uint8Array.from(createHash('sha256').update(genesis).digest()) };
}

export const devnet = chainOf('ait-devnet');

export interface Received {
  readonly topic: Topic;
  readonly message: Topics[Topic];
  readonly from: string;
}

type Replaceable<T> = { -readonly [K in keyof T]?: T[K] };

export interface Recorder {
  readonly handlers: ChainHandlers;
  readonly received: Received[];
  readonly joined: string[];
  readonly gone: string[];
  /** What the gossip handlers answer. */
  code: GossipCode;
  /** Replaces single request handlers. */
  requests: Replaceable<ChainHandlers['requests']>;
  gossip: Replaceable<ChainHandlers['gossip']>;
}

export function recorder(code: GossipCode = 'OK'): Recorder {
  const on = <T extends Topic>(topic: T) => {
    return async (message: Topics[T], from: string): Promise<GossipCode> => {
      out.received.push({ topic, message, from });
      const own = out.gossip[topic];
      return own === undefined ? out.code : own(message, from);
    };
  };
  const status = async (request: Methods['status']['request'], from: string) =>
    (await out.requests.status?.(request, from)) ?? request;
  const out: Recorder = {
    received: [],
    joined: [],
    gone: [],
    code,
    requests: {},
    gossip: {},
    handlers: {
      gossip: {
        tx: on('tx'),
        proposal: on('proposal'),
        vote: on('vote'),
        evidence: on('evidence'),
        status: on('status'),
        offer: on('offer'),
      },
      requests: {
        status,
        blocks: async (request, from) => (await out.requests.blocks?.(request, from)) ?? [],
        txs: async (request, from) => (await out.requests.txs?.(request, from)) ?? [],
        votes: async (request, from) => (await out.requests.votes?.(request, from)) ?? { votes: [], proposals: [] },
        light: (request, from) => answered(out.requests.light?.(request, from)),
        snapshot: async (request, from) => (await out.requests.snapshot?.(request, from)) ?? null,
        chunk: (request, from) => answered(out.requests.chunk?.(request, from)),
        quote: (request, from) => answered(out.requests.quote?.(request, from)),
        blob: (request, from) => answered(out.requests.blob?.(request, from)),
        join: (request, from) => answered(out.requests.join?.(request, from)),
      },
      onPeer: (peer) => out.joined.push(peer),
      onPeerGone: (peer) => out.gone.push(peer),
    },
  };
  return out;
}

async function answered<T>(answer: Promise<T> | undefined): Promise<T> {
  if (!answer) throw new NodeError('NOT_FOUND', 'this peer holds nothing of the kind');
  return answer;
}

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly context: LogContext;
}

export function recordingLogger(): Logger & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLevel) =>
    (message: string, context: LogContext = {}): void => {
      lines.push({ level, message, context });
    };
  const logger = { lines, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
  return { ...logger, child: () => ({ ...logger, child: () => logger as unknown as Logger }) };
}

export interface TestHost {
  readonly host: Host;
  readonly net: ChainNetwork;
  readonly seen: Recorder;
  readonly log: ReturnType<typeof recordingLogger>;
}

const running = new Set<Host>();

export function seedOf(name: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(name).digest());
}

export async function startHost(
  name: string,
  options: Partial<HostOptions> & { readonly chain?: ChainContext; readonly seen?: Recorder } = {},
): Promise<TestHost> {
  const { chain = devnet, seen = recorder(), ...rest } = options;
  const log = recordingLogger();
  const host = await createHost({
    privateKeySeed: seedOf(name),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    hasher: nativeHasher,
    log,
    ...rest,
  });
  running.add(host);
  const net = await host.addChain({ chain, handlers: seen.handlers });
  return { host, net, seen, log };
}

export function addressOf(target: TestHost | Host): string {
  const host = 'host' in target ? target.host : target;
  return host.multiaddrs()[0] ?? '';
}

export async function stopHost(target: TestHost | Host): Promise<void> {
  const host = 'host' in target ? target.host : target;
  running.delete(host);
  await host.stop();
}

/** For afterEach. */
export async function stopAllHosts(): Promise<void> {
  await Promise.all([...running].map(stopHost));
}

/** Both sides know that they share the chain, and hear each other's gossip. */
export async function meshed(...hosts: TestHost[]): Promise<void> {
  await waitFor('hosts to share the chain', () => hosts.every(({ net }) => net.peers().length === hosts.length - 1));
  await heard(hosts);
}

/** Every host's status reaches every other. Publishes anew until it does: a subscription may still be on its way. */
export async function heard(hosts: readonly TestHost[]): Promise<void> {
  let round = 0;
  await waitFor('gossip to flow', () => {
    round += 1;
    hosts.forEach(({ host, net }) => {
      net.publish('status', status(host.peerId, 1_000_000 + round));
    });
    return hosts.every(({ seen }) => {
      const names = new Set(seen.received.map(({ message }) => (message as SignedStatus).peerId));
      return hosts.filter(({ host }) => names.has(host.peerId)).length === hosts.length - 1;
    });
  });
  for (const { seen } of hosts) seen.received.length = 0;
}

export function status(peerId: string, height: number): SignedStatus {
  return {
    height,
    blockId: new Uint8Array(32),
    timeMs: 1,
    peerId,
    validator: new Uint8Array(32),
    signature: new Uint8Array(64),
  };
}
