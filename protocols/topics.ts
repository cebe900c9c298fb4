/** Names on the wire. All that belongs to a chain carries its id and the head of its genesis hash. */
import { toHex } from '../src/bytes.ts';
import type { Hash } from '../src/bytes.ts';
import type { ChainContext } from '../src/chain/signing.ts';
import type { Method, Topic } from './messages.ts';

/** The first 8 hex characters of a genesis hash. */
export function genesis8(genesisHash: Hash): string {
  return toHex(genesisHash.subarray(0, 4));
}

/** Gossip topic, e.g. `/aitbc/ait-devnet/0a1b2c3d/vote/1`. */
export function topicName(chain: ChainContext, topic: Topic): string {
  return `/aitbc/${chain.chainId}/${genesis8(chain.genesisHash)}/${topic}/1`;
}

/** Request protocol, e.g. `/aitbc/ait-devnet/0a1b2c3d/blocks/1`. */
export function protocolId(chain: ChainContext, method: Method): string {
  return `/aitbc/${chain.chainId}/${genesis8(chain.genesisHash)}/${method}/1`;
}

/** Work streams, `/aitbc/ait-devnet/0a1b2c3d/work/2`. */
export function workProtocolId(chain: ChainContext): string {
  return `/aitbc/${chain.chainId}/${genesis8(chain.genesisHash)}/work/2`;
}
