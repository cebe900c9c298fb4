/** One direction of one connection: bytes are taken from a socket, kept as long as the link's conditions ask, and passed on. */
import type { Socket } from 'node:net';
import type { Random } from '../load/random.ts';
import type { Conditions } from './conditions.ts';

/** Bytes kept for a direction of a connection. At this the sender is no longer read, so that it feels the link. */
export const MAX_QUEUED_BYTES = 1024 * 1024;

/** One direction of a link, as all its connections share it. */
export interface Direction {
  conditions: Conditions;
  held: boolean;
  /** When the line has sent what it was given, by performance.now(). */
  lineFreeAtMs: number;
  /** Bytes handed on. */
  passedBytes: number;
}

interface Piece {
  /** Or the end of what the source sends, or of the source. */
  readonly bytes: Uint8Array | 'end' | 'close' | 'reset';
  readonly dueAtMs: number;
}

export class Pipe {
  readonly #source: Socket;
  readonly #direction: Direction;
  readonly #random: Random;
  readonly #onGone: (reset: boolean) => void;
  #target: Socket | null = null;
  #queue: Piece[] = [];
  #queuedBytes = 0;
  #lastDueAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #closed = false;

  /** @param onGone called when the source is gone and all that it sent before was passed on, or nobody was there to get it */
  constructor(source: Socket, direction: Direction, random: Random, onGone: (reset: boolean) => void) {
    this.#source = source;
    this.#direction = direction;
    this.#random = random;
    this.#onGone = onGone;
    source.on('data', (bytes: Uint8Array) => {
      this.#take(bytes, bytes.length);
    });
    source.on('end', () => {
      this.#take('end', 0);
    });
    source.on('close', (hadError) => {
      this.#take(hadError ? 'reset' : 'close', 0);
    });
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  attach(target: Socket): void {
    this.#target = target;
    target.on('drain', () => {
      this.#draining = false;
      this.pump();
    });
    this.pump();
  }

  /** Passes on what is due; to be called when the direction is no longer held. */
  pump(): void {
    clearTimeout(this.#timer);
    while (!this.#closed) {
      const [piece] = this.#queue;
      // Who came and went while nothing passed was never there for the other side.
      if (!this.#target && typeof this.#queue.at(-1)?.bytes === 'string') this.#end(false);
      if (!piece || !this.#target || this.#direction.held || this.#closed) return;
      if (this.#draining && !this.#target.destroyed) return;
      const waitMs = piece.dueAtMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => {
          this.pump();
        }, waitMs);
        return;
      }
      this.#queue.shift();
      this.#pass(piece.bytes, this.#target);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  #take(bytes: Piece['bytes'], length: number): void {
    if (this.#closed) return;
    this.#queue.push({ bytes, dueAtMs: this.#dueAtMs(length) });
    this.#queuedBytes += length;
    if (this.#queuedBytes >= MAX_QUEUED_BYTES) this.#source.pause();
    this.pump();
  }

  #dueAtMs(length: number): number {
    const { conditions } = this.#direction;
    const now = performance.now();
    const sentAtMs = Math.max(now, this.#direction.lineFreeAtMs) + (length * 1000) / conditions.bytesPerSecond;
    this.#direction.lineFreeAtMs = sentAtMs;
    const jitter = 1 + conditions.jitter * (2 * this.#random.next() - 1);
    const stalls = length > 0 && conditions.stallShare > 0 && this.#random.next() < conditions.stallShare;
    const dueAtMs = sentAtMs + conditions.delayMs * jitter + (stalls ? conditions.stallMs : 0);
    this.#lastDueAtMs = Math.max(this.#lastDueAtMs, dueAtMs);
    return this.#lastDueAtMs;
  }

  #pass(bytes: Piece['bytes'], target: Socket): void {
    if (bytes === 'close' || bytes === 'reset') {
      this.#end(bytes === 'reset');
    } else if (bytes === 'end') {
      if (target.writable) target.end();
    } else {
      this.#queuedBytes -= bytes.length;
      this.#direction.passedBytes += bytes.length;
      if (this.#queuedBytes < MAX_QUEUED_BYTES / 2 && this.#source.isPaused()) this.#source.resume();
      if (target.writable && !target.write(bytes)) this.#draining = true;
    }
  }

  #end(reset: boolean): void {
    this.close();
    this.#onGone(reset);
  }
}
