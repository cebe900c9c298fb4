/** Operations as JSON-RPC methods: their parameters in one list, and how given params become path, query and body. */
import type { TSchema } from 'typebox';
import { NodeError } from '../errors.ts';
import { JSON_FORM } from './app.ts';
import { check } from './check.ts';
import type { Operation } from './operation.ts';

export interface MethodParam {
  readonly name: string;
  readonly place: 'path' | 'query' | 'body';
  readonly isRequired: boolean;
  readonly schema: TSchema;
}

/** What an operation is asked with. */
export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Method {
  readonly name: string;
  readonly operation: Operation;
  /** In the order of params by position. */
  readonly params: readonly MethodParam[];
  /** @throws NodeError INVALID_PARAMS */
  read(params: unknown): Call;
}

/** By name; an operation may have several. */
export function methodTable(operations: readonly Operation[]): ReadonlyMap<string, Method> {
  return new Map(
    operations.flatMap((operation) => {
      const params = paramsOf(operation);
      return operation.methods.map((name) => {
        const method: Method = { name, operation, params, read: (given) => readCall(operation, params, given) };
        return [name, method] as const;
      });
    }),
  );
}

/** What must be given comes first, the chain last. */
function paramsOf({ params, query, bodyParam }: Operation): MethodParam[] {
  const list = (place: 'path' | 'query', { properties, required }: Operation['params']): MethodParam[] => {
    const needed: readonly string[] = required ?? [];
    return Object.entries(properties).map(([name, schema]) => ({
      ...{ name, place, schema, isRequired: needed.includes(name) },
    }));
  };
  const body: MethodParam[] = bodyParam
    ? [{ name: bodyParam.name, place: 'body', isRequired: true, schema: bodyParam.schema }]
    : [];
  const all = [...list('path', params), ...body, ...list('query', query)];
  return [...all.filter(({ name }) => name !== 'chain_id'), ...all.filter(({ name }) => name === 'chain_id')];
}

function readCall(operation: Operation, list: readonly MethodParam[], given: unknown): Call {
  const named = new Map<string, unknown>(Array.isArray(given) ? byPosition(list, given) : Object.entries(given ?? {}));
  const take = (place: MethodParam['place']): Record<string, unknown> => {
    const taken: Record<string, unknown> = {};
    for (const { name, schema, place: its } of list) {
      const value = named.get(name);
      if (its === place && value !== undefined && value !== null) taken[name] = asText(schema, value);
    }
    return taken;
  };
  const params = take('path');
  const unknown = [...named].filter(([name]) => !list.some((param) => param.name === name));
  const query: Record<string, unknown> = { ...take('query'), ...Object.fromEntries(unknown) };
  check(operation.params, params, 'params');
  check(operation.query, query, 'params');
  const { bodyParam } = operation;
  let body: unknown;
  if (bodyParam) {
    const value = named.get(bodyParam.name);
    check(bodyParam.schema, value ?? null, `params.${bodyParam.name}`);
    body = bodyParam.toBody(value);
  }
  return { params: params as Call['params'], query: query as Call['query'], body };
}

function byPosition(list: readonly MethodParam[], given: readonly unknown[]): [string, unknown][] {
  if (given.length > list.length) {
    throw new NodeError('INVALID_PARAMS', `there are at most ${list.length} params`, {
      data: { params: list.map(({ name }) => name).join(', '), given: given.length },
    });
  }
  return given.map((value, i) => [list[i]?.name ?? '', value]);
}

/** Numbers and booleans where they mean the text of a URL; what they do not mean is left for the check to refuse. */
function asText(schema: TSchema, value: unknown): unknown {
  const form = (schema as Record<string, unknown>)[JSON_FORM];
  if (form === 'integer' && typeof value === 'number') return String(value);
  if (form === 'boolean' && typeof value === 'boolean') return value ? '1' : '0';
  return value;
}
