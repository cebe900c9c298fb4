/** What a bad disk, a cut-off write or a wrong hand does to a file. */
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import type { Prng } from '../sim/prng.ts';

export type Damage = 'flip' | 'cut' | 'zeros' | 'removal';

/** A flip is three times as likely to find a new place. */
export const DAMAGES: readonly Damage[] = ['flip', 'flip', 'flip', 'cut', 'zeros', 'removal'];
const SECTOR_BYTES = 512;

/** @returns what was done, in words */
export async function damageFile(path: string, kind: Damage, rng: Prng): Promise<string> {
  const bytes = await readFile(path);
  if (kind === 'removal' || bytes.length === 0) {
    await rm(path);
    return 'removed';
  }
  const at = rng.below(bytes.length);
  if (kind === 'cut') {
    await truncate(path, at);
    return `cut to ${at} of ${bytes.length}`;
  }
  if (kind === 'flip') bytes[at] = (bytes[at] ?? 0) ^ (1 << rng.below(8));
  else bytes.subarray(at, at + SECTOR_BYTES).fill(0);
  await writeFile(path, bytes);
  return `${kind} at ${at} of ${bytes.length}`;
}
