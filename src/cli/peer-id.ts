/** Peer ids without libp2p, which takes half a second to load. */
import { base58 } from '@scure/base';
import type { PublicKey } from '../bytes.ts';
import { concatBytes } from '../bytes.ts';

/**
 * Identity multihash (0x00, length) of the protobuf form of an Ed25519 key (type 1, 32 bytes), in base58btc, as the
 * libp2p peer-id specification has it.
 */
const PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);

export function peerIdOf(publicKey: PublicKey): string {
  return base58.encode(concatBytes([PREFIX, publicKey]));
}
