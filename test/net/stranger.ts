/** Bare libp2p peers that hold none of our rules. */
import { gossipsub } from '@chainsafe/libp2p-gossipsub';
import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import { noise } from '@chainsafe/libp2p-noise';
import type { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import { identify } from '@libp2p/identify';
import type { Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';

export type Stranger = Libp2p<{ gossip: GossipSub }>;

const running = new Set<Stranger>();

export interface StrangerOptions {
  readonly relay?: ReturnType<typeof circuitRelayTransport>;
  readonly server?: ReturnType<typeof circuitRelayServer>;
  readonly listen?: readonly string[];
}

export async function startStranger({ relay, server, listen = [] }: StrangerOptions = {}): Promise<Stranger> {
  const peer: Stranger = await createLibp2p({
    addresses: { listen: [...listen] },
    transports: relay ? [tcp(), relay] : [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      gossip: gossipsub({ globalSignaturePolicy: 'StrictNoSign', allowPublishToZeroTopicPeers: true }),
      ...(server ? { server } : {}),
    },
  });
  running.add(peer);
  return peer;
}

export async function stopStrangers(): Promise<void> {
  await Promise.all([...running].map(async (peer) => peer.stop()));
  running.clear();
}
