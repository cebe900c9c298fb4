/** In whose name a request comes, and what that one may do. */
import type { Scope } from '../../store/api-keys.ts';

export interface KeyPrincipal {
  readonly kind: 'key';
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly Scope[];
  /** Null: no limit of its own. */
  readonly requestsPerMinute: number | null;
  readonly budgetPerDayUait: number;
  /** Null: all. */
  readonly models: readonly string[] | null;
}

/** Someone who proved to have the key of an account: it sees and ends jobs of that account, and spends nothing here. */
export interface SessionPrincipal {
  readonly kind: 'session';
  readonly id: string;
  readonly address: string;
  readonly chainId: string;
  readonly scopes: readonly Scope[];
}

export type Principal =
  | KeyPrincipal
  | SessionPrincipal
  /** Without a key. */
  | { readonly kind: 'anonymous'; readonly isLocal: boolean }
  /** Over the admin socket. */
  | { readonly kind: 'operator' };

/** Whom jobs are done for. */
export type JobPrincipal =
  | KeyPrincipal
  | SessionPrincipal
  /** All programs of this machine together, on a chain of development. */
  | { readonly kind: 'keyless' };
