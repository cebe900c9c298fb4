/** `/ws` and `/v1/stream`: the two transports of live events, over one hub. */
import websocket from '@fastify/websocket';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { Static, TSchema } from 'typebox';
import Type from 'typebox';
import { every } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { Access } from '../access/access.ts';
import type { RpcApp } from '../app.ts';
import { chainQuery, NO_STORE, noQuery, strict } from '../app.ts';
import { check } from '../check.ts';
import type { Client } from '../clients.ts';
import type { PageOrigins } from '../host-guard.ts';
import { requireAllowedOrigin } from '../host-guard.ts';
import {
  COMMENT,
  deltaEvent,
  failureEvent,
  openingText,
  parseTopics,
  placeAfter,
  progressEvent,
} from '../live/event-stream.ts';
import type { LiveHub } from '../live/hub.ts';
import {
  CLOSE_GRACE_MS,
  COMMENT_EVERY_MS,
  MAX_MESSAGE_BYTES,
  MAX_SUBSCRIPTIONS,
  PING_EVERY_MS,
  PONG_WITHIN_MS,
} from '../live/limits.ts';
import type { EndReason, Wire } from '../live/subscription.ts';
import type { JobDesks } from '../jobs/desk.ts';
import type { Described } from '../operation.ts';
import { describe, OF_CHAIN, OF_STORE } from '../operation.ts';
import { MAX_RELAYED_BYTES } from '../relay-limits.ts';
import { WORK_PATH } from './market-work.ts';
import { deltaText, failureText, LiveRequests, progressText, SUBPROTOCOL } from '../live/ws-protocol.ts';

const StreamQuery = chainQuery({
  topics: Type.String({
    minLength: 1,
    maxLength: 2048,
    description: 'blocks, txs, consensus, peers, jobs, account:ADDRESS; several divided by commas',
  }),
  from_height: Type.Optional(
    Type.String({ pattern: '^[1-9][0-9]{0,14}$', description: 'first height told; the next one when absent' }),
  ),
});

export const LIVE_DESCRIPTIONS: readonly Described[] = [
  describe({
    methods: [],
    verb: 'GET',
    path: '/ws',
    summary: 'A WebSocket that tells what happens: subscribe, unsubscribe and ping by JSON-RPC 2.0',
    params: strict({}),
    query: noQuery,
    answers: { 101: { description: 'A WebSocket; its subprotocol is aitbc.v1', schema: null } },
    errors: ['INVALID_REQUEST'],
  }),
  describe({
    methods: [],
    verb: 'GET',
    path: '/v1/stream',
    summary: 'The same as server-sent events; Last-Event-ID goes on after one',
    params: strict({}),
    query: StreamQuery,
    answers: { 200: { description: 'Events', schema: Type.String(), type: 'text/event-stream' } },
    errors: [...OF_CHAIN, ...OF_STORE, 'BAD_ADDRESS', 'METHOD_DISABLED', 'PRUNED'],
    isLong: true,
  }),
];

/** How a WebSocket is closed, by reason; 1013: try again later. */
const CLOSES: Readonly<Record<EndReason, readonly [code: number, text: string]>> = {
  slow: [1013, 'slow consumer: too many messages wait to be read'],
  stalled: [1013, 'slow consumer: nothing was read for too long'],
  memory: [1013, 'slow consumer: the node needs the memory'],
  no_pong: [1001, 'no pong'],
  key: [1008, 'the API key is no longer valid'],
  flood: [1008, 'messages come too fast'],
  failed: [1011, 'unexpected failure'],
  stopping: [1001, 'the node stops'],
};

/**
 * Must come before all hooks: it marks what asks for an upgrade, so that the socket is cut when a hook refuses it. The
 * hooks themselves run before the upgrade: the guard of Host holds for it as for any request.
 */
export async function allowWebSockets(app: RpcApp): Promise<void> {
  await app.register(websocket, {
    options: {
      // Of the path that takes the largest ones; here they are looked at once more.
      maxPayload: MAX_RELAYED_BYTES,
      perMessageDeflate: false,
      handleProtocols: (offered: ReadonlySet<string>) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    },
  });
}

/** What else asks for an upgrade, HTTP/2 say, is a request like any other: its socket stays with the server's limits. */
export function isWebSocketRequest({ method, url, headers }: IncomingMessage): boolean {
  const path = (url ?? '').split('?', 1)[0];
  return method === 'GET' && (path === '/ws' || path === WORK_PATH) && headers.upgrade?.toLowerCase() === 'websocket';
}

export interface LiveAccess {
  readonly pages: PageOrigins;
  readonly jobDesks: JobDesks;
  readonly access: Pick<Access, 'isGood'>;
}

export function liveRoutes(app: RpcApp, hub: LiveHub, { pages, access, jobDesks }: LiveAccess): void {
  const config = { scope: 'read' } as const;
  const onRequest =
    (query: TSchema) =>
    async (request: FastifyRequest): Promise<void> => {
      check(query, request.query, 'query');
      requireAllowedOrigin(request.headers, pages);
      hub.checkRoom(request.client);
    };

  app.route({
    method: 'GET',
    url: '/ws',
    exposeHeadRoute: false,
    config,
    onRequest: onRequest(noQuery),
    handler: () => {
      throw new NodeError('INVALID_REQUEST', 'this path speaks WebSocket', { hint: 'use wscat, or GET /v1/stream' });
    },
    wsHandler: (socket, request) => {
      serveSocket(hub, socket, openingOf(request, { access, jobDesks }));
    },
  });

  app.get('/v1/stream', { exposeHeadRoute: false, config, onRequest: onRequest(StreamQuery) }, (request, reply) => {
    const { topics, chain_id, from_height } = request.query as Static<typeof StreamQuery>;
    serveStream(hub, reply, {
      ...openingOf(request, { access, jobDesks }),
      lastId: request.headers['last-event-id'],
      topics,
      chainId: chain_id,
      fromHeight: from_height === undefined ? null : Number(from_height),
    });
  });
}

type Socket = Parameters<NonNullable<Parameters<RpcApp['route']>[0]['wsHandler']>>[0];

interface Opening {
  readonly id: string;
  readonly client: Client;
  /** Whether the key it was opened with still is one. */
  readonly isGood: () => boolean;
  readonly jobs: Wire['jobs'];
}

function openingOf(request: FastifyRequest, { access, jobDesks }: Pick<LiveAccess, 'access' | 'jobDesks'>): Opening {
  const { id, client, principal } = request;
  return {
    ...{ id, client },
    isGood: () => access.isGood(principal),
    jobs: (api) => jobDesks.of(api).open(request),
  };
}

function serveSocket(hub: LiveHub, socket: Socket, { id: requestId, client, isGood, jobs }: Opening): void {
  const { clock } = hub;
  let cancelCut: (() => void) | null = null;
  const wire: Wire = {
    transport: 'ws',
    client,
    jobs,
    endsOnFailure: false,
    delta: deltaText,
    progress: progressText,
    failure: (subscription, error) => failureText(subscription, error, requestId),
    send: (text, taken) => {
      socket.send(text, () => {
        taken();
      });
    },
    end: (reason) => {
      socket.close(...CLOSES[reason]);
      if (reason === 'memory') {
        socket.terminate();
        return;
      }
      // Who does not read sees no close frame either.
      cancelCut = clock.after(CLOSE_GRACE_MS, () => {
        socket.terminate();
      });
    },
  };
  const session = hub.open(wire);
  const requests = new LiveRequests(hub, session, requestId);
  let cancelPong: (() => void) | null = null;
  const stopBeat = every(clock, PING_EVERY_MS, () => {
    session.beat();
    if (!session.ended && !isGood()) session.end('key');
    if (session.ended) return;
    socket.ping();
    cancelPong ??= clock.after(PONG_WITHIN_MS, () => {
      session.end('no_pong');
    });
  });
  socket.on('pong', () => {
    cancelPong?.();
    cancelPong = null;
  });
  socket.on('message', (data, isBinary) => {
    if (session.ended) return;
    const text = messageText(data);
    if (Buffer.byteLength(text) > MAX_MESSAGE_BYTES) socket.close(1009, 'message too long');
    else requests.receive(isBinary ? null : text);
  });
  // Of the protocol, or a message too long: the library closes with the code that says so.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    stopBeat();
    cancelPong?.();
    cancelCut?.();
    session.end(null);
  });
}

function messageText(data: Buffer | ArrayBuffer | Buffer[]): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return Buffer.from(data as Buffer).toString('utf8');
}

interface StreamRequest extends Opening {
  readonly lastId: string | string[] | undefined;
  readonly topics: string;
  readonly chainId: string | undefined;
  readonly fromHeight: number | null;
}

function serveStream(hub: LiveHub, reply: FastifyReply, asked: StreamRequest): void {
  const { clock } = hub;
  const { raw } = reply;
  const topics = parseTopics(asked.topics, MAX_SUBSCRIPTIONS);
  const feed = hub.feed(asked.chainId);
  const { lastId } = asked;
  const resumed = typeof lastId === 'string' && lastId !== '' ? placeAfter(lastId, feed.chainId) : null;
  const from = resumed ?? (asked.fromHeight === null ? null : { height: asked.fromHeight, index: 0 });
  let cancelCut: (() => void) | null = null;
  const wire: Wire = {
    transport: 'sse',
    client: asked.client,
    jobs: asked.jobs,
    endsOnFailure: true,
    delta: deltaEvent,
    progress: progressEvent,
    failure: (_subscription, error) => failureEvent(error, asked.id),
    send: (text, taken) => {
      raw.write(text, () => {
        taken();
      });
    },
    end: (reason) => {
      if (reason === 'memory') {
        raw.destroy();
        return;
      }
      raw.end();
      cancelCut = clock.after(CLOSE_GRACE_MS, () => {
        raw.destroy();
      });
    },
  };
  const session = hub.open(wire);
  let opening;
  try {
    opening = session.subscribe(feed, { topics, from });
  } catch (error) {
    session.end(null);
    throw error;
  }
  reply.hijack();
  // Those that every answer has, and for nginx that what is written is sent.
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': NO_STORE,
    'x-accel-buffering': 'no',
  });
  session.send(openingText(opening.subscription, opening.snapshots));
  const stopBeat = every(clock, COMMENT_EVERY_MS, () => {
    session.beat();
    if (!asked.isGood()) session.end('key');
    session.send(COMMENT);
  });
  raw.on('error', () => undefined);
  raw.on('close', () => {
    stopBeat();
    cancelCut?.();
    session.end(null);
  });
}
