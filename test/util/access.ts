/** Keys, budgets and logins without a disk. */
import { systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';
import { nopLogger } from '../../src/log.ts';
import { Access } from '../../src/rpc/access/access.ts';
import { ApiKeys } from '../../src/rpc/access/api-keys.ts';
import { Budgets } from '../../src/rpc/access/budgets.ts';
import { Logins } from '../../src/rpc/access/logins.ts';
import { ApiKeyStore } from '../../src/store/api-keys.ts';
import { BudgetLedger } from '../../src/store/budget-ledger.ts';

export interface MemoryAccessOptions {
  readonly clock?: Clock;
  readonly requireApiKey?: boolean;
  readonly keylessBudgetUait?: number;
}

/** @param onWrite called before each write of keys or budgets; what it throws is what the disk says */
export function memoryAccess(options: MemoryAccessOptions = {}, onWrite: () => void = () => undefined) {
  const { clock = systemClock, requireApiKey = false, keylessBudgetUait = 1_000 } = options;
  const document = { read: async () => null, write: async () => onWrite() };
  const store = new ApiKeyStore(document, []);
  const ledger = new BudgetLedger({ document, clock, log: nopLogger }, null);
  const budgets = new Budgets(ledger, keylessBudgetUait);
  const modules = { keys: store, logins: new Logins(clock), budgets, clock };
  const access = new Access({ requireApiKey, keylessBudgetUait }, modules);
  return { access, keys: new ApiKeys({ store, budgets, clock }), budgets, ledger };
}
