/** The OpenAPI 3.1 document of a node's operations, made of the schemas that validate them. */
import type { TObject, TSchema } from 'typebox';
import type { ErrorCode } from '../errors.ts';
import { ERRORS } from '../errors.ts';
import type { Body, Described, FailureForm } from './operation.ts';
import { typeOfFailures } from './failure-forms.ts';
import { COMPONENTS, FAILURES } from './components.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

const DESCRIPTION = [
  'Amounts are decimal strings of uait (1 AIT = 1,000,000 uait), hashes and keys lower-case hex, times RFC 3339 UTC.',
  'Every GET path answers HEAD too. A path that is not listed is a 404 METHOD_NOT_FOUND.',
  'Failures are RFC 9457 problem documents, but where clients of OpenAI or Ollama ask; their `code` is one of those listed.',
  'Streams and WebSockets have no HEAD. Whoever has work done at the cost of this node lets it read what is asked and answered.',
].join(' ');

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'an API key, or the token of a login' },
  apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
};
/** Whether one is needed, the configuration of the node says. */
const WITH_OR_WITHOUT_KEY = [{}, { bearer: [] }, { apiKey: [] }];

export function openApiDocument(operations: readonly Described[], version: string): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const path = operation.path.replace(/:(\w+)/g, '{$1}');
    (paths[path] ??= {})[operation.verb.toLowerCase()] = operationObject(operation);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'AITBC node', version, license: { name: 'MIT', identifier: 'MIT' }, description: DESCRIPTION },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: componentSchemas(),
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

/** Unique in the document: of the method, or of verb and path. */
function operationId({ methods, verb, path }: Described): string {
  return methods[0] ?? `${verb.toLowerCase()}${path.replace(/[/:.-]+/g, '_')}`;
}

function operationObject(operation: Described) {
  const { summary, params, query, body } = operation;
  return {
    operationId: operationId(operation),
    summary,
    ...(operation.successor !== undefined && { deprecated: true }),
    parameters: [...parameters('path', params), ...parameters('query', query)],
    ...(body && body.forms.length > 0 && { requestBody: requestBody(body) }),
    ...(operation.scope !== null && { security: WITH_OR_WITHOUT_KEY }),
    responses: responses(operation),
  };
}

function parameters(place: 'path' | 'query', { properties, required }: TObject) {
  const needed: readonly string[] = required ?? [];
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: place,
    required: needed.includes(name),
    schema: refer(schema),
  }));
}

function requestBody({ forms, binary }: Body) {
  const schemas = forms.map(({ schema }) => refer(schema));
  return {
    required: true,
    content: {
      'application/json': { schema: schemas.length === 1 ? schemas[0] : { anyOf: schemas } },
      ...(binary !== undefined && { 'application/octet-stream': { schema: { description: binary } } }),
    },
  };
}

function responses({ answers, errors, failures = 'problem' }: Described): JsonSchema {
  const found: Record<string, { description: string; content?: Record<string, { schema: unknown }> }> = {};
  for (const [status, { description, schema, type = 'application/json', inPieces }] of Object.entries(answers)) {
    const pieces = inPieces === undefined ? {} : { [inPieces]: { schema: { type: 'string' } } };
    found[status] = { description, ...(schema && { content: { [type]: { schema: refer(schema) }, ...pieces } }) };
  }
  const failureType = typeOfFailures(failures);
  const byStatus = Map.groupBy(errors, (code) => String(ERRORS[code].http));
  for (const [status, codes] of byStatus) {
    const before = found[status];
    const sentence = codes.map((code) => `${code} (${ERRORS[code].title.toLowerCase()})`).join(', ');
    found[status] = {
      description: before ? `${before.description}; or ${sentence}` : sentence,
      content: {
        ...before?.content,
        [failureType]: { schema: failureOf(failures, codes, before?.content?.[failureType]) },
      },
    };
  }
  return found;
}

/** A failure with one of these codes. @param wider what the answer is declared as, when a failure is part of it */
function failureOf(form: FailureForm, codes: readonly ErrorCode[], wider: { schema: unknown } | undefined): JsonSchema {
  const code = { properties: { code: { enum: codes } } };
  return {
    allOf: [wider?.schema ?? refer(FAILURES[form])],
    ...(form === 'openai' ? { properties: { error: code } } : code),
  };
}

/** The content of every schema that has a name. */
export function componentSchemas(): JsonSchema {
  return Object.fromEntries(Object.entries(COMPONENTS).map(([name, schema]) => [name, schemaObject(schema, true)]));
}

export function refer(schema: TSchema): unknown {
  return schemaObject(schema, false);
}

/** By content: an optional field holds a copy of its schema. */
const names = new Map(Object.entries(COMPONENTS).map(([name, schema]) => [JSON.stringify(schema), name]));

/**
 * Plain JSON Schema, with references in place of what has a name.
 *
 * @param isDefinition of a named one itself: its content, not a reference to it
 */
function schemaObject(schema: unknown, isDefinition: boolean): unknown {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map((item) => schemaObject(item, false));
  const name = names.get(JSON.stringify(schema));
  if (name !== undefined && !isDefinition) return { $ref: `#/components/schemas/${name}` };
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, schemaObject(value, false)]));
}
