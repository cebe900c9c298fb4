/** The API keys of this node, for its operator. */
import Type from 'typebox';
import type { ErrorCode } from '../../errors.ts';
import type { Scope } from '../../store/api-keys.ts';
import { SCOPES } from '../../store/api-keys.ts';
import type { ApiKeys, ApiKeyState } from '../access/api-keys.ts';
import { noQuery, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { amount, count, nullable, text, time } from '../schemas.ts';

const MAX_BODY_BYTES = 64 * 1024;
const MAX_YEARS_S = 10 * 366 * 86_400;
/** What is shown to people; it moves no cursor. */
const name = Type.String({ pattern: '^[a-zA-Z0-9._-]{1,64}$' });
const model = Type.String({ pattern: '^[\\x21-\\x7e]{1,128}$' });
const scopes = Type.Array(Type.Unsafe<Scope>(Type.Enum([...SCOPES])), { minItems: 1, maxItems: SCOPES.length });
const rate = Type.Integer({ minimum: 1, maximum: 1_000_000 });

const ApiKey = {
  id: text,
  name: text,
  scopes: Type.Array(text),
  state: Type.Enum(['active', 'expired', 'revoked']),
  requests_per_minute: nullable(count),
  budget_per_day_uait: nullable(amount),
  spent_today_uait: nullable(amount),
  reserved_uait: nullable(amount),
  models: nullable(Type.Array(text)),
  created_at: time,
  expires_at: nullable(time),
  revoked_at: nullable(time),
};

const CreateBody = strict({
  name,
  scopes,
  requests_per_minute: Type.Optional(rate),
  budget_per_day_uait: Type.Optional(amount),
  models: Type.Optional(Type.Array(model, { minItems: 1, maxItems: 100 })),
  expires_in_s: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_YEARS_S })),
});

interface CreateRequest {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly requests_per_minute?: number;
  readonly budget_per_day_uait?: string;
  readonly models?: readonly string[];
  readonly expires_in_s?: number;
}

const OF_CHANGES: readonly ErrorCode[] = ['INTERNAL', 'STORAGE'];

/** For the admin socket alone. */
export function apiKeyOperations(keys: ApiKeys): Operation[] {
  return [
    operation({
      ...{ methods: [], verb: 'GET', path: '/api/keys', scope: null },
      summary: 'All API keys of this node, and what they spent today',
      params: strict({}),
      query: noQuery,
      answers: {
        200: { description: 'In the order of their creation', schema: strict({ keys: Type.Array(strict(ApiKey)) }) },
      },
      errors: [],
      handle: () => fresh({ keys: keys.list().map(keyView) }),
    }),
    operation({
      ...{ methods: [], verb: 'POST', path: '/api/keys', scope: null },
      summary: 'Makes an API key; its text is told this once',
      params: strict({}),
      query: noQuery,
      body: { forms: [{ key: null, schema: CreateBody }], maxBytes: MAX_BODY_BYTES },
      answers: { 200: { description: 'The key', schema: strict({ key: text, ...ApiKey }) } },
      errors: [...OF_CHANGES, 'CONFLICT'],
      handle: async ({ body }) => {
        const { text: key, ...state } = await keys.create(requestOf(body as CreateRequest));
        return fresh({ key, ...keyView(state) });
      },
    }),
    operation({
      ...{ methods: [], verb: 'POST', path: '/api/keys/:id/revoke', scope: null },
      summary: 'Ends an API key, at once',
      params: strict({ id: Type.String({ pattern: '^[a-z0-9]{1,32}$' }) }),
      query: noQuery,
      body: { forms: [], maxBytes: 1024 },
      answers: { 200: { description: 'The key as the list shows it', schema: strict(ApiKey) } },
      errors: [...OF_CHANGES, 'NOT_FOUND'],
      handle: async ({ params: { id } }) => fresh(keyView(await keys.revoke(id))),
    }),
  ];
}

function requestOf(body: CreateRequest) {
  const { budget_per_day_uait: budget, expires_in_s: seconds } = body;
  return {
    name: body.name,
    scopes: body.scopes,
    requestsPerMinute: body.requests_per_minute ?? null,
    budgetPerDayUait: budget === undefined ? null : Math.min(Number(budget), Number.MAX_SAFE_INTEGER),
    models: body.models ?? null,
    expiresInMs: seconds === undefined ? null : seconds * 1000,
  };
}

function keyView({ record, state, standing }: ApiKeyState) {
  return {
    id: record.id,
    name: record.name,
    scopes: record.scopes,
    state,
    requests_per_minute: record.requestsPerMinute,
    budget_per_day_uait: standing && String(record.budgetPerDayUait),
    spent_today_uait: standing && String(standing.spentUait),
    reserved_uait: standing && String(standing.reservedUait),
    models: record.models,
    created_at: iso(record.createdAtMs),
    expires_at: record.expiresAtMs === null ? null : iso(record.expiresAtMs),
    revoked_at: record.revokedAtMs === null ? null : iso(record.revokedAtMs),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
