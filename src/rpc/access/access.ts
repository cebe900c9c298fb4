/**
 * Who may do what. Doors ask it thus: `authorise(request.principal, 'jobs', chainId)` before they look at anything, then
 * `budgets.reserve(...)` before they have work done.
 */
import type { Clock } from '../../clock.ts';
import { NodeError, unreachable } from '../../errors.ts';
import type { ApiKeyRecord, Scope } from '../../store/api-keys.ts';
import type { Budgets } from './budgets.ts';
import { isKeyOf, keyIdOf } from './key-text.ts';
import type { Logins } from './logins.ts';
import type { JobPrincipal, KeyPrincipal, Principal, SessionPrincipal } from './principal.ts';

export interface AccessOptions {
  /** Nothing is answered without a key, but health and documents. */
  readonly requireApiKey: boolean;
  /** Of a UTC day, for programs of this machine on chains of development; 0: none. */
  readonly keylessBudgetUait: number;
}

export interface AccessModules {
  readonly keys: { find(id: string): ApiKeyRecord | null };
  readonly logins: Logins;
  readonly budgets: Budgets;
  readonly clock: Clock;
}

const GET_A_KEY = 'its operator makes keys with: aitbc key create NAME; send it as Authorization: Bearer KEY';

export class Access {
  readonly options: AccessOptions;
  readonly #modules: AccessModules;

  constructor(options: AccessOptions, modules: AccessModules) {
    this.options = options;
    this.#modules = modules;
  }

  get budgets(): Budgets {
    return this.#modules.budgets;
  }

  get logins(): Logins {
    return this.#modules.logins;
  }

  /** @throws NodeError UNAUTHENTICATED: unknown, wrong, expired or revoked; the answer does not tell which of the first two */
  authenticate(text: string): KeyPrincipal | SessionPrincipal {
    const id = keyIdOf(text);
    const found = id?.startsWith('s') === true ? this.#session(text, id) : id !== null ? this.#key(text, id) : null;
    if (found) return found;
    throw new NodeError('UNAUTHENTICATED', 'this is no API key of this node', {
      hint: `check that all of it was copied; ${GET_A_KEY}`,
    });
  }

  /** Of what was opened in its name a while ago: whether it still may be. */
  isGood(principal: Principal): boolean {
    switch (principal.kind) {
      case 'key': {
        const record = this.#modules.keys.find(principal.id);
        return record !== null && endOf(record, this.#modules.clock.now()) === null;
      }
      case 'session':
        return this.#modules.logins.has(principal.id);
      case 'anonymous':
      case 'operator':
        return true;
      default:
        return unreachable(principal);
    }
  }

  /** Whether it may ask at all, before it is known what. @throws NodeError UNAUTHENTICATED */
  admit(principal: Principal): void {
    if (principal.kind !== 'anonymous' || !this.options.requireApiKey) return;
    throw new NodeError('UNAUTHENTICATED', 'this node answers nobody without an API key', { hint: GET_A_KEY });
  }

  /** @throws NodeError UNAUTHENTICATED | FORBIDDEN */
  allow(principal: Principal, scope: Scope): void {
    this.admit(principal);
    switch (principal.kind) {
      case 'operator':
        return;
      case 'anonymous':
        if (scope !== 'jobs' || (principal.isLocal && this.options.keylessBudgetUait > 0)) return;
        throw noKeyForJobs();
      case 'key':
      case 'session':
        if (principal.scopes.includes(scope)) return;
        throw new NodeError('FORBIDDEN', `this API key is not for ${WHAT[scope]}`, {
          data: { key: principal.id, scope, scopes: principal.scopes.join(', ') },
          hint: `use a key with this scope: aitbc key create NAME --scope ${scope}`,
        });
      default:
        unreachable(principal);
    }
  }

  /**
   * For whom a job of this chain is done.
   *
   * @throws NodeError UNAUTHENTICATED without a key, off this machine or off chains of development; FORBIDDEN
   */
  authorise(principal: Principal, scope: 'jobs', chainId: string): JobPrincipal {
    this.allow(principal, scope);
    if (principal.kind === 'key' || (principal.kind === 'session' && principal.chainId === chainId)) return principal;
    if (principal.kind === 'session') {
      throw new NodeError('FORBIDDEN', `this login is for ${principal.chainId}, not for ${chainId}`, {
        data: { logged_in_to: principal.chainId, chain_id: chainId },
        hint: 'log in to that chain, or name the one of the login',
      });
    }
    if (principal.kind === 'anonymous' && chainId.endsWith('-devnet')) return { kind: 'keyless' };
    throw noKeyForJobs();
  }

  #key(text: string, id: string): KeyPrincipal | null {
    const record = this.#modules.keys.find(id);
    if (!record || !isKeyOf(text, record.hash)) return null;
    const end = endOf(record, this.#modules.clock.now());
    if (end !== null) {
      throw new NodeError('UNAUTHENTICATED', `this API key ${end}`, { data: { key: id }, hint: GET_A_KEY });
    }
    const { name, scopes, requestsPerMinute, budgetPerDayUait, models } = record;
    return { kind: 'key', id, name, scopes, requestsPerMinute, budgetPerDayUait, models };
  }

  #session(text: string, id: string): SessionPrincipal | null {
    const session = this.#modules.logins.find(id);
    return session && isKeyOf(text, session.hash) ? session.principal : null;
  }
}

const WHAT: Readonly<Record<Scope, string>> = {
  read: 'reading',
  submit: 'sending transactions',
  jobs: 'jobs',
};

/** @returns how it ended, or null */
function endOf({ revokedAtMs, expiresAtMs }: ApiKeyRecord, nowMs: number): string | null {
  if (revokedAtMs !== null) return 'was revoked';
  if (expiresAtMs !== null && nowMs >= expiresAtMs) return `expired at ${new Date(expiresAtMs).toISOString()}`;
  return null;
}

function noKeyForJobs(): NodeError {
  return new NodeError('UNAUTHENTICATED', 'jobs at the cost of this node need an API key', { hint: GET_A_KEY });
}
