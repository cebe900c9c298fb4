/** The messages of `/ws`: JSON-RPC 2.0 requests of a client, and the notifications that its subscriptions cause. */
import { checkKeys, jsonInteger, jsonObject, jsonString } from '../../chain/json.ts';
import type { Json, JsonObject } from '../../chain/modules/types.ts';
import { ERRORS, NodeError } from '../../errors.ts';
import { logFailure } from '../failure-log.ts';
import { parseJsonBody } from '../json-body.ts';
import { fromFramework, toProblem } from '../problem.ts';
import type { LiveHub } from './hub.ts';
import { MessageRate } from './message-rate.ts';
import type { Session } from './session.ts';
import type { Delta, Subscription } from './subscription.ts';
import { isByHeight, parseTopic } from './topics.ts';

/** What a client may ask for in `Sec-WebSocket-Protocol`. */
export const SUBPROTOCOL = 'aitbc.v1';

const MAX_ID_CHARACTERS = 64;

type RequestId = string | number | null;

/** Answers the requests of one connection; whatever a client sends, the connection stays. */
export class LiveRequests {
  readonly #hub: LiveHub;
  readonly #session: Session;
  readonly #requestId: string;
  readonly #rate: MessageRate;

  constructor(hub: LiveHub, session: Session, requestId: string) {
    this.#hub = hub;
    this.#session = session;
    this.#requestId = requestId;
    this.#rate = new MessageRate(hub.clock);
  }

  /** @param text null: it was no text */
  receive(text: string | null): void {
    let id: RequestId = null;
    try {
      this.#rate.take();
      const request = readRequest(text);
      id = idOf(request['id']);
      const result = this.#call(request);
      this.#session.send(JSON.stringify({ jsonrpc: '2.0', id, result }));
    } catch (error) {
      if (this.#rate.isFlood) this.#session.end('flood');
      else this.#session.send(JSON.stringify({ jsonrpc: '2.0', id, error: this.#failure(error) }));
    }
  }

  #failure(thrown: unknown): object {
    const error = fromFramework(thrown);
    logFailure(this.#hub.log, toProblem(error, this.#requestId), { request_id: this.#requestId, error });
    return errorView(error, this.#requestId);
  }

  #call(request: JsonObject): object {
    checkRequest(request);
    const params = jsonObject(request['params'] ?? {}, 'params');
    switch (request['method']) {
      case 'subscribe':
        return this.#subscribe(params);
      case 'unsubscribe': {
        checkKeys(params, ['subscription']);
        const id = jsonString(params['subscription'], 'subscription');
        if (this.#session.unsubscribe(id)) return { subscription: id };
        throw new NodeError('NOT_FOUND', 'this connection has no such subscription', {
          data: { subscription: id.slice(0, MAX_ID_CHARACTERS) },
        });
      }
      case 'ping':
        checkKeys(params, []);
        return {};
      default:
        throw new NodeError('METHOD_NOT_FOUND', 'there is no such method', {
          hint: 'methods are subscribe, unsubscribe, ping',
        });
    }
  }

  #subscribe(params: JsonObject): object {
    checkKeys(params, ['topic'], ['chain_id', 'from_height']);
    const topic = parseTopic(jsonString(params['topic'], 'topic'));
    const chainId = params['chain_id'] === undefined ? undefined : jsonString(params['chain_id'], 'chain_id');
    const from = params['from_height'] === undefined ? null : jsonInteger(params['from_height'], 'from_height');
    if (from === 0) throw new NodeError('INVALID_PARAMS', '"from_height" must be 1 or more: the genesis is no block');
    const feed = this.#hub.feed(chainId);
    const place = from === null ? null : { height: from, index: 0 };
    const { subscription, snapshots } = this.#session.subscribe(feed, { topics: [topic], from: place });
    return {
      subscription: subscription.id,
      topic: topic.name,
      chain_id: feed.chainId,
      genesis_hash: feed.genesisHash,
      from_height: isByHeight(topic) ? subscription.next.height : null,
      seq: 0,
      snapshot: snapshots[0],
    };
  }
}

/** The event is JSON already: one text serves all who subscribe. */
export function deltaText({ id, feed, seq }: Subscription, { topic, place, text }: Delta): string {
  const head = JSON.stringify({ subscription: id, topic: topic.name, chain_id: feed.chainId, seq });
  const height = place ? `,"height":${place.height}` : '';
  return `{"jsonrpc":"2.0","method":"subscription","params":${head.slice(0, -1)}${height},"data":${text}}}`;
}

/** Has no number: it is no event. */
export function progressText({ id, next }: Subscription): string {
  return notification('progress', { subscription: id, height: next.height - 1 });
}

export function failureText({ id, topics, feed }: Subscription, error: NodeError, requestId: string): string {
  const params = { subscription: id, topic: topics[0]?.name, chain_id: feed.chainId };
  return notification('ended', { ...params, error: errorView(error, requestId) });
}

function notification(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', method, params });
}

/** An error object of JSON-RPC, whose data is the problem document that HTTP would answer with. */
function errorView(error: NodeError, requestId: string): object {
  const problem = toProblem(error, requestId);
  return { code: ERRORS[error.code].jsonRpc, message: problem.detail, data: problem };
}

/** @throws NodeError PARSE_ERROR | INVALID_REQUEST */
function readRequest(text: string | null): JsonObject {
  if (text === null) throw new NodeError('INVALID_REQUEST', 'messages are text, not bytes');
  const message = parseJsonBody(text) as Json;
  if (typeof message === 'object' && message !== null && !Array.isArray(message)) return message as JsonObject;
  throw new NodeError('INVALID_REQUEST', 'a message is one JSON-RPC request', {
    hint: '{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topic":"blocks"}}',
  });
}

function idOf(id: Json | undefined): RequestId {
  if (typeof id === 'number' && Number.isFinite(id)) return id;
  return typeof id === 'string' && id.length <= MAX_ID_CHARACTERS ? id : null;
}

/** @throws NodeError INVALID_REQUEST */
function checkRequest(request: JsonObject): void {
  const unknown = Object.keys(request).find((key) => !['jsonrpc', 'id', 'method', 'params'].includes(key));
  if (request['jsonrpc'] === '2.0' && idOf(request['id']) !== null && unknown === undefined) return;
  throw new NodeError('INVALID_REQUEST', 'this is no JSON-RPC 2.0 request', {
    hint: `it has "jsonrpc":"2.0", an "id" (a number, or a text of up to ${MAX_ID_CHARACTERS} characters), and a "method"`,
  });
}
