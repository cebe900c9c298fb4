/**
 * Simulated miners in a process of their own: each has its key, signs its offer, quotes and receipts, and seals its output.
 * They do no work, or give out one piece after the other; they keep nothing, and believe their client: what is measured is the client.
 */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Writer } from '../../../src/chain/codec.ts';
import type { Signer } from '../../../src/chain/crypto/types.ts';
import { attemptId } from '../../../src/chain/market/job.ts';
import { encodeOffer, signOffer } from '../../../src/chain/market/offer.ts';
import { dueUait } from '../../../src/chain/market/price.ts';
import { decodeQuoteRequest, encodeQuote, quoteRequestHash, signQuote } from '../../../src/chain/market/quote.ts';
import { signReceipt } from '../../../src/chain/market/receipt.ts';
import { nextLink } from '../../../src/chain/market/tick.ts';
import { createNativeSigner, nativeCrypto } from '../../../src/native/crypto.ts';
import { nativeSealing } from '../../../src/native/sealing.ts';
import type { WorkChannel } from '../../../protocols/market/work-channel.ts';
import { acceptWorkChannel } from '../../../protocols/market/work-channel.ts';
import type { ClientFrame, MinerFrame } from '../../../protocols/market/work-frames.ts';
import { decodeClientFrame, encodeMinerFrame } from '../../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import { CHAIN, NO_OP_BYTES, PIECE_BYTES, PIECE_MS, PRICE, TICK_UAIT } from './terms.ts';
import { KIND, Mux } from './mux.ts';

const PIECE = new Uint8Array(PIECE_BYTES).fill(46);
const OUTPUT = new TextEncoder().encode('done');
const [first = 0, count = 1] = process.argv.slice(2).map(Number);

const signers = Array.from({ length: count }, (_, i) => {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, first + i + 1);
  return createNativeSigner(seed);
});
const sealKeys = await nativeSealing.deriveSealKeys(new Uint8Array(32).fill(first + 1));

function offers(): Uint8Array {
  const writer = new Writer(4_096).u32(signers.length);
  for (const signer of signers) {
    const offer = signOffer(CHAIN, signer, {
      ...{ name: 'simulated', peer: 'p', addresses: [], sequence: 1, ttlMs: 600_000, slots: 1, free: 1 },
      ...{ region: '', gpus: [] },
      models: [
        {
          ...{ kind: 'no.op', model: 'none', digest: null, contextTokens: 0, streams: true, deterministic: true },
          ...{ warm: true, price: PRICE, bytesPerSecond: 1_000, tags: [] },
        },
      ],
    });
    writer.bytes16(encodeOffer(offer));
  }
  return writer.finish();
}

/** @param bytes which miner, u16, and the request */
function quote(bytes: Uint8Array): Uint8Array {
  const signer = signers[(bytes[0] ?? 0) * 256 + (bytes[1] ?? 0)];
  if (!signer) return new Uint8Array();
  const { request } = decodeQuoteRequest(bytes.subarray(2));
  return encodeQuote(
    signQuote(CHAIN, signer, {
      ...{ request: quoteRequestHash(nativeCrypto, CHAIN, request), kind: 'no.op', model: 'none', modelDigest: null },
      ...{ price: PRICE, tickUait: TICK_UAIT, sealKey: sealKeys.publicKey, validUntilMs: Date.now() + 30_000 },
      ...{ validUntilHeight: 1_000_000_000, firstMs: 1 },
    }),
  );
}

class Stream {
  readonly #signer: Signer;
  readonly #channel: WorkChannel;
  readonly #records: Uint8Array[] = [];
  #wake: (() => void) | null = null;
  #assigned: (ClientFrame & { type: 'assign' }) | null = null;
  #creditUait = 0;

  constructor(signer: Signer, send: (record: Uint8Array) => void) {
    this.#signer = signer;
    const stream: WorkStream = {
      send: (record) => {
        send(record);
        return Promise.resolve();
      },
      read: async () => {
        while (this.#records.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
        return this.#records.shift() ?? null;
      },
      close: () => undefined,
    };
    this.#channel = acceptWorkChannel({ chain: CHAIN, sealing: nativeSealing, stream, signer, keysOf: () => sealKeys });
    void this.#serve();
  }

  take(record: Uint8Array): void {
    this.#records.push(record);
    this.#wake?.();
  }

  async #serve(): Promise<void> {
    for (let bytes = await this.#channel.read(); bytes; bytes = await this.#channel.read()) {
      const frame = decodeClientFrame(bytes);
      if (frame) this.#on(frame);
    }
  }

  #send(frame: MinerFrame): void {
    void this.#channel.send(encodeMinerFrame(frame));
  }

  #on(frame: ClientFrame): void {
    if (frame.type === 'assign') {
      this.#assigned = frame;
      this.#creditUait = frame.voucher.creditUait;
    } else if (frame.type === 'credit') this.#creditUait = frame.voucher.creditUait;
    else if (frame.type === 'input') void this.#work();
    else if (frame.type === 'acknowledge') this.#send({ type: 'done', attempt: frame.attempt });
  }

  async #work(): Promise<void> {
    const assigned = this.#assigned;
    if (!assigned) return;
    const { assignment } = assigned.assignment;
    const { spec } = assigned.job;
    const attempt = attemptId(nativeCrypto, assignment.job, assignment.attempt);
    this.#send({ type: 'accept', attempt });
    this.#send({ type: 'start', attempt, startedAtMs: Date.now() });
    const pieces = spec.maxOutputBytes === NO_OP_BYTES ? 1 : Math.floor(spec.maxOutputBytes / PIECE_BYTES);
    const piece = spec.maxOutputBytes === NO_OP_BYTES ? OUTPUT : PIECE;
    let link = attempt;
    for (let chunk = 1; chunk <= pieces; chunk++) {
      const dueThen = dueUait(PRICE, spec.inputBytes, chunk * piece.length) + assignment.baseUait;
      if (chunk > 1) await sleep(PIECE_MS);
      while (dueThen > this.#creditUait) await sleep(PIECE_MS);
      this.#send({ type: 'output', attempt, chunk, piece });
      link = nextLink(nativeCrypto, link, piece);
    }
    const outputBytes = pieces * piece.length;
    const outputHash = nativeCrypto.hash(piece === PIECE ? new Uint8Array(outputBytes).fill(46) : OUTPUT);
    const receipt = signReceipt(CHAIN, this.#signer, {
      ...{ job: assignment.job, attempt: assignment.attempt, agreement: assignment.agreement, quote: assignment.quote },
      ...{ client: spec.client, signer: spec.signer, miner: this.#signer.publicKey, kind: 'no.op', model: 'none' },
      ...{ modelDigest: null, inputHash: spec.inputHash, inputBytes: spec.inputBytes, chunks: pieces, price: PRICE },
      ...{ outputHash, outputBytes, link, dueUait: dueUait(PRICE, spec.inputBytes, outputBytes), finish: 'stop' },
      ...{ inputTokens: null, outputTokens: null, startedAtMs: Date.now(), endedAtMs: Date.now(), open: assigned.open },
    });
    this.#send({ type: 'end', receipt });
  }
}

const server = createServer((socket) => {
  const streams = new Map<number, Stream>();
  const mux = new Mux(socket, (channel, kind, bytes) => {
    if (kind === KIND.quote) mux.send(channel, KIND.quote, quote(bytes));
    else if (kind === KIND.open) {
      const signer = signers[(bytes[0] ?? 0) * 256 + (bytes[1] ?? 0)];
      if (!signer) return;
      const send = (record: Uint8Array): void => {
        mux.send(channel, KIND.frame, record);
      };
      streams.set(channel, new Stream(signer, send));
    } else if (kind === KIND.close) streams.delete(channel);
    else streams.get(channel)?.take(bytes.slice());
  });
  mux.send(0, KIND.offers, offers());
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  process.send?.(typeof address === 'object' ? address?.port : null);
});
process.once('disconnect', () => {
  process.exit();
});
