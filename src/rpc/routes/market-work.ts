/** `/v1/market/work`: a work stream to a miner, as a WebSocket. */
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import Type from 'typebox';
import { parseAddress } from '../../chain/address.ts';
import type { Clock } from '../../clock.ts';
import { every } from '../../clock.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Access } from '../access/access.ts';
import type { NodeApi } from '../api.ts';
import type { RpcApp } from '../app.ts';
import { chainQuery, strict } from '../app.ts';
import { check } from '../check.ts';
import type { PageOrigins } from '../host-guard.ts';
import { requireAllowedOrigin } from '../host-guard.ts';
import type { Described } from '../operation.ts';
import { describe, OF_CHAIN } from '../operation.ts';
import { MAX_RELAYED_BYTES } from '../relay-limits.ts';
import type { RelaySocket, WorkRelays } from '../work-relay.ts';
import { reasonText } from '../work-relay.ts';

export const WORK_PATH = '/v1/market/work';

/** How often the key of a stream is looked at. */
const KEY_CHECK_MS = 30_000;

const WorkQuery = chainQuery({ miner: Type.String({ maxLength: 90, description: 'ait1…' }) });

export const WORK_DESCRIPTION: Described = describe({
  methods: [],
  verb: 'GET',
  path: WORK_PATH,
  summary: 'A WebSocket with the frames of a work stream to a miner',
  params: strict({}),
  query: WorkQuery,
  answers: { 101: { description: 'A WebSocket of binary messages', schema: null } },
  errors: [...OF_CHAIN, 'BAD_ADDRESS', 'INVALID_REQUEST'],
  scope: 'submit',
});

export interface WorkRouteModules {
  readonly node: NodeApi;
  readonly relays: WorkRelays;
  readonly pages: PageOrigins;
  readonly access: Pick<Access, 'isGood'>;
  readonly clock: Clock;
}

export function marketWorkRoute(app: RpcApp, modules: WorkRouteModules): void {
  const { node, relays, pages } = modules;
  app.route({
    method: 'GET',
    url: WORK_PATH,
    exposeHeadRoute: false,
    config: { scope: 'submit' },
    onRequest: async (request) => {
      check(WorkQuery, request.query, 'query');
      requireAllowedOrigin(request.headers, pages);
      const { miner, chain_id } = request.query as Static<typeof WorkQuery>;
      parseAddress(miner);
      node.chain(chain_id);
      relays.checkRoom(request.client);
    },
    handler: () => {
      throw new NodeError('INVALID_REQUEST', 'this path speaks WebSocket', { hint: 'use the SDK, or aitbc submit' });
    },
    wsHandler: (socket, request) => {
      serve(socket, request, modules);
    },
  });
}

type Socket = Parameters<NonNullable<Parameters<RpcApp['route']>[0]['wsHandler']>>[0];

function serve(socket: Socket, request: FastifyRequest, { node, relays, access, clock }: WorkRouteModules): void {
  // Of the protocol, or a message too long: the library closes with the code that says so.
  socket.on('error', () => undefined);
  const { miner, chain_id } = request.query as Static<typeof WorkQuery>;
  const out: RelaySocket = {
    send: (bytes, taken) => {
      socket.send(bytes, { binary: true }, () => {
        taken();
      });
    },
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
    close: (code, reason) => {
      socket.close(code, reason);
    },
    terminate: () => {
      socket.terminate();
    },
  };
  try {
    const { market, closed } = node.chain(chain_id);
    const relay = relays.start(request.client, out, (signal) => market.openWork(parseAddress(miner), signal));
    const onStop = (): void => {
      relay.stop();
    };
    const stopLooking = every(clock, KEY_CHECK_MS, () => {
      if (!access.isGood(request.principal)) relay.expire();
    });
    closed.addEventListener('abort', onStop);
    socket.on('message', (data, isBinary) => {
      const bytes = messageBytes(data);
      if (bytes.length > MAX_RELAYED_BYTES) socket.close(1009);
      else relay.onMessage(isBinary ? bytes : null);
    });
    socket.on('close', () => {
      stopLooking();
      closed.removeEventListener('abort', onStop);
      relay.onClose();
    });
  } catch (error) {
    socket.close(1013, reasonText(toNodeError(error)));
  }
}

function messageBytes(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Uint8Array.from(Buffer.concat(data));
  return new Uint8Array(data);
}
