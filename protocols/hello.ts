/**
 * The handshake of two hosts, before anything of a chain: which chains each one carries. A chain that both name with
 * different genesis hashes is refused, by name and with the reason, on both sides.
 */
import type { Hash } from '../src/bytes.ts';
import { equalBytes } from '../src/bytes.ts';
import { Reader, Writer } from '../src/chain/codec.ts';
import type { ChainContext } from '../src/chain/signing.ts';
import { MAX_CHAIN_ID_BYTES } from '../src/chain/signing.ts';
import { NodeError } from '../src/errors.ts';

export const HELLO_PROTOCOL = '/aitbc/hello/1';
export const MAX_CHAINS = 16;
export const MAX_AGENT_BYTES = 64;
export const MAX_HELLO_BYTES = 1 + MAX_AGENT_BYTES + 1 + MAX_CHAINS * (1 + MAX_CHAIN_ID_BYTES + 32);

export interface Hello {
  /** Program and version, e.g. "aitbc/0.1.0"; for people. */
  readonly agent: string;
  /** Strictly ascending by chain id. Empty while a node starts. */
  readonly chains: readonly ChainContext[];
}

/** Why the answering side will close the connection; `none` keeps it. */
export type Goodbye = 'none' | 'no-shared-chain';

export interface HelloAnswer extends Hello {
  /** Ids of the asker's chains that the answering side refuses since it knows another genesis of that name. */
  readonly refused: readonly string[];
  readonly goodbye: Goodbye;
}

export const MAX_HELLO_ANSWER_BYTES = MAX_HELLO_BYTES + 1 + MAX_CHAINS * (1 + MAX_CHAIN_ID_BYTES) + 1;

/** What follows from the two lists: the same on both sides, up to whose hash is called ours. */
export interface ChainMatch {
  readonly shared: readonly string[];
  readonly refused: readonly { readonly chainId: string; readonly ours: Hash; readonly theirs: Hash }[];
}

export function matchChains(ours: readonly ChainContext[], theirs: readonly ChainContext[]): ChainMatch {
  const shared: string[] = [];
  const refused: { chainId: string; ours: Hash; theirs: Hash }[] = [];
  for (const { chainId, genesisHash } of theirs) {
    const own = ours.find((chain) => chain.chainId === chainId);
    if (own === undefined) continue;
    if (equalBytes(own.genesisHash, genesisHash)) shared.push(chainId);
    else refused.push({ chainId, ours: own.genesisHash, theirs: genesisHash });
  }
  return { shared, refused };
}

/** A side without chains is still starting: nothing is decided about it. */
export function goodbyeOf(ours: readonly ChainContext[], theirs: readonly ChainContext[], match: ChainMatch): Goodbye {
  return ours.length > 0 && theirs.length > 0 && match.shared.length === 0 ? 'no-shared-chain' : 'none';
}

/** @throws NodeError CODEC */
export function encodeHello(hello: Hello): Uint8Array {
  const writer = new Writer(256);
  writeHello(writer, hello);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeHello(bytes: Uint8Array): Hello {
  const reader = new Reader(bytes, 'hello');
  const hello = readHello(reader);
  reader.end();
  return hello;
}

/** @throws NodeError CODEC */
export function encodeHelloAnswer(answer: HelloAnswer): Uint8Array {
  const writer = new Writer(512);
  writeHello(writer, answer);
  writer.u8(answer.refused.length);
  for (const chainId of answer.refused) writer.ascii8(chainId);
  return writer.bool(answer.goodbye !== 'none').finish();
}

/** @throws NodeError CODEC */
export function decodeHelloAnswer(bytes: Uint8Array): HelloAnswer {
  const reader = new Reader(bytes, 'hello answer');
  const hello = readHello(reader);
  const refused = ascending(
    reader,
    readCount(reader),
    () => reader.ascii8(MAX_CHAIN_ID_BYTES),
    (chainId) => chainId,
  );
  const goodbye: Goodbye = reader.bool() ? 'no-shared-chain' : 'none';
  reader.end();
  return { ...hello, refused, goodbye };
}

function writeHello(writer: Writer, hello: Hello): void {
  if (hello.chains.length > MAX_CHAINS) {
    throw new NodeError('CODEC', 'cannot encode hello: over-cap', { data: { chains: hello.chains.length } });
  }
  writer.ascii8(hello.agent.slice(0, MAX_AGENT_BYTES)).u8(hello.chains.length);
  for (const { chainId, genesisHash } of hello.chains) writer.ascii8(chainId).fixed(genesisHash, 32);
}

function readHello(reader: Reader): Hello {
  const agent = reader.ascii8(MAX_AGENT_BYTES);
  const read = (): ChainContext => ({ chainId: reader.ascii8(MAX_CHAIN_ID_BYTES), genesisHash: reader.fixed(32) });
  return { agent, chains: ascending(reader, readCount(reader), read, (chain) => chain.chainId) };
}

function readCount(reader: Reader): number {
  const count = reader.u8();
  if (count > MAX_CHAINS) throw reader.reject('over-cap');
  return count;
}

function ascending<T>(reader: Reader, count: number, read: () => T, key: (item: T) => string): T[] {
  const items: T[] = [];
  let previous = '';
  for (let i = 0; i < count; i++) {
    const item = read();
    if (key(item) <= previous) throw reader.reject('non-canonical');
    previous = key(item);
    items.push(item);
  }
  return items;
}
