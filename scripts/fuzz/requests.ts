/** Requests made of the node's own OpenAPI document: near enough to right that every route is reached, and then wrong. */
import type { Random } from '../../testnet/load/random.ts';
import type { Values } from './values.ts';

export interface HttpRequest {
  readonly kind: 'http';
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | undefined;
}

export type FuzzRequest =
  | HttpRequest
  /** Bytes to the port, whatever they are. */
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** Messages on a WebSocket. */
  | { readonly kind: 'messages'; readonly messages: readonly string[] };

interface Parameter {
  readonly name: string;
  readonly in: string;
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly hasBody: boolean;
}

export interface OpenApi {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly parameters?: readonly Parameter[]; readonly requestBody?: object }>>
    >
  >;
}

const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE'];
const TYPES = ['application/json', 'application/octet-stream', 'text/plain', 'application/json; charset=utf-7', ''];
/** The replaced system's paths are in the document; these are in none. */
const PATHS = [
  '/',
  '/ws',
  '/docs/..',
  '//rpc//head',
  '/rpc/head/',
  '/v1/stream?topics=none',
  '/%',
  '/rpc/blocks/%E0%A4',
];

export class Requests {
  readonly #random: Random;
  readonly #values: Values;
  readonly #routes: readonly Route[];
  readonly #methods: readonly string[];

  constructor(random: Random, values: Values, document: OpenApi, rpcMethods: readonly string[]) {
    this.#random = random;
    this.#values = values;
    this.#methods = rpcMethods;
    this.#routes = Object.entries(document.paths).flatMap(([path, verbs]) =>
      Object.entries(verbs).map(([verb, { parameters = [], requestBody }]) => ({
        method: verb.toUpperCase(),
        path,
        parameters,
        hasBody: requestBody !== undefined,
      })),
    );
  }

  next(): FuzzRequest {
    const kind = this.#random.next();
    if (kind < 0.5) return this.#route();
    if (kind < 0.8) return this.#jsonRpc();
    if (kind < 0.95) return this.#transactions();
    if (kind < 0.98) return { kind: 'messages', messages: this.#messages() };
    return { kind: 'bytes', bytes: this.#bytes() };
  }

  #route(): HttpRequest {
    const { pick } = this.#random;
    const values = this.#values;
    const route = pick(this.#routes);
    const query = new URLSearchParams();
    let { path } = route;
    for (const { name, in: place } of route.parameters) {
      if (place === 'path') path = path.replace(`{${name}}`, encode(values.text()));
      else if (values.chance(0.5)) query.append(name, values.text());
    }
    if (values.chance(0.1)) query.append(values.text(), values.text());
    if (values.chance(0.05)) path = pick(PATHS);
    const wanted = query.size > 0 ? `${path}?${query.toString()}` : path;
    // A stream would stay open; it is asked for by other requests.
    const target = wanted.startsWith('/v1/stream') ? '/v1/stream?topics=' : wanted;
    const body = route.hasBody || values.chance(0.1) ? values.jsonText(values.json()) : undefined;
    return this.#http(values.chance(0.9) ? route.method : pick(METHODS), target, body);
  }

  #jsonRpc(): HttpRequest {
    const { integer } = this.#random;
    const call = (): unknown => this.#call();
    const body = this.#values.chance(0.2) ? Array.from({ length: integer(30) }, call) : call();
    return this.#http('POST', '/rpc', this.#values.jsonText(body));
  }

  #call(): unknown {
    const values = this.#values;
    const method = values.chance(0.9) ? this.#random.pick(this.#methods) : values.text();
    const params = values.chance(0.7)
      ? { height: values.number(), hash: values.text(), address: values.text(), tx: values.transaction() }
      : values.json();
    const call = {
      jsonrpc: '2.0',
      id: values.chance(0.8) ? this.#random.integer(1_000) : values.json(),
      method,
      params,
    };
    return values.chance(0.9) ? call : values.json();
  }

  #transactions(): HttpRequest {
    const { integer, pick } = this.#random;
    const values = this.#values;
    const mode = pick(['sync', 'async', 'sync', 'x']);
    const path = `/rpc/transactions?mode=${mode}`;
    if (values.chance(0.3)) {
      const bytes = Buffer.from(values.transaction(), 'hex');
      return { ...this.#http('POST', path, bytes), headers: { 'content-type': 'application/octet-stream' } };
    }
    const one = { tx: values.transaction() };
    const many = { txs: Array.from({ length: integer(20) }, () => values.transaction()) };
    return this.#http('POST', path, values.jsonText(pick([one, many, values.json()])));
  }

  #messages(): string[] {
    const { integer, pick } = this.#random;
    const values = this.#values;
    return Array.from({ length: 1 + integer(8) }, () => {
      const topic = values.chance(0.7) ? pick(['blocks', 'txs', 'consensus', 'peers', 'new_blocks']) : values.text();
      const params = values.chance(0.7) ? { topic, from_height: values.number() } : values.json();
      const method = pick(['subscribe', 'unsubscribe', 'ping', values.text()]);
      return values.jsonText({ jsonrpc: '2.0', id: integer(100), method, params });
    });
  }

  #bytes(): Buffer {
    const { integer, pick } = this.#random;
    const heads = [
      'GET / HTTP/1.1\r\n',
      'POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n',
      'POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nffffffffff\r\n',
      'GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 99\r\n\r\n',
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
      `GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(3_000)}\r\n`,
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '',
    ];
    const noise = Buffer.from(Array.from({ length: integer(200) }, () => integer(256)));
    return Buffer.concat([Buffer.from(pick(heads), 'latin1'), noise]);
  }

  #http(method: string, path: string, body: string | Buffer | undefined): HttpRequest {
    const type = this.#values.chance(0.9) ? 'application/json' : this.#random.pick(TYPES);
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': type };
    if (this.#values.chance(0.05)) headers['if-none-match'] = '"x", W/"y"';
    if (this.#values.chance(0.02)) headers['origin'] = 'http://evil.example';
    return { kind: 'http', method, path, headers, body };
  }
}

function encode(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return '%ED%A0%80'; // half of a surrogate pair
  }
}
