/** What a guard that refuses means for the operator: what happened, and exactly what to do. */
import type { GuardStatus, SignGuard } from './guard.ts';

/**
 * @param headHeight newest block of the store when the guard was opened: a key never signs beyond the height after it
 * @param isAlone the key is a quorum by itself: nobody else can decide the height after the head, so it must sign there
 * @returns undefined when the guard refuses nothing for good
 */
export function guardAdvice(status: GuardStatus, headHeight: number, isAlone: boolean): string | undefined {
  const mostSigned = isAlone ? headHeight : headHeight + 1;
  const resume =
    `If this key is used on no other machine, and the blocks here, up to height ${headHeight}, are the newest that it ` +
    `signed with, start once with --sign-above ${mostSigned}; else with ` +
    (isAlone ? 'the newest height that a follower holds' : 'the highest height that it signed anywhere, plus one');
  switch (status.kind) {
    case 'empty':
    case 'ready':
    case 'uncertain':
      return undefined;
    case 'stale':
      return (
        `the sign guard is older than the blocks: ${status.reason}. It was deleted, left out of a copy, or restored from ` +
        `an older one, so this node does not know what its key signed, and signs nothing. Put the newest guard back, or: ` +
        resume
      );
    case 'corrupt':
      return `the sign guard cannot be used: ${status.reason}. Nothing is signed. Put the right one back, or: ${resume}`;
  }
}

/**
 * Carries out `--sign-above`, at every start with it. The flag may be left in place: it undoes nothing that was signed since,
 * and says nothing of a guard that is lost later, when the blocks are past it.
 *
 * @param headHeight newest block of the store
 * @returns whether the guard's floor was set; `too-low`: the guard refuses, and the flag is below the blocks
 * @throws NodeError GUARD when the guard knows of signatures above, STORAGE
 */
export async function applySignAbove(
  guard: SignGuard,
  signAbove: number,
  headHeight: number,
): Promise<'set' | 'nothing-to-do' | 'too-low'> {
  const { kind } = guard.status;
  const refuses = kind === 'stale' || kind === 'corrupt';
  if (refuses && signAbove < headHeight) return 'too-low';
  if (!refuses && guard.signAbove >= signAbove) return 'nothing-to-do';
  await guard.reset(signAbove);
  return 'set';
}
