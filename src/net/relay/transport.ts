/** Dials through relays and takes what they bring: the library's transport, fenced in. */
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2';
import type { Transport } from '@libp2p/interface';
import type { PeerId } from '../../../protocols/network.ts';
import { fenced, instead } from '../fence.ts';
import { STOP_PROTOCOL } from './messages.ts';

type Components = Parameters<ReturnType<typeof circuitRelayTransport>>[0];

/** Relayed connections that may be open over each relay, in and out each. */
const MAX_OVER_ONE_RELAY = 128;

/**
 * @param takesFrom whether this node has a slot at the relay. From others nothing is taken: the library would ask for a
 *   slot at whoever brings a connection, and keep a listener for each.
 */
export function relayTransport(takesFrom: (relay: PeerId) => boolean): (components: Components) => Transport {
  const create = circuitRelayTransport({
    maxInboundStopStreams: MAX_OVER_ONE_RELAY,
    maxOutboundStopStreams: MAX_OVER_ONE_RELAY,
  });
  return (components) => {
    const { transportManager } = components;
    const within = fenced(
      components,
      (protocol, connection) => protocol !== STOP_PROTOCOL || takesFrom(connection.remotePeer.toString()),
    );
    // Slots are kept in slots.ts: the library would give up a relay for good that did not answer once.
    const unlistening = instead(transportManager, { listen: () => Promise.resolve() });
    return create(instead(within, { transportManager: unlistening }));
  };
}
