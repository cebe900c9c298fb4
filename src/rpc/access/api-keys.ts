/** API keys as the operator sees them: made, listed with what they spent today, revoked. */
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { ApiKeyRecord, ApiKeyStore, Scope } from '../../store/api-keys.ts';
import type { BudgetStanding } from '../../store/budget-ledger.ts';
import type { Budgets } from './budgets.ts';
import { newKey } from './key-text.ts';

export interface ApiKeyRequest {
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Null: no limit of its own. */
  readonly requestsPerMinute: number | null;
  /** Of a UTC day; null without the scope `jobs`. */
  readonly budgetPerDayUait: number | null;
  /** Null: all. */
  readonly models: readonly string[] | null;
  /** Null: never. */
  readonly expiresInMs: number | null;
}

export interface ApiKeyState {
  readonly record: ApiKeyRecord;
  readonly state: 'active' | 'expired' | 'revoked';
  /** Null without a budget. */
  readonly standing: BudgetStanding | null;
}

export class ApiKeys {
  readonly #store: ApiKeyStore;
  readonly #budgets: Budgets;
  readonly #clock: Clock;

  constructor(modules: { readonly store: ApiKeyStore; readonly budgets: Budgets; readonly clock: Clock }) {
    this.#store = modules.store;
    this.#budgets = modules.budgets;
    this.#clock = modules.clock;
  }

  list(): readonly ApiKeyState[] {
    return this.#store.list().map((record) => this.#stateOf(record));
  }

  /** @returns with its text, which is told this once @throws NodeError INVALID_PARAMS | CONFLICT | STORAGE */
  async create(request: ApiKeyRequest): Promise<ApiKeyState & { readonly text: string }> {
    const { name, requestsPerMinute, budgetPerDayUait, models, expiresInMs } = request;
    const scopes = [...new Set(request.scopes)];
    if (scopes.includes('jobs') !== (budgetPerDayUait !== null)) throw budgetAndScope();
    const createdAtMs = this.#clock.now();
    const { id, text, hash } = newKey('k');
    const record: ApiKeyRecord = {
      ...{ id, name, hash, scopes, requestsPerMinute, budgetPerDayUait: budgetPerDayUait ?? 0, models, createdAtMs },
      expiresAtMs: expiresInMs === null ? null : createdAtMs + expiresInMs,
      revokedAtMs: null,
    };
    await this.#store.add(record);
    return { ...this.#stateOf(record), text };
  }

  /** From now on, for what it has open too. @throws NodeError NOT_FOUND | STORAGE */
  async revoke(id: string): Promise<ApiKeyState> {
    return this.#stateOf(await this.#store.revoke(id, this.#clock.now()));
  }

  #stateOf(record: ApiKeyRecord): ApiKeyState {
    const { id, scopes, revokedAtMs, expiresAtMs } = record;
    const isExpired = expiresAtMs !== null && this.#clock.now() >= expiresAtMs;
    const state = revokedAtMs !== null ? 'revoked' : isExpired ? 'expired' : 'active';
    return { record, state, standing: scopes.includes('jobs') ? this.#budgets.standing(id) : null };
  }
}

function budgetAndScope(): NodeError {
  return new NodeError('INVALID_PARAMS', 'the scope jobs and a budget go together: jobs are paid by this node', {
    hint: 'aitbc key create NAME --scope jobs --budget-per-day 10ait',
  });
}
