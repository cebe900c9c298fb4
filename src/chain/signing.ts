/**
 * Sign bytes: u8 length ‖ "AIT/" kind, u8 length ‖ chain id, 32 bytes genesis hash, then the canonical fields.
 * Nothing signed for one chain, genesis or kind is valid for another.
 */
import type { Hash } from '../bytes.ts';
import { Writer } from './codec.ts';

/** Every kind of signature of the system. A new kind is a new literal here. */
export type SignKind =
  | 'tx'
  | 'prevote'
  | 'precommit'
  | 'proposal'
  | 'status'
  | 'validator-key'
  | 'voucher'
  | 'offer'
  | 'job'
  | 'quote-request'
  | 'quote'
  | 'assignment'
  | 'stream-refusal'
  | 'tick'
  | 'receipt'
  | 'acknowledgement'
  | 'message'
  | 'login'
  | 'join-document'
  | 'validator-card';

/** What a signature is bound to besides its kind. */
export interface ChainContext {
  readonly chainId: string;
  readonly genesisHash: Hash;
}

export const MAX_CHAIN_ID_BYTES = 32;

/** A writer that already holds the domain; callers append the fields. */
export function signBytesWriter(kind: SignKind, chain: ChainContext, sizeHint = 192): Writer {
  return new Writer(sizeHint).ascii8(`AIT/${kind}`).ascii8(chain.chainId).fixed(chain.genesisHash, 32);
}
