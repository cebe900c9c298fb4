/** Multiaddrs as the operator writes them. */
import { peerIdFromString } from '@libp2p/peer-id';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import { base58 } from '@scure/base';
import type { ErrorCode } from '../errors.ts';
import { NodeError } from '../errors.ts';
import type { PersistentPeer } from './dialer.ts';

/** @throws NodeError with the given code */
export function parseAddress(text: string, code: ErrorCode): Multiaddr {
  try {
    return multiaddr(text);
  } catch (cause) {
    throw new NodeError(code, 'not a multiaddr', {
      data: { address: text },
      hint: 'write it as /ip4/192.0.2.7/tcp/8005 or /dns4/example.org/tcp/8005',
      cause,
    });
  }
}

/** An address with the id of the peer it leads to. @throws NodeError with the given code */
export function parsePeerAddress(
  text: string,
  code: ErrorCode,
): { readonly peer: string; readonly address: Multiaddr } {
  const address = parseAddress(text, code);
  const peer = lastPeerOf(address);
  if (peer === '' || address.getComponents().at(-1)?.name !== 'p2p') {
    throw new NodeError(code, 'the address does not name the peer', {
      data: { address: text },
      hint: 'append /p2p/ and the peer id that the other node prints when it starts',
    });
  }
  return { peer, address };
}

/** By peer, without our own. @throws NodeError CONFIG */
export function parsePersistentPeers(texts: readonly string[], self: string): PersistentPeer[] {
  const byPeer = new Map<string, string[]>();
  for (const text of texts) {
    const { peer } = parsePeerAddress(text, 'CONFIG');
    if (peer !== self) byPeer.set(peer, [...(byPeer.get(peer) ?? []), text]);
  }
  return [...byPeer].map(([peer, addresses]) => ({ peer, addresses }));
}

/** Null for what is no peer id. */
export function peerIdOf(text: string): ReturnType<typeof peerIdFromString> | null {
  try {
    return peerIdFromString(text);
  } catch {
    return null;
  }
}

/** Null for the multihash of what is no peer id. */
export function peerIdOfMultihash(multihash: Uint8Array): ReturnType<typeof peerIdFromString> | null {
  return peerIdOf(base58.encode(multihash));
}

/** The peer that an address leads to, '' when it does not say. */
export function lastPeerOf(address: Multiaddr): string {
  return address.getComponents().findLast(({ name }) => name === 'p2p')?.value ?? '';
}

/** Leads through a relay. */
export function isCircuit(address: Multiaddr): boolean {
  return address.getComponents().some(({ name }) => name === 'p2p-circuit');
}
