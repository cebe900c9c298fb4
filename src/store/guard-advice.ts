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
 * Carries out `--sign-above`, at every start with it: a flag left in place must not undo what was signed since.
 *
 * @returns whether the guard's floor was set
 * @throws NodeError GUARD when the guard knows of signatures above, STORAGE
 */
export async function applySignAbove(guard: SignGuard, signAbove: number): Promise<boolean> {
  const { kind } = guard.status;
  if (kind !== 'stale' && kind !== 'corrupt' && guard.signAbove >= signAbove) return false;
  await guard.reset(signAbove);
  return true;
}
