/** The HTTP server of a node: what it may cost, and who may ask; routes are in routes/. */
import Fastify from 'fastify';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { HostPort } from '../config/options.ts';
import type { Logger } from '../log.ts';
import type { MetricsRegister } from '../metrics.ts';
import { nopRegister } from '../metrics.ts';
import type { Access } from './access/access.ts';
import { guardAccess, recogniseKeys } from './access/guard.ts';
import { accessWithoutKeys } from './access/without-keys.ts';
import type { NodeApi } from './api.ts';
import type { RpcApp } from './app.ts';
import { schemaController } from './app.ts';
import { answerRequests, MAX_BODY_BYTES, MAX_HEADER_BYTES, requestId } from './base-app.ts';
import { capConnections } from './connections.ts';
import { allowPages } from './cors.ts';
import { clientOf, UNNAMED_PROXY } from './clients.ts';
import { registerOperations } from './http.ts';
import { JobDesks } from './jobs/desk.ts';
import { listenOn } from './listen.ts';
import { LiveHub } from './live/hub.ts';
import { createLiveMetrics } from './live/metrics.ts';
import { createOperations } from './operations.ts';
import { guardRates } from './rate-guard.ts';
import type { Rates } from './rate-limits.ts';
import { RateLimits } from './rate-limits.ts';
import { allowWebSockets, isWebSocketRequest, liveRoutes } from './routes/live.ts';
import { marketWorkRoute } from './routes/market-work.ts';
import { TransactionDesks } from './tx-intake.ts';
import { WorkRelays } from './work-relay.ts';
import { boundSlowness } from './slowness.ts';

const DEFAULT_LIMITS: RpcLimits = {
  connections: 2048,
  clientConnections: 64,
  headersMs: 5000,
  requestMs: 15_000,
  idleMs: 60_000,
  checkEveryMs: 1000,
};
const NO_RATES: Rates = { read: 0, heavy: 0, write: 0 };
const KEEP_ALIVE_MS = 30_000;
/** From the wish to stop until connections are cut. */
const DRAIN_MS = 2000;

export interface RpcOptions {
  readonly listen: HostPort;
  /** Host names answered besides loopback ones and addresses. */
  readonly hosts?: readonly string[];
  /** Addresses and networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
  /** Other origins whose pages may ask, e.g. https://app.example; `*` for all. */
  readonly corsOrigins?: readonly string[];
  readonly limits?: RpcLimits;
  /** For each client that is not of this machine; no limits when absent. */
  readonly rates?: Rates;
}

export interface RpcLimits {
  /** Open ones, over all clients. */
  readonly connections: number;
  /** Of them for one client that is not of this machine. */
  readonly clientConnections: number;
  /** From the first byte to the end of the headers. */
  readonly headersMs: number;
  /** And to the end of the body. */
  readonly requestMs: number;
  /** How often the two spans are looked at. */
  readonly checkEveryMs: number;
  /** A connection on which nothing moves for so long is cut. */
  readonly idleMs: number;
}

export interface RpcModules {
  readonly api: NodeApi;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly metrics?: MetricsRegister;
  /** Without it there are no keys, and nobody has anything paid. */
  readonly access?: Access;
}

export interface RpcServer extends HttpServer {
  /** What each client may ask for from now on. */
  setRates(rates: Rates): void;
}

export interface HttpServer {
  /** With the port that was taken. */
  readonly url: string;
  /** Ends waits, lets requests in work finish, then cuts what is left. */
  close(): Promise<void>;
}

/** @throws NodeError PORT_IN_USE | CONFIG */
export async function startRpcServer(options: RpcOptions, modules: RpcModules): Promise<RpcServer> {
  const { api, log, clock = systemClock } = modules;
  const desks = new TransactionDesks(clock);
  const { metrics = nopRegister, access = accessWithoutKeys(clock, log) } = modules;
  const live = new LiveHub({ node: api, clock, log, metrics: createLiveMetrics(metrics) });
  const app = await createApp(options, log);
  const limits = new RateLimits(options.rates ?? NO_RATES, clock);
  const faultOf = recogniseKeys(app, access);
  guardRates(app, limits, metrics);
  guardAccess(app, access, faultOf, metrics);
  boundSlowness(app, clock);
  const jobDesks = new JobDesks(access, log);
  registerOperations(app, createOperations(api, { desks, jobDesks, access, clock, log }), { limits, clock });
  const pages = { names: new Set(options.hosts), others: new Set(options.corsOrigins) };
  liveRoutes(app, live, { pages, access, jobDesks });
  const relays = new WorkRelays({ clock, metrics });
  marketWorkRoute(app, { node: api, relays, pages, access, clock });
  let url: string;
  try {
    url = await listenOn(app, options.listen, 'rpc.listen');
  } catch (error) {
    desks.close();
    live.close();
    relays.close();
    throw error;
  }
  return {
    url,
    setRates: (rates) => {
      limits.setRates(rates);
    },
    close: async () => {
      desks.close();
      live.close();
      relays.close();
      const cancel = clock.after(DRAIN_MS, () => {
        app.server.closeAllConnections();
      });
      await app.close();
      cancel();
    },
  };
}

async function createApp(options: RpcOptions, log: Logger): Promise<RpcApp> {
  const { hosts = [], trustedProxies = [], corsOrigins = [], limits = DEFAULT_LIMITS } = options;
  const app: RpcApp = Fastify({
    schemaController,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: limits.requestMs,
    connectionTimeout: limits.idleMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    http: {
      headersTimeout: limits.headersMs,
      maxHeaderSize: MAX_HEADER_BYTES,
      connectionsCheckingInterval: limits.checkEveryMs,
      shouldUpgradeCallback: isWebSocketRequest,
    },
    genReqId: requestId,
    routerOptions: { maxParamLength: 128 },
    exposeHeadRoutes: true,
    return503OnClosing: true,
  });
  app.server.maxConnections = limits.connections;
  capConnections(app.server, limits.clientConnections, trustedProxies);
  await allowWebSockets(app);
  recogniseClients(app, log);
  answerRequests(app, new Set(hosts), log);
  if (corsOrigins.length > 0) await allowPages(app, corsOrigins);
  return app;
}

/** Before all that counts what a client does. */
function recogniseClients(app: RpcApp, log: Logger): void {
  app.decorateRequest('client');
  let isTold = false;
  app.addHook('onRequest', (request, _reply, done) => {
    const isRelayed = (request.ips?.length ?? 0) > 1;
    request.client = clientOf({ address: request.ip, headers: request.headers, isRelayed });
    if (request.client === UNNAMED_PROXY && !isTold) {
      isTold = true;
      log.warn('requests come through a proxy that is not named: all behind it share the limits of one client', {
        hint: 'add its address to rpc.trusted_proxies of config.toml',
      });
    }
    done();
  });
}
