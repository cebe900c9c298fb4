/** What each principal may spend of the node's wallet: its budget of the day, and the models it may ask for. */
import { NodeError, unreachable } from '../../errors.ts';
import type { BudgetLedger, BudgetStanding, Reservation } from '../../store/budget-ledger.ts';
import type { JobPrincipal } from './principal.ts';

/** The account of all programs of this machine without a key. */
const KEYLESS = 'keyless';

export interface ReserveOptions {
  /** Null where the kind of job has none. */
  readonly model: string | null;
  /** By which the owner knows the reservation again after a restart: the job id. */
  readonly reference: string;
}

export class Budgets {
  readonly #ledger: BudgetLedger;
  readonly #keylessBudgetUait: number;

  constructor(ledger: BudgetLedger, keylessBudgetUait: number) {
    this.#ledger = ledger;
    this.#keylessBudgetUait = keylessBudgetUait;
  }

  /**
   * Before any work: the highest price it can come to. On the disk when it resolves. Whoever reserves settles, after a
   * restart too: see {@link open}.
   *
   * @throws NodeError BUDGET_SPENT | FORBIDDEN for the model, or for a login | RATE_LIMITED | STORAGE
   */
  async reserve(principal: JobPrincipal, amountUait: number, options: ReserveOptions): Promise<Reservation> {
    const { model, reference } = options;
    const { account, budgetUait } = this.#accountOf(principal, model);
    return this.#ledger.reserve({ account, amountUait, budgetUait, reference });
  }

  /** Again is harmless. @param spentUait at most what was reserved */
  settle(reservation: Pick<Reservation, 'id'>, spentUait: number): void {
    this.#ledger.settle(reservation.id, spentUait);
  }

  release(reservation: Pick<Reservation, 'id'>): void {
    this.#ledger.release(reservation.id);
  }

  /** Not settled; counts as spent until it is. */
  open(): readonly Reservation[] {
    return this.#ledger.open();
  }

  /** Of a key, today. */
  standing(keyId: string): BudgetStanding {
    return this.#ledger.standing(keyId);
  }

  #accountOf(principal: JobPrincipal, model: string | null): { account: string; budgetUait: number } {
    switch (principal.kind) {
      case 'key': {
        const { id, models, budgetPerDayUait } = principal;
        if (models !== null && (model === null || !models.includes(model))) throw notForModel(id, models, model);
        return { account: id, budgetUait: budgetPerDayUait };
      }
      case 'keyless':
        return { account: KEYLESS, budgetUait: this.#keylessBudgetUait };
      case 'session':
        throw new NodeError('FORBIDDEN', 'a login spends nothing of the wallet of this node', {
          data: { address: principal.address },
          hint: 'pay with the account itself, or use an API key with a budget',
        });
      default:
        return unreachable(principal);
    }
  }
}

function notForModel(key: string, models: readonly string[], model: string | null): NodeError {
  return new NodeError(
    'FORBIDDEN',
    `this API key is not for ${model === null ? 'jobs without a model' : 'that model'}`,
    {
      data: { key, model: model?.slice(0, 100) ?? null, models: models.join(', ') },
      hint: 'ask for one of those listed',
    },
  );
}
