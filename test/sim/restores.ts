/** When a folder that is put back can be told from one after a crash. src/engine/README.md gives the limits. */
import type { PublicKey } from '../../src/bytes.ts';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { hasQuorum, validatorIndex } from '../../src/chain/validator-set.ts';
import { decodeBlock } from '../../src/chain/block.ts';
import { decodeCertificate } from '../../src/chain/votes.ts';
import { simCrypto } from './signatures.ts';
import type { StoredChain } from './store.ts';

export interface FolderCopy {
  readonly publicKey: PublicKey;
  /** Of its newest block. */
  readonly height: number;
}

export interface Witness {
  readonly stored: StoredChain;
  readonly power: number;
}

/**
 * Whether those who answer know of what was signed since the copy, whoever of a quorum they are: no quorum consists of
 * faulty validators, the restored one included, and those who hold no proof. A folder that nobody proves old looks like
 * any other one and must sign, or three validators could not bear the loss of one. The others must do without it meanwhile.
 *
 * @param others validators that are not faulty
 * @param faultyPower that of the restored one included
 */
export function isFoundOut(
  copy: FolderCopy,
  others: readonly Witness[],
  faultyPower: number,
  set: ValidatorSet,
): boolean {
  const unaware = others.filter(({ stored }) => !holdsProof(stored, copy, set));
  const unawarePower = unaware.reduce((sum, { power }) => sum + power, faultyPower);
  return 3 * faultyPower <= set.totalPower && !hasQuorum(set, unawarePower);
}

/** Whoever catches up learns of the certificates in the blocks and of the one at the end. */
function holdsProof({ base, blocks }: StoredChain, { publicKey, height }: FolderCopy, set: ValidatorSet): boolean {
  const index = validatorIndex(set, publicKey);
  // The copy's guard may know the height in work, whose certificate is in the block after it.
  const inBlocks = blocks
    .slice(Math.max(0, height + 3 - base))
    .map(({ bytes }) => decodeBlock(simCrypto, bytes).lastCommit);
  const last = base + blocks.length - 1 >= height + 2 ? blocks.at(-1) : undefined;
  const atEnd = last ? [decodeCertificate(last.certificate)] : [];
  return [...inBlocks, ...atEnd].some((certificate) => certificate?.signers.includes(index));
}

/** A signature of the key in a certificate above the height that the copy's guard may know, as its own folder has them. */
export function holdsOwnProof(
  { base, blocks }: StoredChain,
  { publicKey, height }: FolderCopy,
  set: ValidatorSet,
): boolean {
  const index = validatorIndex(set, publicKey);
  const above = blocks.slice(Math.max(0, height + 2 - base));
  return above.some(({ certificate }) => decodeCertificate(certificate).signers.includes(index));
}
