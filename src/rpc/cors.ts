/** Pages of other origins that may read what this server answers: those that are listed, and none by default. */
import cors from '@fastify/cors';
import type { RpcApp } from './app.ts';

/** Until a browser asks again before it sends. */
const PREFLIGHT_AGE_S = 600;
const REQUEST_HEADERS = [
  'authorization',
  'content-type',
  'if-none-match',
  'last-event-id',
  'x-api-key',
  'x-request-id',
];
const ANSWER_HEADERS = [
  ...['deprecation', 'etag', 'link', 'location', 'retry-after', 'sunset', 'x-request-id'],
  ...['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'],
];

/**
 * Credentials are never allowed: there are no cookies, and a page that has a key sends it by itself.
 *
 * @param origins as browsers write them, or `*` for all
 */
export async function allowPages(app: RpcApp, origins: readonly string[]): Promise<void> {
  const listed = new Set(origins);
  await app.register(cors, {
    origin: listed.has('*')
      ? '*'
      : (origin, done) => {
          done(null, origin !== undefined && listed.has(origin));
        },
    methods: ['GET', 'HEAD', 'POST'],
    allowedHeaders: REQUEST_HEADERS,
    exposedHeaders: ANSWER_HEADERS,
    maxAge: PREFLIGHT_AGE_S,
    credentials: false,
  });
}
