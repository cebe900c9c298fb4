/** What a set of equal validators survives, in numbers and in words. */

/** Least q with 3·q >= 2·n, the chain's quorum under equal powers. */
export function quorumOf(validators: number): number {
  return Math.ceil((2 * validators) / 3);
}

export interface Survival {
  readonly quorum: number;
  /** Crashed or unreachable validators under which blocks still come. */
  readonly crashes: number;
  /** Lying validators under which no two honest nodes disagree: power below a third. */
  readonly traitors: number;
}

export function survivalOf(validators: number): Survival {
  const quorum = quorumOf(validators);
  return { quorum, crashes: validators - quorum, traitors: Math.max(0, Math.ceil(validators / 3) - 1) };
}

/** E.g. "3 validators: survives the crash of any 1; no traitor (4 are needed for that)." */
export function survivalSentence(validators: number): string {
  const { crashes, traitors } = survivalOf(validators);
  const who = validators === 1 ? '1 validator' : `${validators} validators`;
  const crash = crashes === 0 ? 'survives no crash (3 are needed for that)' : `survives the crash of any ${crashes}`;
  const traitor =
    traitors === 0 ? 'no traitor (4 are needed for that)' : `or ${traitors} that ${traitors === 1 ? 'lies' : 'lie'}`;
  return `${who}: ${crash}; ${traitor}.`;
}
