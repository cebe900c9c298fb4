/** The OpenRPC document of a node's methods, made of the schemas that validate them: what `rpc.discover` answers. */
import { ERRORS } from '../errors.ts';
import { JSON_FORM } from './app.ts';
import type { Method, MethodParam } from './json-rpc-methods.ts';
import type { JsonSchema } from './openapi.ts';
import { componentSchemas, refer } from './openapi.ts';

export function openRpcDocument(methods: ReadonlyMap<string, Method>, version: string): JsonSchema {
  return {
    openrpc: '1.3.2',
    info: { title: 'AITBC node', version, license: { name: 'MIT' } },
    servers: [{ name: 'this node', url: '/rpc' }],
    methods: [...methods.values()].map(methodObject),
    components: { schemas: componentSchemas() },
  };
}

function methodObject({ name, operation, params }: Method): JsonSchema {
  const { summary, answers, errors } = operation;
  const [result] = Object.values(answers);
  return {
    name,
    summary,
    paramStructure: 'either',
    params: params.map((param) => ({
      name: param.name,
      required: param.isRequired,
      schema: paramSchema(param),
    })),
    result: { name: 'result', summary: result?.description ?? '', schema: result?.schema ? refer(result.schema) : {} },
    // Whoever has no key is refused before there is a call.
    errors: errors
      .filter((code) => code !== 'UNAUTHENTICATED')
      .map((code) => ({ code: ERRORS[code].jsonRpc, message: ERRORS[code].title, data: { code } })),
  };
}

const JSON_FORMS: Readonly<Record<string, JsonSchema>> = {
  integer: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
  boolean: { type: 'boolean' },
};

function paramSchema({ schema }: MethodParam): unknown {
  const { [JSON_FORM]: form, ...textual } = refer(schema) as Record<string, unknown>;
  const other = typeof form === 'string' ? JSON_FORMS[form] : undefined;
  return other ? { anyOf: [textual, other] } : textual;
}
