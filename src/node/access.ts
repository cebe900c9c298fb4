/** Who may ask this node for what, from its data folder and configuration. */
import { systemClock } from '../clock.ts';
import type { NodeConfig } from '../config.ts';
import type { Logger } from '../log.ts';
import { Access } from '../rpc/access/access.ts';
import { ApiKeys } from '../rpc/access/api-keys.ts';
import { Budgets } from '../rpc/access/budgets.ts';
import { Logins } from '../rpc/access/logins.ts';
import { openApiKeys } from '../store/api-keys.ts';
import type { BudgetLedger } from '../store/budget-ledger.ts';
import { openBudgetLedger } from '../store/budget-ledger.ts';
import type { DataFolder } from '../store/data-folder.ts';

export interface OpenAccess {
  readonly access: Access;
  readonly keys: ApiKeys;
  readonly ledger: BudgetLedger;
}

/** @throws NodeError CORRUPT | DATA_TOO_NEW | STORAGE */
export async function openAccess(folder: DataFolder, config: NodeConfig, log: Logger): Promise<OpenAccess> {
  const clock = systemClock;
  const { keylessBudgetUait } = config.market;
  const store = await openApiKeys(folder.apiKeysFile);
  const ledger = await openBudgetLedger(folder.budgetsFile, { clock, log });
  const budgets = new Budgets(ledger, keylessBudgetUait);
  const options = { requireApiKey: config.rpc.requireApiKey, keylessBudgetUait };
  const access = new Access(options, { keys: store, logins: new Logins(clock), budgets, clock });
  return { access, keys: new ApiKeys({ store, budgets, clock }), ledger };
}
