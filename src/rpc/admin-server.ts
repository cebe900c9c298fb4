/**
 * What only the operator may do, on a unix socket that the system lets no one but the node's user reach. No port answers
 * it: the address of a request proves nothing, and a token can be carried away.
 */
import Fastify from 'fastify';
import { NodeError } from '../errors.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { nopRegister } from '../metrics.ts';
import type { ApiKeys } from './access/api-keys.ts';
import type { MinerApi, NodeApi } from './api.ts';
import type { RpcApp } from './app.ts';
import { schemaController } from './app.ts';
import { answerRequests, MAX_BODY_BYTES, MAX_HEADER_BYTES, requestId } from './base-app.ts';
import type { Client } from './clients.ts';
import { registerOperations } from './http.ts';
import { createAdminOperations } from './operations.ts';
import { NO_MINER } from './routes/own-miner.ts';
import { guardRates } from './rate-guard.ts';
import type { Rates } from './rate-limits.ts';
import { RateLimits } from './rate-limits.ts';
import { listenOnSocket } from './unix-socket.ts';

const OPERATOR: Client = { key: 'operator', isLocal: false };
const RATES: Rates = { read: 5, heavy: 5, write: 5 };
const MAX_CONNECTIONS = 16;
const REQUEST_MS = 15_000;

export interface AdminServer {
  readonly path: string;
  close(): Promise<void>;
}

export interface AdminModules {
  readonly api: NodeApi;
  readonly keys: ApiKeys;
  /** None when absent. */
  readonly miner?: MinerApi;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** @param path absolute @throws NodeError CONFIG for a path or folder that cannot be used, PORT_IN_USE */
export async function startAdminServer(
  path: string,
  { api, keys, miner = NO_MINER, log, clock = systemClock }: AdminModules,
): Promise<AdminServer> {
  const app: RpcApp = Fastify({
    schemaController,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_MS,
    forceCloseConnections: true,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    genReqId: requestId,
    exposeHeadRoutes: true,
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  app.decorateRequest('client');
  app.decorateRequest('principal');
  app.addHook('onRequest', (request, _reply, done) => {
    request.client = OPERATOR;
    request.principal = { kind: 'operator' };
    done();
  });
  answerRequests(app, new Set(), log);
  const limits = new RateLimits(RATES, clock);
  guardRates(app, limits, nopRegister);
  app.addHook('onResponse', (request, reply, done) => {
    const { method, id: request_id } = request;
    if (method === 'POST') {
      log.info('operator request', { method, path: request.url.slice(0, 200), status: reply.statusCode, request_id });
    }
    done();
  });
  registerOperations(app, createAdminOperations(api, keys, miner), { limits, clock });
  try {
    await listenOnSocket(app, path);
  } catch (error) {
    await app.close();
    throw error instanceof NodeError ? error : new NodeError('CONFIG', `cannot listen on ${path}`, { cause: error });
  }
  return { path, close: () => app.close() };
}
