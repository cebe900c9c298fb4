/** Names of metrics that the documents of the replaced system promised. */
import type { MetricAlias } from '../metrics.ts';

export const METRIC_ALIASES: readonly MetricAlias[] = [
  { name: 'blockchain_blocks_total', type: 'counter', of: 'aitbc_chain_head_height' },
  { name: 'blockchain_transactions_total', type: 'counter', of: 'aitbc_chain_transactions_total' },
  // Its name is that of no counter.
  { name: 'blockchain_consensus_rounds', type: 'gauge', of: 'aitbc_consensus_rounds_total' },
  { name: 'blockchain_network_peers', type: 'gauge', of: 'aitbc_p2p_peers' },
];
