/** Sends requests to one node and counts what comes back. */
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type { FuzzRequest, HttpRequest } from './requests.ts';

/** The node must have answered, or closed, by then. */
const ANSWER_MS = 30_000;
/** Bytes that are no whole request are left for so long. */
const BYTES_MS = 50;
const MESSAGES_MS = 2_000;

export interface Failure {
  readonly what: string;
  readonly request: string;
}

export class Sender {
  readonly #url: URL;
  readonly #agent: Agent;
  readonly statuses: Record<string, number> = {};
  /** Of the first ones, and how many there were. */
  readonly failures: Failure[] = [];
  failed = 0;

  constructor(rpc: string, connections: number) {
    this.#url = new URL(rpc);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Never throws; what must not be is in `failures`. */
  async send(request: FuzzRequest): Promise<void> {
    if (request.kind === 'bytes') await this.#bytes(request.bytes);
    else if (request.kind === 'messages') await this.#messages(request.messages);
    else await this.#http(request);
  }

  async #http(request: HttpRequest): Promise<void> {
    try {
      const status = await this.#answered(request);
      this.#count(String(status));
      // Not ready, or too many: said by a node that is well.
      if (status >= 500 && status !== 503) this.#fail(`answered ${status}`, request);
    } catch (error) {
      this.#count('no answer');
      this.#fail(error instanceof Error ? error.message : String(error), request);
    }
  }

  #answered({ method, path, headers, body }: HttpRequest): Promise<number> {
    const { hostname, port } = this.#url;
    // Without it a body after GET would be read as the next request.
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const sent = httpRequest({
        ...{ hostname, port, method, path, agent: this.#agent, timeout: ANSWER_MS },
        headers: { ...headers, ...length },
      });
      sent.on('response', (response) => {
        response.resume();
        response.on('end', () => {
          resolve(response.statusCode ?? 0);
        });
        response.on('error', reject);
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer in time')));
      sent.on('error', reject);
      sent.end(body);
    });
  }

  #bytes(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(Number(this.#url.port), this.#url.hostname);
      socket.setTimeout(BYTES_MS, () => socket.destroy());
      socket.on('connect', () => socket.write(bytes));
      socket.resume();
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#count('bytes');
        resolve();
      });
    });
  }

  #messages(messages: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`ws://${this.#url.host}/ws`);
      const timer = setTimeout(() => {
        socket.close();
      }, MESSAGES_MS);
      socket.addEventListener('open', () => {
        for (const message of messages) socket.send(message);
        socket.close();
      });
      socket.addEventListener('close', () => {
        clearTimeout(timer);
        this.#count('messages');
        resolve();
      });
    });
  }

  #count(status: string): void {
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
  }

  #fail(what: string, { method, path, headers, body }: HttpRequest): void {
    this.failed += 1;
    if (this.failures.length >= 10) return;
    const content = body?.toString('latin1').slice(0, 500) ?? '';
    this.failures.push({ what, request: `${method} ${path} ${JSON.stringify(headers)} ${content}` });
  }
}
