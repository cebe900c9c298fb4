/**
 * Whom a host hears gossip from directly, told to each of its peers: who relays a message spares it those that its author
 * reaches itself. Nothing rests on it but copies: who says too much hears less, from others than those it names.
 */
import { Reader, Writer } from '../src/chain/codec.ts';
import { MAX_PEER_ID_BYTES } from './codec.ts';

export const NEIGHBOURS_PROTOCOL = '/aitbc/neighbours/1';
/** More are not told: of those a peer sends what it need not. */
export const MAX_NEIGHBOURS = 128;
export const MAX_NEIGHBOURS_BYTES = 1 + MAX_NEIGHBOURS * (1 + MAX_PEER_ID_BYTES);

/** @param peers strictly ascending @throws NodeError CODEC */
export function encodeNeighbours(peers: readonly string[]): Uint8Array {
  const writer = new Writer(256);
  writer.u8(peers.length);
  for (const peer of peers) writer.ascii8(peer);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeNeighbours(bytes: Uint8Array): string[] {
  const reader = new Reader(bytes, 'neighbours');
  const count = reader.u8();
  if (count > MAX_NEIGHBOURS) throw reader.reject('over-cap');
  const peers: string[] = [];
  for (let i = 0; i < count; i++) {
    const peer = reader.ascii8(MAX_PEER_ID_BYTES);
    if (i > 0 && peer <= (peers[i - 1] ?? '')) throw reader.reject('non-canonical');
    peers.push(peer);
  }
  reader.end();
  return peers;
}
