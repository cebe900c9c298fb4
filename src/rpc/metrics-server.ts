/** /metrics for Prometheus, on a port of its own: who may scrape need not be who may submit. */
import Fastify from 'fastify';
import type { HostPort } from '../config/options.ts';
import type { RpcApp } from './app.ts';
import { schemaController } from './app.ts';
import { isAllowedHost } from './host-guard.ts';
import { listenOn } from './listen.ts';
import { PROBLEM_TYPE, toProblem } from './problem.ts';
import type { HttpServer } from './server.ts';

export interface MetricsSource {
  readonly contentType: string;
  text(): Promise<string>;
}

/** @throws NodeError PORT_IN_USE | CONFIG */
export async function startMetricsServer(
  listen: HostPort,
  source: MetricsSource,
  hosts: readonly string[] = [],
): Promise<HttpServer> {
  const names = new Set(hosts);
  const app: RpcApp = Fastify({
    schemaController,
    bodyLimit: 1024,
    requestTimeout: 5000,
    forceCloseConnections: true,
  });
  app.server.maxConnections = 64;
  app.addHook('onRequest', (request, reply, done) => {
    if (isAllowedHost(request.headers.host, names)) done();
    else void reply.code(403).send();
  });
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request.id);
    void reply.code(problem.status).type(PROBLEM_TYPE).send(problem);
  });
  app.get('/metrics', async (_request, reply) => {
    return reply
      .header('cache-control', 'no-store')
      .type(source.contentType)
      .send(await source.text());
  });
  const url = await listenOn(app, listen, 'metrics.listen');
  return {
    url,
    close: () => app.close(),
  };
}
