/** What a guard that refuses means for the operator: what happened, and exactly what to do. */
import type { GuardStatus } from './guard.ts';

/**
 * @param headHeight newest block of the store when the guard was opened: a key never signs beyond the height after it
 * @returns undefined when the guard refuses nothing for good
 */
export function guardAdvice(status: GuardStatus, headHeight: number): string | undefined {
  const mostSigned = headHeight + 1;
  const resume =
    `If this key is used on no other machine, and the blocks here, up to height ${headHeight}, are the newest that it ` +
    `signed with, start once with --sign-above ${mostSigned}; else with the highest height that it signed anywhere, plus one`;
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
