/** Raw requests to a server under test. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Parsed, whatever it is. */
  readonly json: ReturnType<typeof JSON.parse>;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Unlike fetch it sends any Host. @param url also `unix:` and the path of a socket */
export function ask(url: string, path: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const receive = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const type = response.headers['content-type'] ?? '';
        const json = /json/.test(type) && !/ndjson/.test(type) && text !== '' ? JSON.parse(text) : undefined;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    };
    // Of these Node does not tell it by itself.
    const isUntold = body !== undefined && method === 'DELETE';
    const length = isUntold ? { 'content-length': String(Buffer.byteLength(body)) } : {};
    const options = { method, headers: { ...length, ...headers }, agent: false } as const;
    const sent = url.startsWith('unix:')
      ? request({ ...options, socketPath: url.slice('unix:'.length), path }, receive)
      : request(url + path, options, receive);
    sent.on('error', reject);
    sent.end(body);
  });
}

/** The status, and the first of what comes: of an answer that does not end. */
export function askBegin(url: string, path: string, options: Ask = {}): Promise<Answer> {
  const { method = 'GET', headers = {} } = options;
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      let text = '';
      const end = (): void => {
        response.destroy();
        const isJson = (response.headers['content-type'] ?? '').includes('json');
        resolve({ status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined });
      };
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (status === 200) end();
      });
      response.on('end', end).on('error', reject);
    });
    sent.on('error', reject).end();
  });
}

/** Asks for a WebSocket, and leaves once it is there. */
export function askUpgrade(url: string, path: string): Promise<Answer> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16, 1).toString('base64'),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { headers, agent: false }, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text: '', json: undefined });
    });
    sent.on('upgrade', ({ statusCode = 0, headers: got }, socket) => {
      socket.destroy();
      resolve({ status: statusCode, headers: got, text: '', json: undefined });
    });
    sent.on('error', reject).end();
  });
}

export function post(
  url: string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return ask(url, path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** Bytes as they are; everything the server answers until it closes. */
export function rawAsk(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (text.includes('\r\n\r\n')) socket.end();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  return socket;
}
