/** What a node answers its operator about API keys. */

export type ApiKeyScope = 'read' | 'submit' | 'jobs';

export interface ApiKeyResponse {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly state: 'active' | 'expired' | 'revoked';
  readonly requests_per_minute: number | null;
  /** Null without the scope `jobs`; of a UTC day. */
  readonly budget_per_day_uait: string | null;
  readonly spent_today_uait: string | null;
  /** Of jobs that are not done yet. */
  readonly reserved_uait: string | null;
  /** Null: all. */
  readonly models: readonly string[] | null;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}

export interface NewApiKeyResponse extends ApiKeyResponse {
  /** The text to be sent as `Authorization: Bearer`; told this once. */
  readonly key: string;
}

export interface ApiKeysResponse {
  readonly keys: readonly ApiKeyResponse[];
}

export interface NewApiKey {
  readonly name: string;
  readonly scopes: readonly ApiKeyScope[];
  readonly requests_per_minute?: number;
  /** With the scope `jobs` alone. */
  readonly budget_per_day_uait?: string;
  readonly models?: readonly string[];
  readonly expires_in_s?: number;
}
