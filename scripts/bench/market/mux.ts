/** Many streams and requests of simulated miners over one TCP connection: u32 length, u32 channel, u8 kind, bytes. */
import type { Socket } from 'node:net';

export const KIND = { offers: 1, quote: 2, open: 3, frame: 4, close: 5 } as const;

const HEAD_BYTES = 9;

export class Mux {
  readonly #socket: Socket;
  readonly #onMessage: (channel: number, kind: number, bytes: Uint8Array) => void;
  #out: Buffer[] = [];
  #in: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, onMessage: (channel: number, kind: number, bytes: Uint8Array) => void) {
    this.#socket = socket.setNoDelay(true);
    this.#onMessage = onMessage;
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
    socket.on('error', () => undefined);
  }

  /** What is sent in one turn goes out together. */
  send(channel: number, kind: number, bytes: Uint8Array): void {
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt32BE(bytes.length, 0);
    head.writeUInt32BE(channel, 4);
    head.writeUInt8(kind, 8);
    if (this.#out.length === 0) {
      setImmediate(() => {
        this.#socket.write(Buffer.concat(this.#out));
        this.#out = [];
      });
    }
    this.#out.push(head, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  #take(chunk: Buffer): void {
    const all = this.#in.length === 0 ? chunk : Buffer.concat([this.#in, chunk]);
    let at = 0;
    while (all.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + all.readUInt32BE(at);
      if (all.length < end) break;
      const bytes = new Uint8Array(all.buffer, all.byteOffset + at + HEAD_BYTES, end - at - HEAD_BYTES);
      this.#onMessage(all.readUInt32BE(at + 4), all.readUInt8(at + 8), bytes);
      at = end;
    }
    this.#in = all.subarray(at);
  }
}
