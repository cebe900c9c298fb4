/** What the engine of a chain measures. */
import type { Counter, Gauge, Histogram, MetricsRegister } from '../metrics.ts';

export interface EngineMetrics {
  readonly height: Gauge;
  readonly round: Gauge;
  readonly rounds: Counter;
  readonly commitRound: Histogram;
  readonly transactions: Counter;
  readonly poolSize: Gauge;
  readonly signing: Gauge;
}

export function createEngineMetrics(register: MetricsRegister): EngineMetrics {
  return {
    height: register.gauge({ name: 'aitbc_chain_head_height', help: 'Height of the last final block' }),
    round: register.gauge({ name: 'aitbc_consensus_round', help: 'Round of the height in work' }),
    rounds: register.counter({ name: 'aitbc_consensus_rounds_total', help: 'Rounds above 0 entered' }),
    commitRound: register.histogram({
      name: 'aitbc_consensus_commit_round',
      help: 'Round in which blocks became final here',
      buckets: [0, 1, 2, 4, 8],
    }),
    transactions: register.counter({ name: 'aitbc_chain_transactions_total', help: 'Final transactions' }),
    poolSize: register.gauge({ name: 'aitbc_mempool_txs', help: 'Pending transactions' }),
    signing: register.gauge({ name: 'aitbc_consensus_signing', help: '1 while this node signs at the current height' }),
  };
}
