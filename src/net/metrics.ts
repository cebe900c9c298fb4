/** What the network measures. Labels are topics, methods, codes and names of actions: closed sets. */
import type { MetricsRegister } from '../metrics.ts';
import { nopRegister } from '../metrics.ts';
import { createLibraryMetrics } from './library-metrics.ts';

export type NetMetrics = ReturnType<typeof createNetMetrics>;

export function createNetMetrics(register: MetricsRegister = nopRegister) {
  return {
    library: createLibraryMetrics(register),
    peers: register.gauge({
      name: 'aitbc_p2p_peers',
      help: 'Connected peers that share the chain',
      labelNames: ['chain'],
    }),
    connections: register.gauge({ name: 'aitbc_p2p_connections', help: 'Open connections, relayed ones among them' }),
    relayedConnections: register.gauge({
      name: 'aitbc_p2p_relayed_connections',
      help: 'Open connections that go through a relay',
    }),
    refusedConnections: register.counter({
      name: 'aitbc_p2p_connections_refused_total',
      help: 'Inbound connections refused, by reason',
      labelNames: ['reason'],
    }),
    dials: register.counter({
      name: 'aitbc_p2p_dials_total',
      help: 'Dials of persistent peers, by result',
      labelNames: ['result'],
    }),
    relaySlots: register.gauge({
      name: 'aitbc_p2p_relay_slots',
      help: 'Slots that this node keeps as a relay, of known peers and of others (limited)',
      labelNames: ['kind'],
    }),
    relayCircuits: register.gauge({
      name: 'aitbc_p2p_relay_circuits',
      help: 'Connections that this node relays, between known peers and with others (limited)',
      labelNames: ['kind'],
    }),
    relayedBytes: register.counter({
      name: 'aitbc_p2p_relayed_bytes_total',
      help: 'Bytes that this node relayed, between known peers and with others (limited)',
      labelNames: ['kind'],
    }),
    actions: register.counter({
      name: 'aitbc_p2p_peer_actions_total',
      help: 'Scored actions of peers',
      labelNames: ['action'],
    }),
    bans: register.counter({ name: 'aitbc_p2p_bans_total', help: 'Bans imposed' }),
    gossipReceived: register.counter({
      name: 'aitbc_p2p_gossip_received_total',
      help: 'Gossip messages checked, by topic and what the check found',
      labelNames: ['chain', 'topic', 'code'],
    }),
    gossipReceivedBytes: register.counter({
      name: 'aitbc_p2p_gossip_received_bytes_total',
      help: 'Bytes of gossip messages checked',
      labelNames: ['chain', 'topic'],
    }),
    gossipPublished: register.counter({
      name: 'aitbc_p2p_gossip_published_total',
      help: 'Gossip messages published',
      labelNames: ['chain', 'topic'],
    }),
    gossipDropped: register.counter({
      name: 'aitbc_p2p_gossip_dropped_total',
      help: 'Own gossip messages not published, by reason',
      labelNames: ['chain', 'topic', 'reason'],
    }),
    gossipSeconds: register.histogram({
      name: 'aitbc_p2p_gossip_check_seconds',
      help: 'Time from arrival of a gossip message to its verdict',
      labelNames: ['chain', 'topic'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2],
    }),
    workStreams: register.gauge({
      name: 'aitbc_p2p_work_streams',
      help: 'Open work streams, by our side',
      labelNames: ['side'],
    }),
    workHeldBytes: register.gauge({
      name: 'aitbc_p2p_work_held_bytes',
      help: 'Bytes that wait in work streams, to be read or to be sent',
    }),
    workAborted: register.counter({
      name: 'aitbc_p2p_work_streams_aborted_total',
      help: 'Work streams that this node reset, by reason',
      labelNames: ['reason'],
    }),
    requests: register.counter({
      name: 'aitbc_p2p_requests_total',
      help: 'Requests by side, method and outcome (OK or an error code)',
      labelNames: ['chain', 'side', 'method', 'code'],
    }),
    requestSeconds: register.histogram({
      name: 'aitbc_p2p_request_seconds',
      help: 'Time of a request, by side and method',
      labelNames: ['chain', 'side', 'method'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 8],
    }),
  };
}
