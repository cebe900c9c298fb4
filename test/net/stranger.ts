/** Bare libp2p peers that hold none of our rules. */
import { gossipsub } from '@chainsafe/libp2p-gossipsub';
import type { GossipSub } from '@chainsafe/libp2p-gossipsub';
import { noise } from '@chainsafe/libp2p-noise';
import { identify } from '@libp2p/identify';
import type { Libp2p } from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';

export type Stranger = Libp2p<{ gossip: GossipSub }>;

const running = new Set<Stranger>();

export async function startStranger(): Promise<Stranger> {
  const peer: Stranger = await createLibp2p({
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: {
      identify: identify(),
      gossip: gossipsub({ globalSignaturePolicy: 'StrictNoSign', allowPublishToZeroTopicPeers: true }),
    },
  });
  running.add(peer);
  return peer;
}

export async function stopStrangers(): Promise<void> {
  await Promise.all([...running].map(async (peer) => peer.stop()));
  running.clear();
}
