/** POST /rpc: the operations as JSON-RPC methods. */
import Type from 'typebox';
import type { Logger } from '../../log.ts';
import type { Access } from '../access/access.ts';
import type { NodeApi } from '../api.ts';
import { noQuery, strict } from '../app.ts';
import { logFailure } from '../failure-log.ts';
import { methodTable } from '../json-rpc-methods.ts';
import { JsonRpc, MAX_BATCH_CALLS } from '../json-rpc.ts';
import { openRpcDocument } from '../openrpc.ts';
import type { Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { JsonRpcAnswer, JsonRpcCall } from '../schemas.ts';

export const MAX_JSON_RPC_BODY_BYTES = 1024 * 1024;

const oneOrMany = (item: typeof JsonRpcCall | typeof JsonRpcAnswer) =>
  Type.Union([item, Type.Array(item, { minItems: 1, maxItems: MAX_BATCH_CALLS })]);

export function jsonRpcOperation(
  node: NodeApi,
  operations: readonly Operation[],
  { access, log }: { readonly access: Access; readonly log: Logger },
): Operation {
  const methods = methodTable(operations);
  let document: unknown;
  const rpc = new JsonRpc({
    methods,
    discover: () => (document ??= openRpcDocument(methods, node.version)),
    allow: (principal, scope) => {
      access.allow(principal, scope);
    },
    onFailure: (problem, method, error) => {
      logFailure(log, problem, { request_id: problem.instance, method, error });
    },
  });
  return operation({
    methods: [],
    verb: 'POST',
    path: '/rpc',
    summary: 'JSON-RPC 2.0: one call, or a batch; the method rpc.discover lists all',
    params: strict({}),
    query: noQuery,
    body: { forms: [{ key: null, schema: oneOrMany(JsonRpcCall) }], isRaw: true, maxBytes: MAX_JSON_RPC_BODY_BYTES },
    answers: {
      200: {
        description: 'Results and failures; a failure has the number of its code',
        schema: oneOrMany(JsonRpcAnswer),
      },
      204: { description: 'There were notifications alone', schema: null },
    },
    errors: [],
    load: 'calls',
    scope: 'calls',
    handle: async ({ body, ...context }) => {
      const text = await rpc.answer(typeof body === 'string' ? body : '', context);
      return text === null ? fresh(undefined, 204) : { ...fresh(text), type: 'application/json' };
    },
  });
}
