/**
 * A miner's word that it cannot open a stream: it has the sealing key no more that the client chose. There is no key then to
 * seal it with, so the miner's account signs it, for this one hello: who carries the stream can neither make it nor say it again.
 */
import type { PublicKey } from '../../src/bytes.ts';
import { Reader, Writer } from '../../src/chain/codec.ts';
import type { SignatureCheck, Signer } from '../../src/chain/crypto/types.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { signBytesWriter } from '../../src/chain/signing.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { isErrorCode } from '../../src/errors.ts';

const MAX_CODE_BYTES = 32;

/** @param hello of the client, as it came @returns the record without its type */
export function encodeStreamRefusal(
  chain: ChainContext,
  signer: Pick<Signer, 'sign'>,
  hello: Uint8Array,
  code: ErrorCode,
): Uint8Array {
  const signature = signer.sign(signBytes(chain, hello, code));
  return new Writer(128).ascii8(code).fixed(signature, 64).finish();
}

/**
 * @param record without its type
 * @param hello that the client sent on this stream
 * @param miner its account
 * @throws NodeError CODEC
 */
export function decodeStreamRefusal(
  chain: ChainContext,
  record: Uint8Array,
  hello: Uint8Array,
  miner: PublicKey,
): { readonly code: ErrorCode; readonly check: SignatureCheck } {
  const reader = new Reader(record, 'refusal of a work stream');
  const said = reader.ascii8(MAX_CODE_BYTES);
  const signature = reader.fixed(64);
  reader.end();
  const check = { message: signBytes(chain, hello, said), signature, publicKey: miner };
  return { code: isErrorCode(said) ? said : 'EXPIRED', check };
}

function signBytes(chain: ChainContext, hello: Uint8Array, code: string): Uint8Array {
  return signBytesWriter('stream-refusal', chain, 256).bytes16(hello).ascii8(code).finish();
}
