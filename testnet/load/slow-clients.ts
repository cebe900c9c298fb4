/** Clients that hold connections as long as a server lets them, and come again when they are cut off. */
import type { Socket } from 'node:net';
import { connect } from 'node:net';

/** What is slow: headers or body come byte by byte, answers are not read, or nothing comes at all. */
export const SLOWNESS = ['headers', 'body', 'reader', 'silent'] as const;
export type Slowness = (typeof SLOWNESS)[number];

const DRIP_MS = 400;
/** Between two of them, so that they are no flood but only slow. */
const APART_MS = 10;
/** Before one that was cut comes again. */
const AGAIN_MS = 50;
/** More than what the system buffers, together. */
const UNREAD_REQUESTS = 16;

const OPENINGS: Readonly<Record<Slowness, string>> = {
  headers: 'GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ',
  body: 'POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n',
  reader: 'GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(UNREAD_REQUESTS),
  silent: '',
};

export class SlowClients {
  readonly #url: URL;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #drip: NodeJS.Timeout;
  readonly #dripping = new Set<Socket>();
  /** By the server, of each kind. */
  readonly cut: Record<Slowness, number> = { headers: 0, body: 0, reader: 0, silent: 0 };
  #ended = false;

  /** @param count over all kinds, evenly */
  constructor(url: string, count: number, kinds: readonly Slowness[] = SLOWNESS) {
    this.#url = new URL(url);
    for (let i = 0; i < count; i++) this.#openIn(i * APART_MS, kinds[i % kinds.length] ?? 'headers');
    this.#drip = setInterval(() => {
      for (const socket of this.#dripping) socket.write(' ');
    }, DRIP_MS);
  }

  /** Connections held. */
  get open(): number {
    return this.#sockets.size;
  }

  end(): void {
    this.#ended = true;
    clearInterval(this.#drip);
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(kind: Slowness): void {
    const socket = connect(Number(this.#url.port), this.#url.hostname, () => {
      this.#sockets.add(socket);
      socket.write(OPENINGS[kind]);
      if (kind === 'headers' || kind === 'body') this.#dripping.add(socket);
    });
    if (kind === 'reader') socket.pause();
    else socket.resume();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#dripping.delete(socket);
      const wasOpen = this.#sockets.delete(socket);
      if (this.#ended) return;
      if (wasOpen) this.cut[kind]++;
      this.#openIn(AGAIN_MS, kind);
    });
  }

  #openIn(ms: number, kind: Slowness): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#open(kind);
    }, ms);
    this.#timers.add(timer);
  }
}
