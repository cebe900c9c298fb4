/**
 * How a state that came from peers replaces the genesis state in a database. Its records are written in batches while the
 * database does not count as one in use (no schema version); one synced batch at the end makes it count. So whatever a
 * crash leaves is either the store before, once its genesis state is written again, or the store after.
 */
import { equalBytes } from '../bytes.ts';
import { encodeBlock } from '../chain/block.ts';
import type { ValidatorSets } from '../chain/modules/validators-state.ts';
import { encodeValidatorSet } from '../chain/validator-set.ts';
import { encodeCertificate } from '../chain/votes.ts';
import type { Database, WriteBatch } from './db.ts';
import {
  BASE_KEY,
  bytesKeyOf,
  encodeU64,
  HEAD_KEY,
  heightKey,
  KEY,
  META,
  metaKey,
  prefixRange,
  stateDbKey,
} from './keys.ts';
import { encodeHead } from './records.ts';
import type { AdoptedState } from './types.ts';

const DELETED_AT_ONCE = 4_096;

/** From here on the database counts as never used; the key of its values stays. */
export async function disown(db: Database): Promise<void> {
  await db.write((batch) => batch.del(metaKey(META.SCHEMA)), { sync: true });
}

/** Removes every entry of the state, those of an adoption that was cut off too. */
export async function clearState(db: Database): Promise<void> {
  let keys: Uint8Array[] = [];
  const remove = async (): Promise<void> => {
    const gone = keys;
    keys = [];
    await db.write((batch) => gone.forEach((key) => batch.del(key)), { sync: false });
  };
  for await (const [key] of db.entries(prefixRange(KEY.STATE))) {
    keys.push(key);
    if (keys.length >= DELETED_AT_ONCE) await remove();
  }
  if (keys.length > 0) await remove();
}

export async function writeEntries(db: Database, { entries }: AdoptedState): Promise<void> {
  for await (const chunk of entries) {
    await db.write(
      (batch) => {
        for (const { key, value } of chunk) batch.put(stateDbKey(key), value);
      },
      { sync: false },
    );
  }
}

/** What the block adds: itself, without receipts and index of transactions, which its state does not tell. */
export function putAdoptedBlock(
  batch: WriteBatch,
  { block, blockId, certificate }: AdoptedState,
  { last, current }: ValidatorSets,
): void {
  const { height, validatorsHash, nextValidatorsHash } = block.header;
  batch.put(heightKey(KEY.BLOCK, height), encodeBlock(block));
  batch.put(heightKey(KEY.CERTIFICATE, height), encodeCertificate(certificate));
  batch.put(bytesKeyOf(KEY.HEIGHT_BY_BLOCK_ID, blockId), encodeU64(height));
  // Light clients ask for the sets of this block too, and no block before it told them.
  if (last) batch.put(bytesKeyOf(KEY.VALIDATOR_SET, validatorsHash), encodeValidatorSet(last));
  if (!equalBytes(validatorsHash, nextValidatorsHash)) {
    batch.put(bytesKeyOf(KEY.VALIDATOR_SET, nextValidatorsHash), encodeValidatorSet(current));
  }
  batch.put(BASE_KEY, encodeU64(height));
  batch.put(HEAD_KEY, encodeHead(height, blockId));
}
