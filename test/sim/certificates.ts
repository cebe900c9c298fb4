/**
 * Certificates and votes checked without the product's code: own reading of the sign bytes, node:crypto for Ed25519, own
 * count of the power.
 */
import type { KeyObject } from 'node:crypto';
import { createPublicKey, verify } from 'node:crypto';

export interface Signatory {
  readonly publicKey: Uint8Array;
  readonly power: number;
}

export interface Claim {
  readonly type: 'prevote' | 'precommit';
  readonly height: number;
  readonly round: number;
  readonly blockId: Uint8Array;
  readonly signers: readonly number[];
  readonly signatures: readonly Uint8Array[];
}

export interface Network {
  readonly chainId: string;
  readonly genesisHash: Uint8Array;
}

const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

function field8(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, 'latin1')]);
}

function signBytes(network: Network, { type, height, round, blockId }: Claim): Buffer {
  const place = Buffer.alloc(12);
  place.writeBigUInt64BE(BigInt(height));
  place.writeUInt32BE(round, 8);
  const parts = [field8(`AIT/${type}`), field8(network.chainId), network.genesisHash, place, Buffer.of(1), blockId];
  return Buffer.concat(parts);
}

const checked = new Map<string, boolean>();
const keys = new Map<string, KeyObject>();

function keyOf(publicKey: Uint8Array): KeyObject {
  const name = Buffer.from(publicKey).toString('latin1');
  let key = keys.get(name);
  if (!key) {
    key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: 'der', type: 'spki' });
    keys.set(name, key);
  }
  return key;
}

function isSigned(message: Buffer, signature: Uint8Array, publicKey: Uint8Array): boolean {
  const name = Buffer.concat([publicKey, signature, message]).toString('latin1');
  const known = checked.get(name);
  if (known !== undefined) return known;
  const good = verify(null, message, keyOf(publicKey), signature);
  if (checked.size > 10_000) checked.clear();
  checked.set(name, good);
  return good;
}

/** @returns what is wrong with a certificate of precommits for this block; null when nothing is */
export function certificateFault(
  network: Network,
  set: readonly Signatory[],
  claim: Claim,
  height: number,
  blockId: Uint8Array,
): string | null {
  if (claim.type !== 'precommit') return 'not of precommits';
  if (claim.height !== height || !Buffer.from(claim.blockId).equals(blockId)) return 'for another block';
  if (claim.signers.length !== claim.signatures.length) return 'signers and signatures differ in number';
  if (new Set(claim.signers).size !== claim.signers.length) return 'a signer counts twice';
  const message = signBytes(network, claim);
  let power = 0n;
  for (const [i, signer] of claim.signers.entries()) {
    const validator = set[signer];
    const signature = claim.signatures[i];
    if (!validator || !signature) return 'a signer outside the set';
    if (!isSigned(message, signature, validator.publicKey)) return 'a signature does not verify';
    power += BigInt(validator.power);
  }
  const total = set.reduce((sum, validator) => sum + BigInt(validator.power), 0n);
  return 3n * power >= 2n * total ? null : 'less than two thirds of the power';
}
