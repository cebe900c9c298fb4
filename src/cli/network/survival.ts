/** What a set of validators survives, in numbers and in words. */
import { plural } from '../output.ts';

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

export interface SitePowers {
  readonly name: string;
  /** Of each of its validators. */
  readonly powers: readonly number[];
}

export interface LayoutSurvival {
  readonly totalPower: number;
  readonly quorum: number;
  /** Sites of which any one may be lost while blocks still come; and those whose loss halts the chain. */
  readonly spared: readonly string[];
  readonly needed: readonly string[];
  /** As many sites may be lost at once, whichever they are. */
  readonly sites: number;
  /** Validators, whichever they are. */
  readonly crashes: number;
  readonly traitors: number;
  /** Sites whose validators could split the chain if all of them lied. */
  readonly trusted: readonly string[];
}

export function layoutSurvival(sites: readonly SitePowers[]): LayoutSurvival {
  const powers = sites.flatMap((site) => site.powers).sort((a, b) => b - a);
  const totalPower = sum(powers);
  const largestSites = sites.map((site) => sum(site.powers)).sort((a, b) => b - a);
  const mostOf = (units: readonly number[], holds: (power: number) => boolean): number => {
    let count = 0;
    while (count < units.length && holds(sum(units.slice(0, count + 1)))) count++;
    return count;
  };
  const goesOnWithout = (lost: number): boolean => 3 * (totalPower - lost) >= 2 * totalPower;
  const bears = (lying: number): boolean => 3 * lying < totalPower;
  const namesOf = (holds: (power: number) => boolean): string[] =>
    sites.flatMap((site) => (holds(sum(site.powers)) ? [site.name] : []));
  return {
    totalPower,
    quorum: Math.ceil((2 * totalPower) / 3),
    spared: namesOf(goesOnWithout),
    needed: namesOf((power) => !goesOnWithout(power)),
    sites: mostOf(largestSites, goesOnWithout),
    crashes: mostOf(powers, goesOnWithout),
    traitors: mostOf(powers, bears),
    trusted: namesOf((power) => !bears(power)),
  };
}

/** What the layout survives and what it does not, a sentence each. */
export function layoutSentences(sites: readonly SitePowers[]): string[] {
  const survival = layoutSurvival(sites);
  const { crashes, traitors, trusted, totalPower, quorum } = survival;
  const count = sites.reduce((all, { powers }) => all + powers.length, 0);
  const unit = totalPower === count ? 'of them' : `of ${totalPower} of the power`;
  return [
    `${plural(count, 'validator')} on ${plural(sites.length, 'site')}; agreement needs ${quorum} ${unit}.`,
    siteSentence(survival),
    crashes === 0
      ? 'Survives the crash of no validator.'
      : `Survives the crash of any ${plural(crashes, 'validator')}.`,
    traitors === 0
      ? 'Survives no traitor: one validator that lies can split the chain (below a third of the power may lie).'
      : `Survives ${plural(traitors, 'traitor')} in place of that, not beside it: with both the chain may halt.`,
    ...(traitors > 0 && trusted.length > 0
      ? [`Does not survive that all validators of ${trusted.join(' or ')} lie together.`]
      : []),
  ];
}

function siteSentence({ spared, needed, sites }: LayoutSurvival): string {
  if (needed.length === 0) {
    return `Survives the loss of any ${sites === 1 ? 'one site' : `${sites} sites`}; losing more may halt it until they return.`;
  }
  const halts = `Losing ${needed.join(' or ')} halts the chain until it returns`;
  return spared.length === 0 ? `${halts}.` : `Survives the loss of ${spared.join(' or ')}. ${halts}.`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
