/** What the live connections of a server measure. Labels are closed sets: topics without their accounts. */
import type { Counter, Gauge, MetricsRegister } from '../../metrics.ts';

export type Transport = 'ws' | 'sse';

export interface LiveMetrics {
  readonly clients: Readonly<Record<Transport, Gauge>>;
  readonly dropped: Readonly<Record<Transport, Counter>>;
  /** Label `topic`. */
  readonly subscriptions: Gauge;
  readonly deltas: Counter;
}

export function createLiveMetrics(register: MetricsRegister): LiveMetrics {
  const dropped = (name: string, what: string): Counter =>
    register.counter({ name, help: `${what} that the node ended, by reason`, labelNames: ['reason'] });
  return {
    clients: {
      ws: register.gauge({ name: 'aitbc_rpc_ws_clients', help: 'Open WebSockets' }),
      sse: register.gauge({ name: 'aitbc_rpc_sse_clients', help: 'Open event streams' }),
    },
    dropped: {
      ws: dropped('aitbc_rpc_ws_dropped_total', 'WebSockets'),
      sse: dropped('aitbc_rpc_sse_dropped_total', 'Event streams'),
    },
    subscriptions: register.gauge({
      name: 'aitbc_rpc_subscriptions',
      help: 'Topics that are subscribed to',
      labelNames: ['topic'],
    }),
    deltas: register.counter({
      name: 'aitbc_rpc_deltas_total',
      help: 'Events sent to subscribers',
      labelNames: ['topic'],
    }),
  };
}
