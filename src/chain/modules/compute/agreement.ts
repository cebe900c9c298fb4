/** Money of a client set aside for one miner: an escrow when used once, a payment channel when used often. */
import type { Address, Hash, PublicKey } from '../../../bytes.ts';
import { Reader, Writer } from '../../codec.ts';
import type { Hasher } from '../../crypto/types.ts';
import type { ChainContext } from '../../signing.ts';
import type { StateAccess, StateReader } from '../../state.ts';
import { agreementKey } from './keys.ts';

/**
 * open: topped up, extended, settled. closing: the client ended it, or its time is over; it can still be settled.
 * closed: all that was not paid went back.
 */
export type AgreementState =
  | { readonly name: 'open' }
  | { readonly name: 'closing'; readonly sinceHeight: number; readonly sinceMs: number }
  | { readonly name: 'closed'; readonly atHeight: number; readonly atMs: number; readonly refundedUait: number };

export interface Agreement {
  readonly client: Address;
  /** Session key of the client: signs assignments, vouchers and acknowledgements. */
  readonly signer: PublicKey;
  readonly miner: Address;
  /** All that was set aside: `cap = paid + held`, once closed `cap = paid + refunded`. */
  readonly capUait: number;
  readonly paidUait: number;
  /** Header time, a whole minute. */
  readonly expiresAtMs: number;
  /** Of the miner's receipts, as of the last settlement; zeros before. */
  readonly receiptsRoot: Hash;
  readonly state: AgreementState;
}

/** One nonce opens one agreement, so no id comes twice. */
export function agreementId(hasher: Hasher, chain: ChainContext, client: Address, nonce: number): Hash {
  const writer = new Writer(128).ascii8('AIT/agreement').ascii8(chain.chainId).fixed(chain.genesisHash, 32);
  return hasher.hash(writer.fixed(client, 20).u64(nonce).finish());
}

/** What it holds of the supply. */
export function heldInAgreement({ capUait, paidUait, state }: Agreement): number {
  return state.name === 'closed' ? 0 : capUait - paidUait;
}

export function getAgreement(state: StateReader, id: Hash): Agreement | undefined {
  const bytes = state.get(agreementKey(id));
  return bytes && decodeAgreement(bytes);
}

export function setAgreement(state: StateAccess, id: Hash, agreement: Agreement | undefined): void {
  state.set(agreementKey(id), agreement && encodeAgreement(agreement));
}

export function encodeAgreement(agreement: Agreement): Uint8Array {
  const writer = new Writer(160)
    .fixed(agreement.client, 20)
    .fixed(agreement.signer, 32)
    .fixed(agreement.miner, 20)
    .u64(agreement.capUait)
    .u64(agreement.paidUait)
    .u64(agreement.expiresAtMs)
    .fixed(agreement.receiptsRoot, 32);
  writeState(writer, agreement.state);
  return writer.finish();
}

/** @throws NodeError CODEC */
export function decodeAgreement(bytes: Uint8Array): Agreement {
  const reader = new Reader(bytes, 'agreement');
  const agreement = {
    client: reader.fixed(20),
    signer: reader.fixed(32),
    miner: reader.fixed(20),
    capUait: reader.u64(),
    paidUait: reader.u64(),
    expiresAtMs: reader.u64(),
    receiptsRoot: reader.fixed(32),
    state: readState(reader),
  };
  reader.end();
  return agreement;
}

/** Numbers from 4 on are left for claims and disputes. */
function writeState(writer: Writer, state: AgreementState): void {
  switch (state.name) {
    case 'open':
      writer.u8(1);
      return;
    case 'closing':
      writer.u8(2).u64(state.sinceHeight).u64(state.sinceMs);
      return;
    case 'closed':
      writer.u8(3).u64(state.atHeight).u64(state.atMs).u64(state.refundedUait);
      return;
  }
}

function readState(reader: Reader): AgreementState {
  switch (reader.u8()) {
    case 1:
      return { name: 'open' };
    case 2:
      return { name: 'closing', sinceHeight: reader.u64(), sinceMs: reader.u64() };
    case 3:
      return { name: 'closed', atHeight: reader.u64(), atMs: reader.u64(), refundedUait: reader.u64() };
    default:
      throw reader.reject('non-canonical');
  }
}
