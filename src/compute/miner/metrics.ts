/** What a miner counts. */
import type { Counter, Gauge, Histogram, MetricsRegister } from '../../metrics.ts';

export interface MinerMetrics {
  readonly slots: Gauge;
  readonly freeSlots: Gauge;
  readonly quotes: Counter;
  readonly attempts: Counter;
  readonly outputBytes: Counter;
  readonly firstOutput: Histogram;
  readonly due: Counter;
  readonly unsettled: Gauge;
  readonly agreements: Gauge;
  readonly settlements: Counter;
}

export function createMinerMetrics(register: MetricsRegister): MinerMetrics {
  return {
    slots: register.gauge({ name: 'aitbc_miner_slots', help: 'Jobs that this miner does at once' }),
    freeSlots: register.gauge({ name: 'aitbc_miner_free_slots', help: 'Slots that no quote and no job has' }),
    quotes: register.counter({
      name: 'aitbc_miner_quotes_total',
      help: 'Quotes asked for, by result: given, or the code of the refusal',
      labelNames: ['result'],
    }),
    attempts: register.counter({
      name: 'aitbc_miner_attempts_total',
      help: 'Attempts taken, by how they ended: ended, failed, refused',
      labelNames: ['result'],
    }),
    outputBytes: register.counter({ name: 'aitbc_miner_output_bytes_total', help: 'Output given, in bytes' }),
    firstOutput: register.histogram({
      name: 'aitbc_miner_first_output_seconds',
      help: 'From the start of the work to its first output',
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    }),
    due: register.counter({ name: 'aitbc_miner_due_uait_total', help: 'Due for attempts that are over, in uait' }),
    unsettled: register.gauge({ name: 'aitbc_miner_unsettled_uait', help: 'Due and not paid on chain yet, in uait' }),
    agreements: register.gauge({ name: 'aitbc_miner_agreements', help: 'Agreements that are not closed' }),
    settlements: register.counter({
      name: 'aitbc_miner_settlements_total',
      help: 'Settlements sent, by kind: settle, release',
      labelNames: ['kind'],
    }),
  };
}
