/**
 * Simulated miners in a process of their own: each has its key, signs its offer, quotes and receipts, and seals its output.
 * They do no work, keep nothing, and believe their client: what is measured is the client.
 */
import { createServer } from 'node:net';
import { Writer } from '../../../src/chain/codec.ts';
import type { Signer } from '../../../src/chain/crypto/types.ts';
import { attemptId } from '../../../src/chain/market/job.ts';
import { encodeOffer, signOffer } from '../../../src/chain/market/offer.ts';
import { dueUait } from '../../../src/chain/market/price.ts';
import { decodeQuoteRequest, encodeQuote, quoteRequestHash, signQuote } from '../../../src/chain/market/quote.ts';
import { signReceipt } from '../../../src/chain/market/receipt.ts';
import { nextLink } from '../../../src/chain/market/tick.ts';
import { createNativeSigner, nativeCrypto } from '../../../src/native/crypto.ts';
import type { Seal } from '../../../protocols/market/sealing.ts';
import { createSeal, deriveSealKeys } from '../../../protocols/market/sealing.ts';
import type { ClientFrame, MinerFrame } from '../../../protocols/market/work-frames.ts';
import { decodeClientFrame, encodeMinerFrame } from '../../../protocols/market/work-frames.ts';
import { CHAIN, PRICE, TICK_UAIT } from './terms.ts';
import { KIND, Mux } from './mux.ts';

const OUTPUT = new TextEncoder().encode('done');
const [first = 0, count = 1] = process.argv.slice(2).map(Number);

const signers = Array.from({ length: count }, (_, i) => {
  const seed = new Uint8Array(32);
  new DataView(seed.buffer).setUint32(0, first + i + 1);
  return createNativeSigner(seed);
});
const sealKeys = await deriveSealKeys(new Uint8Array(32).fill(first + 1));

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
  readonly #send: (frame: MinerFrame) => void;
  #seal: Promise<Seal> | null = null;
  #assigned: (ClientFrame & { type: 'assign' }) | null = null;

  constructor(signer: Signer, send: (frame: MinerFrame) => void) {
    this.#signer = signer;
    this.#send = send;
  }

  async take(frame: ClientFrame): Promise<void> {
    if (frame.type === 'hello') {
      this.#seal = createSeal({ chain: CHAIN, recipientKey: frame.sealTo });
      this.#send({ type: 'hello', encapsulation: (await this.#seal).encapsulation });
    } else if (frame.type === 'assign') this.#assigned = frame;
    else if (frame.type === 'input') await this.#work();
    else if (frame.type === 'acknowledge') this.#send({ type: 'done', attempt: frame.attempt });
  }

  async #work(): Promise<void> {
    const assigned = this.#assigned;
    const seal = await this.#seal;
    if (!assigned || !seal) return;
    const { assignment } = assigned.assignment;
    const { spec } = assigned.job;
    const attempt = attemptId(nativeCrypto, assignment.job, assignment.attempt);
    this.#send({ type: 'accept', attempt });
    this.#send({ type: 'start', attempt, startedAtMs: Date.now() });
    const sealed = await seal.seal(OUTPUT, { attempt, direction: 'output', piece: 0 });
    this.#send({ type: 'output', attempt, chunk: 1, sealed });
    const receipt = signReceipt(CHAIN, this.#signer, {
      ...{ job: assignment.job, attempt: assignment.attempt, agreement: assignment.agreement, quote: assignment.quote },
      ...{ client: spec.client, signer: spec.signer, miner: this.#signer.publicKey, kind: 'no.op', model: 'none' },
      ...{ modelDigest: null, inputHash: spec.inputHash, inputBytes: spec.inputBytes, chunks: 1, price: PRICE },
      ...{ outputHash: nativeCrypto.hash(OUTPUT), outputBytes: OUTPUT.length },
      link: nextLink(nativeCrypto, attempt, OUTPUT),
      ...{ dueUait: dueUait(PRICE, spec.inputBytes, OUTPUT.length), finish: 'stop', inputTokens: null },
      ...{ outputTokens: null, startedAtMs: Date.now(), endedAtMs: Date.now(), open: assigned.open },
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
      const send = (frame: MinerFrame): void => {
        mux.send(channel, KIND.frame, encodeMinerFrame(frame));
      };
      streams.set(channel, new Stream(signer, send));
    } else if (kind === KIND.close) streams.delete(channel);
    else {
      const frame = decodeClientFrame(bytes.slice());
      if (frame) void streams.get(channel)?.take(frame);
    }
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
