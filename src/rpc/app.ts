/** The fastify instance every route file adds to, and the schemas they share. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import Type from 'typebox';
import { NodeError } from '../errors.ts';
import type { Client } from './clients.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set before anything else happens. */
    client: Client;
  }
}

export type RpcApp = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

function compilesNothing(): never {
  throw new NodeError('INTERNAL', 'a route has a schema for fastify: requests are held against schemas by check.ts');
}

/** Fastify's own compilers are a hundred modules that every start would load for nothing. */
export const schemaController = {
  compilersFactory: { buildValidator: compilesNothing, buildSerializer: compilesNothing },
};

const closed = { additionalProperties: false };

/** An object with no other names than these: unknown parameters are refused, not ignored. */
export function strict<T extends Parameters<typeof Type.Object>[0]>(properties: T) {
  return Type.Object(properties, closed);
}

export const noQuery = strict({});

const chainId = Type.Optional(
  Type.String({ pattern: '^[a-z0-9._-]{1,32}$', description: 'the default chain when absent' }),
);

/** The query of what is asked of one chain: without `chain_id` it is the default one. */
export function chainQuery<T extends Parameters<typeof Type.Object>[0]>(properties: T) {
  return strict({ chain_id: chainId, ...properties });
}

export const ofChain = chainQuery({});

/**
 * What a parameter may be where it is not text, as in the params of JSON-RPC: `integer` is read as its digits, `boolean`
 * as 0 or 1.
 */
export const JSON_FORM = 'x-json';

/** A switch in a query: `?name=1`. */
export const flag = Type.Optional(Type.Enum(['0', '1'], { [JSON_FORM]: 'boolean' }));

export const hash = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** Of what can still change. */
export const NO_STORE = 'no-store';
/** Of what may be kept, and is asked for again each time. */
export const NO_CACHE = 'no-cache';
/** Of what is final: it never changes. */
export const IMMUTABLE = 'public, max-age=31536000, immutable';
