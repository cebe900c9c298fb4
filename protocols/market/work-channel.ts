/**
 * A work stream that is nobody's but its two ends': each begins with a hello in the clear, then every frame travels in
 * records that are sealed by the one and opened by the other. Whoever carries them can drop and delay, and nothing else;
 * README.md is normative.
 */
import { concatBytes } from '../../src/bytes.ts';
import type { PublicKey } from '../../src/bytes.ts';
import { Reader, Writer } from '../../src/chain/codec.ts';
import type { Signer, Verifier } from '../../src/chain/crypto/types.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { NodeError } from '../../src/errors.ts';
import type { Opener, Seal, Sealing, SealKeyPair } from './sealing.ts';
import { decodeStreamRefusal, encodeStreamRefusal } from './stream-refusal.ts';
import { MAX_WORK_FRAME_BYTES } from './work-frames.ts';
import type { WorkStream } from './work-stream.ts';

const RECORD = { hello: 1, sealed: 2, ping: 3, refusal: 4 } as const;
const VERSION = 2;
/** What sealing adds. */
const SEAL_BYTES = 16;
const LENGTH_BYTES = 4;
const NONE = new Uint8Array();
/** Of what one record seals: as many whole frames, each with its length, as there is room for. */
const MAX_SEALED_BYTES = LENGTH_BYTES + MAX_WORK_FRAME_BYTES;
/** Of a record, without its length. */
export const MAX_WORK_RECORD_BYTES = 1 + MAX_SEALED_BYTES + SEAL_BYTES;
/** Says that its sender is there, and nothing else; whoever carries the stream sends and takes it too. */
export const PING_RECORD: Uint8Array = Uint8Array.of(RECORD.ping);

/** Frames, encoded. */
export interface WorkChannel {
  /** X25519, proven once a frame of it was read; null before its hello. */
  readonly otherKey: Uint8Array | null;
  /** What `read` throws when the miner itself, and nobody else, says why it does not take the stream; before any frame left. */
  readonly refusal: NodeError | null;
  /** Resolves when more may be sent; calls are sent in their order, what waits together. @throws NodeError UNREACHABLE | TOO_LARGE */
  send(frame: Uint8Array): Promise<void>;
  /**
   * The next frame; null when the other side ended the stream, or this one. One call at a time.
   *
   * @throws NodeError BAD_PROOF when what came is not what the other side sealed here, next: who carries the stream may have
   *   made it; CODEC when the other side sealed what holds no frames; EXPIRED when the miner has the chosen key no more, by
   *   its own word, before any frame left; what the stream throws
   */
  read(): Promise<Uint8Array | null>;
  /** What was given to send goes out first. Safe to call again. */
  close(): void;
}

export interface ChannelOptions {
  readonly chain: ChainContext;
  readonly sealing: Sealing;
  readonly stream: WorkStream;
  /** Any record came. */
  readonly onHeard?: () => void;
}

export interface OpenOptions extends ChannelOptions {
  readonly keys: SealKeyPair;
  /** Of its quote. */
  readonly minerKey: Uint8Array;
  /** Its account. */
  readonly miner: PublicKey;
  readonly verifier: Verifier;
}

/** @throws NodeError BAD_PROOF when the miner's key is none */
export async function openWorkChannel(options: OpenOptions): Promise<WorkChannel> {
  const { chain, sealing, keys, minerKey } = options;
  const seal = await sealing.createSeal({ chain, keys, recipientKey: minerKey });
  const hello = writeHello(seal).fixed(keys.publicKey, 32).fixed(minerKey, 32).finish();
  const channel = new Channel(options, async (record) => {
    if (record[0] === RECORD.refusal) return { refusal: readRefusal(options, record, hello) };
    const [encapsulation = NONE] = readHello(record, 0);
    const opener = await sealing.createOpener({ chain, keys, senderKey: minerKey, encapsulation });
    return { seal, opener, otherKey: minerKey, bound: concatBytes([hello, record]), reply: null };
  });
  channel.greet(hello);
  return channel;
}

export interface AcceptOptions extends ChannelOptions {
  /** The miner's own, by their public key. */
  readonly keysOf: (publicKey: Uint8Array) => SealKeyPair | undefined;
  /** Of the miner's account. */
  readonly signer: Pick<Signer, 'sign'>;
}

export function acceptWorkChannel(options: AcceptOptions): WorkChannel {
  const { chain, sealing, stream, keysOf, signer } = options;
  return new Channel(options, async (record) => {
    const [encapsulation = NONE, otherKey = NONE, minerKey = NONE] = readHello(record, 2);
    const keys = keysOf(minerKey);
    if (!keys) {
      const refusal = encodeStreamRefusal(chain, signer, record, 'EXPIRED');
      await stream.send(concatBytes([Uint8Array.of(RECORD.refusal), refusal]));
      return { refusal: refused('EXPIRED') };
    }
    const opener = await sealing.createOpener({ chain, keys, senderKey: otherKey, encapsulation });
    const seal = await sealing.createSeal({ chain, keys, recipientKey: otherKey });
    const reply = writeHello(seal).finish();
    return { seal, opener, otherKey, bound: concatBytes([record, reply]), reply };
  });
}

/** @throws NodeError BAD_PROOF when the miner did not sign it, for this hello */
function readRefusal({ chain, miner, verifier }: OpenOptions, record: Uint8Array, hello: Uint8Array): NodeError {
  try {
    const { code, check } = decodeStreamRefusal(chain, record.subarray(1), hello, miner);
    if (verifier.verify(check.message, check.signature, check.publicKey)) return refused(code);
  } catch {
    // Whoever carries the stream made it.
  }
  throw new NodeError('BAD_PROOF', 'a refusal that the miner did not sign for this stream');
}

/** Both contexts, and the two hellos to which everything is bound: neither side takes what was recorded on another stream. */
interface Agreed {
  readonly seal: Seal;
  readonly opener: Opener;
  readonly otherKey: Uint8Array;
  readonly bound: Uint8Array;
  readonly reply: Uint8Array | null;
}

type Agree = (hello: Uint8Array) => Promise<Agreed | { readonly refusal: NodeError }>;

interface Waiting {
  readonly frame: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class Channel implements WorkChannel {
  readonly #stream: WorkStream;
  readonly #onHeard: () => void;
  readonly #agree: Agree;
  #agreed: Agreed | null = null;
  refusal: NodeError | null = null;
  /** Opened and not read yet. */
  #frames: Uint8Array[] = [];
  #waiting: Waiting[] = [];
  #isSending = false;
  #isClosed = false;

  constructor({ stream, onHeard = () => undefined }: ChannelOptions, agree: Agree) {
    this.#stream = stream;
    this.#onHeard = onHeard;
    this.#agree = agree;
  }

  get otherKey(): Uint8Array | null {
    return this.#agreed?.otherKey ?? null;
  }

  greet(hello: Uint8Array): void {
    // A stream that broke says so to who reads it.
    this.#stream.send(hello).catch(() => undefined);
  }

  send(frame: Uint8Array): Promise<void> {
    if (frame.length > MAX_WORK_FRAME_BYTES) {
      return Promise.reject(new NodeError('TOO_LARGE', 'a frame exceeds the cap', { data: { bytes: frame.length } }));
    }
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frame, resolve, reject });
      void this.#sendAll();
    });
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.#isClosed) return null;
      const frame = this.#frames.shift();
      if (frame) return frame;
      const record = await this.#stream.read();
      if (!record) {
        this.#end();
        return null;
      }
      this.#onHeard();
      await this.#take(record);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#isSending) this.#end();
  }

  async #take(record: Uint8Array): Promise<void> {
    switch (record[0]) {
      case RECORD.ping:
        return;
      case RECORD.hello:
      case RECORD.refusal:
        await this.#hello(record);
        return;
      case RECORD.sealed:
        await this.#open(record.subarray(1));
        return;
      default:
        throw new NodeError('BAD_PROOF', 'not a record of a work stream');
    }
  }

  async #hello(record: Uint8Array): Promise<void> {
    if (this.#agreed) throw new NodeError('BAD_PROOF', 'a second hello on one work stream');
    const agreed = await this.#agree(record);
    if ('refusal' in agreed) {
      this.refusal = agreed.refusal;
      throw agreed.refusal;
    }
    if (agreed.reply) await this.#stream.send(agreed.reply);
    this.#agreed = agreed;
    void this.#sendAll();
  }

  async #open(sealed: Uint8Array): Promise<void> {
    if (!this.#agreed) throw new NodeError('BAD_PROOF', 'a work stream begins with a hello');
    const { opener, bound } = this.#agreed;
    const reader = new Reader(await opener.open(sealed, bound), 'sealed record');
    do this.#frames.push(reader.bytes32(MAX_WORK_FRAME_BYTES));
    while (reader.remaining > 0);
  }

  /** One record after the other, each with all that waits and has room. */
  async #sendAll(): Promise<void> {
    const agreed = this.#agreed;
    if (this.#isSending || !agreed) return;
    this.#isSending = true;
    // Whoever sends several frames in one go has them in one record.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const now = this.#nextRecord();
      try {
        const frames = new Writer(now.reduce((sum, { frame }) => sum + LENGTH_BYTES + frame.length, 0));
        for (const { frame } of now) frames.bytes32(frame);
        const sealed = await agreed.seal.seal(frames.finish(), agreed.bound);
        await this.#stream.send(concatBytes([Uint8Array.of(RECORD.sealed), sealed]));
        for (const { resolve } of now) resolve();
      } catch (error) {
        for (const { reject } of [...now, ...this.#waiting.splice(0)]) reject(error);
      }
    }
    this.#isSending = false;
    if (this.#isClosed) this.#end();
  }

  #nextRecord(): Waiting[] {
    let bytes = 0;
    const end = this.#waiting.findIndex(({ frame }) => (bytes += LENGTH_BYTES + frame.length) > MAX_SEALED_BYTES);
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  #end(): void {
    this.#isClosed = true;
    this.#frames = [];
    this.#stream.close();
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
  }
}

function writeHello({ encapsulation }: Seal): Writer {
  return new Writer(98).u8(RECORD.hello).u8(VERSION).fixed(encapsulation, 32);
}

/** @param keys how many follow the encapsulation @throws NodeError BAD_PROOF */
function readHello(record: Uint8Array, keys: number): Uint8Array[] {
  if (record[0] !== RECORD.hello || record.length !== 34 + 32 * keys || record[1] !== VERSION) {
    throw new NodeError('BAD_PROOF', 'not a hello of this version of work streams', { data: { version: VERSION } });
  }
  return Array.from({ length: 1 + keys }, (_, i) => record.subarray(2 + 32 * i, 34 + 32 * i));
}

function refused(code: ErrorCode): NodeError {
  return new NodeError(code, `the miner does not take the stream (${code}): it has the chosen sealing key no more`);
}

function closed(): NodeError {
  return new NodeError('UNREACHABLE', 'the work stream is closed');
}
