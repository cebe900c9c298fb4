/**
 * A chain as a portable file, written and read as a stream. Integers are big-endian:
 *
 *     "AITBLKS\n", version u32, chain id (u8 length, ASCII), genesis hash (32 bytes), first height u64
 *     for each block: 1 u8, length u32, block length u32, block, certificate, SHA-256 of these two (32 bytes)
 *     end: 2 u8, count u64, SHA-256 of all bytes before it (32 bytes)
 *
 * The end tells a whole file from one that was cut off.
 */
import { createHash } from 'node:crypto';
import { equalBytes, toHex, utf8 } from '../bytes.ts';
import { decodeBlock, encodeBlock, MAX_BLOCK_BYTES } from '../chain/block.ts';
import { Reader, Writer } from '../chain/codec.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import type { CertifiedCandidate } from '../chain/linked-range.ts';
import type { ChainContext } from '../chain/signing.ts';
import { decodeCertificate, encodeCertificate } from '../chain/votes.ts';
import { isNodeError, NodeError } from '../errors.ts';

const MAGIC = utf8('AITBLKS\n');
const VERSION = 1;
const BLOCK = 1;
const END = 2;
const HASH_BYTES = 32;
/** Above any block with its certificate. */
const MAX_RECORD_BYTES = MAX_BLOCK_BYTES + 1024 * 1024;

/** @param blocks consecutive, the first one of height `from` */
export async function* writeChainFile(
  chain: ChainContext,
  from: number,
  blocks: Iterable<CertifiedCandidate> | AsyncIterable<CertifiedCandidate>,
): AsyncGenerator<Uint8Array, void, void> {
  const all = createHash('sha256');
  const hashed = (bytes: Uint8Array): Uint8Array => {
    all.update(bytes);
    return bytes;
  };
  yield hashed(
    new Writer(96).raw(MAGIC).u32(VERSION).ascii8(chain.chainId).fixed(chain.genesisHash, 32).u64(from).finish(),
  );
  let count = 0;
  for await (const { block, certificate } of blocks) {
    const body = encodeBlock(block);
    const payload = new Writer(body.length + 4096)
      .u32(body.length)
      .raw(body)
      .raw(encodeCertificate(certificate))
      .finish();
    yield hashed(new Writer(5).u8(BLOCK).u32(payload.length).finish());
    yield hashed(payload);
    yield hashed(sha256(payload));
    count += 1;
  }
  yield hashed(new Writer(9).u8(END).u64(count).finish());
  yield new Uint8Array(all.digest());
}

/**
 * Blocks of a file, each once its bytes proved to be those that were written. Memory: one record and one chunk.
 *
 * @throws NodeError PARSE_ERROR for what is no such file, WRONG_GENESIS, DATA_TOO_NEW, CORRUPT with the place of the damage
 */
export async function* readChainFile(
  hasher: Hasher,
  chain: ChainContext,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<CertifiedCandidate, void, void> {
  const input = new Input(chunks);
  let expected = await readHead(input, chain);
  for (let count = 0; ; count++, expected++) {
    const kind = (await input.take(1))[0];
    if (kind === END) {
      await readEnd(input, count);
      return;
    }
    if (kind !== BLOCK) throw input.damaged(`record ${count + 1} is of no known kind`);
    const length = new Reader(await input.take(4), 'length').u32();
    if (length > MAX_RECORD_BYTES) throw input.damaged(`the block of height ${expected} is longer than blocks may be`);
    const payload = await input.take(length);
    if (!equalBytes(await input.take(HASH_BYTES), sha256(payload))) {
      throw input.damaged(`the block of height ${expected} is not as it was written`);
    }
    yield decodeRecord(hasher, payload, input);
  }
}

async function readHead(input: Input, chain: ChainContext): Promise<number> {
  const magic = await input.take(MAGIC.length).catch(() => new Uint8Array());
  if (!equalBytes(magic, MAGIC)) {
    throw new NodeError('PARSE_ERROR', 'this is no file of blocks', { hint: 'give one made by `aitbc chain export`' });
  }
  const version = new Reader(await input.take(4), 'version').u32();
  if (version !== VERSION) {
    throw new NodeError('DATA_TOO_NEW', `the file has version ${version}, this program knows ${VERSION}`, {
      data: { version, known: VERSION },
    });
  }
  const length = (await input.take(1))[0] ?? 0;
  const chainId = Buffer.from(await input.take(length)).toString('latin1');
  const genesisHash = await input.take(HASH_BYTES);
  if (chainId !== chain.chainId || !equalBytes(genesisHash, chain.genesisHash)) {
    throw new NodeError('WRONG_GENESIS', 'the file holds blocks of another chain or genesis', {
      data: {
        chainId: chain.chainId,
        genesisHash: toHex(chain.genesisHash),
        foundChain: chainId.replace(/[^\x20-\x7e]/g, '?'),
        foundGenesis: toHex(genesisHash),
      },
      hint: 'give --chain and --home of the chain that the file was made from',
    });
  }
  return new Reader(await input.take(8), 'first height').u64();
}

async function readEnd(input: Input, count: number): Promise<void> {
  const named = new Reader(await input.take(8), 'count').u64();
  const digest = input.digest();
  if (named !== count) throw input.damaged(`it holds ${count} blocks, and says ${named}`);
  if (!equalBytes(await input.take(HASH_BYTES), digest)) throw input.damaged('its bytes as a whole are not as written');
  if (!(await input.isAtEnd())) throw input.damaged('bytes follow its end');
}

function decodeRecord(hasher: Hasher, payload: Uint8Array, input: Input): CertifiedCandidate {
  try {
    const reader = new Reader(payload, 'record');
    const length = reader.u32();
    const body = payload.slice(4, 4 + length);
    return { block: decodeBlock(hasher, body), certificate: decodeCertificate(payload.slice(4 + length)) };
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'CODEC') throw error;
    throw input.damaged(error.message);
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

/** Bytes of a stream, as many as are asked for, and the hash of those given out. */
class Input {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #all = createHash('sha256');
  #rest: Uint8Array = new Uint8Array();
  #offset = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** @throws NodeError CORRUPT when there are fewer */
  async take(count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; ) {
      if (this.#rest.length === 0 && !(await this.#more())) throw this.damaged('it was cut off');
      const part = this.#rest.subarray(0, count - at);
      bytes.set(part, at);
      this.#rest = this.#rest.subarray(part.length);
      at += part.length;
      this.#offset += part.length;
    }
    this.#all.update(bytes);
    return bytes;
  }

  async isAtEnd(): Promise<boolean> {
    return this.#rest.length === 0 && !(await this.#more());
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#all.copy().digest());
  }

  damaged(reason: string): NodeError {
    return new NodeError('CORRUPT', `the file of blocks is damaged at byte ${this.#offset}: ${reason}`, {
      data: { offset: this.#offset, reason },
      hint: 'the blocks before that place were taken; get the file anew, and go on with it',
    });
  }

  async #more(): Promise<boolean> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = next.value;
    }
    return true;
  }
}
