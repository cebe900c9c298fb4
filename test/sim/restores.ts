/** When a folder that is put back can be told from one after a crash. src/engine/README.md gives the limits. */
import type { PublicKey } from '../../src/bytes.ts';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { validatorIndex } from '../../src/chain/validator-set.ts';
import { decodeCertificate } from '../../src/chain/votes.ts';
import type { StoredChain } from './store.ts';

export interface FolderCopy {
  readonly publicKey: PublicKey;
  /** Of its newest block. */
  readonly height: number;
}

/**
 * Whether those who answer know of what was signed since the copy, whoever of a quorum they are.
 *
 * Below a third of faulty power any two quorums share an honest validator besides the restored one, so one of those who
 * answer has been where the key was used. With exactly a third, as one of three validators has, that one may be down, and the
 * only one that answers may be one that was away: the folder looks like any other then, and must sign, or three
 * validators could not bear the loss of one. So each of the others must be able to prove it alone.
 *
 * @param others disks of the validators that are not faulty
 * @param faultyPower that of the restored one included
 */
export function isFoundOut(
  copy: FolderCopy,
  others: readonly StoredChain[],
  faultyPower: number,
  set: ValidatorSet,
): boolean {
  if (3 * faultyPower < set.totalPower) return true;
  return 3 * faultyPower === set.totalPower && others.every((stored) => holdsProof(stored, copy, set));
}

/** A signature of the key in a certificate above the height that the copy's guard may know, which is the one in work. */
function holdsProof({ blocks }: StoredChain, { publicKey, height }: FolderCopy, set: ValidatorSet): boolean {
  const index = validatorIndex(set, publicKey);
  return blocks.slice(height + 1).some(({ certificate }) => decodeCertificate(certificate).signers.includes(index));
}
