/**
 * The client's word for money: cumulative, so that the highest one says all, and bound to chain and agreement. What a
 * voucher gives, nothing that the client signs alone takes back.
 */
import type { Hash, PublicKey, Signature } from '../../../bytes.ts';
import { toHex } from '../../../bytes.ts';
import type { Reader, Writer } from '../../codec.ts';
import type { SignatureCheck, Signer } from '../../crypto/types.ts';
import { checkKeys, jsonAmount, jsonHex } from '../../json.ts';
import type { ChainContext } from '../../signing.ts';
import { signBytesWriter } from '../../signing.ts';
import type { JsonObject } from '../types.ts';

export interface Voucher {
  readonly agreement: Hash;
  /** Up to which sum the miner may take, over all jobs of the agreement, what was paid included. */
  readonly creditUait: number;
  /** Of what the client had received when it signed, e.g. the hash chain of a stream. The chain does not look at it. */
  readonly seen: Hash;
  /** The agreement's session key. */
  readonly signer: PublicKey;
  readonly signature: Signature;
}

type VoucherFields = Pick<Voucher, 'agreement' | 'creditUait' | 'seen'>;

export function voucherSignBytes(chain: ChainContext, { agreement, creditUait, seen }: VoucherFields): Uint8Array {
  return signBytesWriter('voucher', chain).fixed(agreement, 32).u64(creditUait).fixed(seen, 32).finish();
}

export function signVoucher(chain: ChainContext, signer: Signer, fields: VoucherFields): Voucher {
  return { ...fields, signer: signer.publicKey, signature: signer.sign(voucherSignBytes(chain, fields)) };
}

/** Whether the signer is the agreement's is for the state to tell. */
export function voucherCheck(chain: ChainContext, voucher: Voucher): SignatureCheck {
  return { message: voucherSignBytes(chain, voucher), signature: voucher.signature, publicKey: voucher.signer };
}

/** Beside its agreement, which the transaction names. */
export function writeVoucher(writer: Writer, voucher: Voucher): void {
  writer.u64(voucher.creditUait).fixed(voucher.seen, 32).fixed(voucher.signer, 32).fixed(voucher.signature, 64);
}

export function readVoucher(reader: Reader, agreement: Hash): Voucher {
  return {
    agreement,
    creditUait: reader.u64(),
    seen: reader.fixed(32),
    signer: reader.fixed(32),
    signature: reader.fixed(64),
  };
}

export function voucherToJson({ creditUait, seen, signer, signature }: Voucher): JsonObject {
  return {
    credit_uait: String(creditUait),
    seen: toHex(seen),
    signer: toHex(signer),
    signature: toHex(signature),
  };
}

export function voucherFromJson(json: JsonObject, agreement: Hash): Voucher {
  checkKeys(json, ['credit_uait', 'seen', 'signer', 'signature']);
  return {
    agreement,
    creditUait: jsonAmount(json['credit_uait'], 'credit_uait'),
    seen: jsonHex(json['seen'], 'seen', 32),
    signer: jsonHex(json['signer'], 'signer', 32),
    signature: jsonHex(json['signature'], 'signature', 64),
  };
}
