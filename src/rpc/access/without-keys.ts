/** A server that has no keys: everyone may read and send, and nobody has anything paid. */
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import { BudgetLedger } from '../../store/budget-ledger.ts';
import type { DocumentStore } from '../../store/document-file.ts';
import { Access } from './access.ts';
import { Budgets } from './budgets.ts';
import { Logins } from './logins.ts';

const nowhere: DocumentStore = { read: () => Promise.resolve(null), write: () => Promise.resolve() };

export function accessWithoutKeys(clock: Clock, log: Logger): Access {
  const budgets = new Budgets(new BudgetLedger({ document: nowhere, clock, log }, null), 0);
  const options = { requireApiKey: false, keylessBudgetUait: 0 };
  return new Access(options, { keys: { find: () => null }, logins: new Logins(clock), budgets, clock });
}
