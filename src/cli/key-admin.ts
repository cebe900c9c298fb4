/** What `aitbc key` does. */
import { NodeError } from '../errors.ts';
import type { ApiKeyResponse, ApiKeyScope } from '../sdk/access-types.ts';
import type { Client } from '../sdk/client.ts';
import { createFile } from '../store/files.ts';
import { storageError } from '../store/storage-error.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { fields, printable, table } from './output.ts';

export interface CreateOptions {
  readonly scope?: readonly ApiKeyScope[];
  readonly budgetPerDay?: string;
  readonly models?: readonly string[];
  readonly requestsPerMinute?: number;
  readonly expires?: number;
  readonly file?: string;
}

export async function createKey(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { scope: scopes = ['read', 'submit'], budgetPerDay, models, requestsPerMinute, expires, file } = options;
  const client = operator(context);
  const { key, ...created } = await client.createApiKey({
    name,
    scopes,
    ...(requestsPerMinute !== undefined && { requests_per_minute: requestsPerMinute }),
    ...(budgetPerDay !== undefined && { budget_per_day_uait: String(parseAmount(budgetPerDay)) }),
    ...(models !== undefined && { models }),
    ...(expires !== undefined && { expires_in_s: Math.max(1, Math.round(expires / 1000)) }),
  });
  if (file !== undefined) await writeKey(client, file, key, created.id);
  context.out.note(describe(created));
  if (file !== undefined) {
    context.out.note(`The key is in ${file}.`);
    context.out.data(created, created.id);
    return;
  }
  context.out.note('This is the key. It is shown once, and whoever has it may use it:\n');
  context.out.data({ key, ...created }, key);
}

export async function listKeys(context: Context): Promise<void> {
  const answer = await operator(context).apiKeys();
  const rows = answer.keys.map((key) => [
    key.id,
    printable(key.name),
    key.scopes.join(','),
    key.state,
    key.expires_at?.slice(0, 10) ?? 'never',
    key.budget_per_day_uait === null ? '' : formatAit(key.budget_per_day_uait),
    key.spent_today_uait === null
      ? ''
      : formatAit(String(BigInt(key.spent_today_uait) + BigInt(key.reserved_uait ?? 0))),
  ]);
  const head = ['ID', 'NAME', 'SCOPES', 'STATE', 'EXPIRES', 'A DAY', 'TODAY'];
  context.out.data(
    answer,
    rows.length === 0
      ? 'No API keys.'
      : table(
          head,
          rows.map((row) => row.map(String)),
        ),
  );
}

export async function revokeKey(context: Context, id: string): Promise<void> {
  const revoked = await operator(context).revokeApiKey(id);
  context.out.data(revoked, `${revoked.id}: revoked`);
}

function operator(context: Context): Client {
  if (context.options.rpc === undefined) return context.operator();
  throw new NodeError('USAGE', 'API keys are made on the machine of the node, not over --rpc', {
    hint: 'leave --rpc out, and give --home of the node',
  });
}

/** A key that nobody can read is ended again. @throws NodeError KEY_EXISTS | STORAGE */
async function writeKey(client: Client, path: string, key: string, id: string): Promise<void> {
  try {
    if (await createFile(path, Buffer.from(`${key}\n`))) return;
  } catch (error) {
    await client.revokeApiKey(id);
    throw storageError(error, 'write the API key', path);
  }
  await client.revokeApiKey(id);
  throw new NodeError('KEY_EXISTS', `there is a file ${path} already, and it is not overwritten`, {
    data: { path },
    hint: 'give another file',
  });
}

function describe(key: ApiKeyResponse): string {
  return fields([
    ['id', key.id],
    ['name', key.name],
    ['scopes', key.scopes.join(', ')],
    ...(key.budget_per_day_uait === null
      ? []
      : [['budget', `${formatAit(key.budget_per_day_uait)} a day (UTC)`] as const]),
    ...(key.models === null ? [] : [['models', key.models.join(', ')] as const]),
    ...(key.requests_per_minute === null ? [] : [['requests', `${key.requests_per_minute} a minute`] as const]),
    ['expires', key.expires_at ?? 'never'],
  ]);
}
