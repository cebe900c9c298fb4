/**
 * From what was found to what is wrong: a table of checks from cause to effect. A full disk fails the chain, a wrong genesis
 * leaves no peers, and without peers there is no quorum; so the first fault in this order is the one to mend first.
 */
import { checkClock } from './check-clock.ts';
import { checkHome } from './check-home.ts';
import {
  checkChain,
  checkGenesis,
  checkHead,
  checkNode,
  checkPeers,
  checkQuorum,
  checkSigning,
  checkVersion,
} from './check-node.ts';
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';

const CHECKS: readonly ((facts: Facts) => readonly Finding[])[] = [
  checkHome,
  checkClock,
  checkGenesis,
  checkNode,
  checkVersion,
  checkChain,
  checkPeers,
  checkQuorum,
  checkHead,
  checkSigning,
];

const LEVELS = ['fault', 'warning', 'ok'] as const;

/** Faults first, then warnings, then what is in order; the likeliest cause first in each. */
export function diagnose(facts: Facts): Finding[] {
  const findings = CHECKS.flatMap((check) => check(facts));
  return LEVELS.flatMap((level) => findings.filter((finding) => finding.level === level));
}
