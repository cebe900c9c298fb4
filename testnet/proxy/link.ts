/** A TCP proxy for connections from one node to another, whose behaviour changes while they are open. */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Random } from '../load/random.ts';
import type { Conditions, LinkMode } from './conditions.ts';
import { CLEAR, holdsBackward, holdsForward } from './conditions.ts';
import type { Direction } from './pipe.ts';
import { Pipe } from './pipe.ts';

/** Connections through one link at a time; further ones are reset. */
export const MAX_LINK_CONNECTIONS = 64;

const LOOPBACK = '127.0.0.1';

/** Where a link listens and where it leads; both on the loopback unless said. */
export interface LinkEnds {
  readonly host?: string;
  readonly targetHost?: string;
  readonly targetPort: number;
}

export class ProxyLink {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #random: Random;
  readonly #forward: Direction = clearDirection();
  readonly #backward: Direction = clearDirection();
  readonly #connections = new Set<ProxiedConnection>();
  #mode: LinkMode = 'open';

  private constructor(server: Server, target: { readonly host: string; readonly port: number }, random: Random) {
    this.#server = server;
    this.#target = target;
    this.#random = random;
    server.on('connection', (socket) => {
      this.#accept(socket);
    });
  }

  /** Listens on a free port. */
  static async open(ends: LinkEnds, random: Random): Promise<ProxyLink> {
    const { host = LOOPBACK, targetHost = LOOPBACK, targetPort } = ends;
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(0, host);
    await once(server, 'listening');
    return new ProxyLink(server, { host: targetHost, port: targetPort }, random);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Bytes passed on so far, both ways. */
  get passedBytes(): number {
    return this.#forward.passedBytes + this.#backward.passedBytes;
  }

  /** Bytes kept by the proxy. */
  get queuedBytes(): number {
    return [...this.#connections].reduce((sum, { queuedBytes }) => sum + queuedBytes, 0);
  }

  /** For both directions, or the second for the way back. Holds for bytes that come from now on. */
  shape(forward: Conditions, backward: Conditions = forward): void {
    this.#forward.conditions = forward;
    this.#backward.conditions = backward;
  }

  setMode(mode: LinkMode): void {
    const ended = this.#mode;
    this.#mode = mode;
    this.#forward.held = holdsForward(mode);
    this.#backward.held = holdsBackward(mode);
    for (const connection of [...this.#connections]) {
      if (mode === 'reset' || ended === 'half-open') connection.reset();
      else connection.wake();
    }
  }

  async close(): Promise<void> {
    for (const connection of [...this.#connections]) connection.reset();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    client.on('error', ignoreError);
    if (this.#mode === 'reset' || this.#connections.size >= MAX_LINK_CONNECTIONS) {
      client.resetAndDestroy();
      return;
    }
    const connection = new ProxiedConnection(client, this.#forward, this.#backward, this.#random, {
      dial: () => connect({ ...this.#target, allowHalfOpen: true, noDelay: true }),
      onGone: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    connection.wake();
  }
}

class ProxiedConnection {
  readonly #client: Socket;
  readonly #forward: Direction;
  readonly #backward: Direction;
  readonly #random: Random;
  readonly #dial: () => Socket;
  readonly #onGone: () => void;
  readonly #up: Pipe;
  #server: Socket | null = null;
  #down: Pipe | null = null;

  constructor(
    client: Socket,
    forward: Direction,
    backward: Direction,
    random: Random,
    link: { readonly dial: () => Socket; readonly onGone: () => void },
  ) {
    this.#client = client;
    this.#forward = forward;
    this.#backward = backward;
    this.#random = random;
    this.#dial = link.dial;
    this.#onGone = link.onGone;
    this.#up = new Pipe(client, forward, random, (reset) => {
      client.destroy();
      if (this.#server) end(this.#server, reset);
      this.#forget();
    });
  }

  get queuedBytes(): number {
    return this.#up.queuedBytes + (this.#down?.queuedBytes ?? 0);
  }

  /** Goes on with what the link now allows. A handshake needs both directions. */
  wake(): void {
    if (!this.#server && !this.#forward.held && !this.#backward.held) this.#connect();
    this.#up.pump();
    this.#down?.pump();
  }

  reset(): void {
    this.#up.close();
    this.#down?.close();
    this.#client.resetAndDestroy();
    this.#server?.resetAndDestroy();
    this.#onGone();
  }

  #connect(): void {
    const server = this.#dial();
    server.on('error', ignoreError);
    this.#server = server;
    this.#down = new Pipe(server, this.#backward, this.#random, (reset) => {
      end(this.#client, reset);
      this.#forget();
    });
    this.#down.attach(this.#client);
    this.#up.attach(server);
  }

  /** The end of one side reaches the other through its direction; gone is a connection whose sides are both closed. */
  #forget(): void {
    if (this.#client.destroyed && (this.#server?.destroyed ?? true)) this.#onGone();
  }
}

function end(socket: Socket, reset: boolean): void {
  if (reset) socket.resetAndDestroy();
  else socket.destroy();
}

function clearDirection(): Direction {
  return { conditions: CLEAR, held: false, lineFreeAtMs: 0, passedBytes: 0 };
}

/** `close` follows every error, and is what counts. */
function ignoreError(): void {
  // Nothing to do.
}
