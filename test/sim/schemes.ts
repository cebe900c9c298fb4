/** Patterns of loss, each aimed at one thing that agreement must survive. */
import { equalBytes } from '../../src/bytes.ts';
import { hasQuorum } from '../../src/chain/validator-set.ts';
import type { Proposal, Vote } from '../../src/chain/votes.ts';
import type { Adversary, Carried, MakeScheme, Scheme } from './adversary.ts';
import type { SimNode } from './node.ts';

export const SCHEMES: readonly (readonly [weight: number, make: MakeScheme])[] = [
  [5, (adversary) => lonelyPolka(adversary)],
  [2, (adversary) => lonelyDecision(adversary)],
  [4, (adversary) => splitDecision(adversary)],
  [2, (adversary) => unheard(adversary)],
  [4, (adversary) => stranded(adversary)],
];

function isOf({ validator }: Vote, nodes: Iterable<SimNode>): boolean {
  for (const { publicKey } of nodes) if (equalBytes(publicKey, validator)) return true;
  return false;
}

/**
 * One node alone sees a polka and locks; the others give the round up, and the next proposer knows of nothing. The locked
 * one crashes, is cut off, or stays to hear the fresh proposal.
 */
function lonelyPolka(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const [lone] = adversary.honest;
  if (!lone) return null;
  const wanted = rng.pick([(r: number) => r === 0, (r: number) => r === 0, (r: number) => r % 2 === 0, () => true]);
  const hearers = new Map<string, Set<SimNode>>();
  /** Who hears the proposal of a round: a bare quorum, the lone one in it. */
  const hearersOf = (place: string): Set<SimNode> => {
    let some = hearers.get(place);
    if (!some) {
      some = new Set([lone]);
      for (const node of adversary.honest) if (!hasQuorum(adversary.set, adversary.power(some))) some.add(node);
      hearers.set(place, some);
    }
    return some;
  };
  let strikes = 0;
  const onLock = (): void => {
    const luck = rng.next();
    strikes++;
    if (luck < 0.5)
      adversary.strike('crash of the locked one', () => {
        lone.crash('crashes');
      });
    else if (luck < 0.7)
      adversary.strike('cut of the locked one', () => {
        adversary.cutOff([lone], rng.between(300, 3_000));
      });
  };
  let locked = '';
  return {
    name: 'lonely polka',
    get isOver() {
      return strikes > 3;
    },
    loses: ({ from, to, votes, proposals }) => {
      const hers = votes.filter((vote) => isOf(vote, [lone]) && vote.blockId !== null && wanted(vote.round));
      const lock = from === lone ? hers.find(({ type }) => type === 'precommit') : undefined;
      if (lock && locked !== `${lock.height}/${lock.round}`) {
        locked = `${lock.height}/${lock.round}`;
        onLock();
      }
      if (to === lone) return false;
      if (hers.some(({ type }) => type === 'prevote')) return true;
      return proposals.some(
        ({ height, round, polRound }) => polRound < 0 && wanted(round) && !hearersOf(`${height}/${round}`).has(to),
      );
    },
  };
}

/** All precommits reach one node alone; once it has decided it is gone, and the others must come to the same block. */
function lonelyDecision(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const [lone] = adversary.honest;
  if (!lone) return null;
  const height = adversary.height + 1;
  const silent = rng.chance(0.7);
  let struck = false;
  return {
    name: 'lonely decision',
    get isOver() {
      return struck;
    },
    loses: ({ from, to, votes }) => {
      if (!struck && lone.stored.height >= height) {
        struck = true;
        if (rng.chance(0.5)) adversary.cutOff([lone], rng.between(500, 6_000));
        adversary.strike('crash of the one that decided', () => {
          lone.crash('crashes');
        });
        return from === lone;
      }
      if (to === lone) return false;
      return votes.some((vote) => {
        return vote.height === height && vote.type === 'precommit' && (silent || !isOf(vote, [lone]));
      });
    },
  };
}

/** Who is what when a block is to be decided by certificates of different rounds. */
interface Split {
  /** Decides in round 0, and is not heard any more. */
  readonly lone: SimNode;
  /** See no proposal in round 0 and precommit nil, so that the others leave the round. */
  readonly blind: readonly SimNode[];
}

/** @returns null where powers do not allow it */
function splitBy(adversary: Adversary, proposer: SimNode): Split | null {
  const { set } = adversary;
  const isQuorum = (some: readonly SimNode[]): boolean => hasQuorum(set, adversary.power(some));
  const [lone, ...others] = adversary.honest.filter(({ isUp }) => isUp);
  if (proposer.isTraitor || !lone || !isQuorum(others)) return null;
  const blind: SimNode[] = [];
  const seeing = (): SimNode[] => others.filter((node) => !blind.includes(node));
  for (const node of others) if (node !== proposer && isQuorum(seeing())) blind.push(node);
  const [extra] = seeing().filter((node) => node !== proposer);
  if (blind.length === 0 && extra) blind.push(extra);
  return blind.length > 0 && !isQuorum(seeing()) && isQuorum([lone, ...seeing()]) ? { lone, blind } : null;
}

/**
 * One node decides in round 0 on precommits that are no quorum without its own, which nobody hears; the others leave the
 * round, locked, and decide on the same block in a later one. Their certificates tell of proposers that let their turn
 * pass, its own does not.
 */
function splitDecision(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const lateRound = rng.pick([2, 2, 3]);
  let height = adversary.height;
  let split: Split | null = null;
  let struck = false;
  const watch = ({ from, proposals }: Carried): void => {
    const isFirst = ({ round, height: at, proposer }: Proposal): boolean =>
      round === 0 && at > adversary.height && equalBytes(proposer, from.publicKey);
    const fresh = proposals.find(isFirst);
    if (fresh && !split && fresh.height > height) {
      height = fresh.height;
      split = splitBy(adversary, from);
      if (split) adversary.hold(8_000);
    }
  };
  /** Its status must not tell them: they would fetch the block. */
  const silence = (): void => {
    if (!split || struck || split.lone.stored.height < height) return;
    const { lone } = split;
    struck = true;
    adversary.cutOff([lone], rng.between(5_000, 12_000), false);
    adversary.strike('crash of the one that decided alone', () => {
      if (rng.chance(0.5)) lone.crash('crashes');
    });
  };
  const isLostVote = (vote: Vote, to: SimNode, { lone, blind }: Split): boolean => {
    if (vote.height !== height || vote.round >= lateRound) return false;
    const isForeign = isOf(vote, [lone]) || adversary.nodes.some((node) => node.isTraitor && isOf(vote, [node]));
    return isForeign && (vote.type === 'precommit' || (vote.round === 0 && blind.includes(to)));
  };
  return {
    name: 'split decision',
    notice: silence,
    get isOver() {
      return split !== null && adversary.nodes.every((node) => node.stored.height >= height || node.isTraitor);
    },
    loses: (carried) => {
      watch(carried);
      if (!split) return false;
      const roles = split;
      const { lone, blind } = roles;
      const { from, to, votes, proposals } = carried;
      const isLost = ({ height: at, round }: Proposal): boolean =>
        at === height && round < lateRound && (round > 0 || blind.includes(to));
      if (proposals.some(isLost)) return true;
      if (to === lone) return false;
      return (struck && from === lone) || votes.some((vote) => isLostVote(vote, to, roles));
    },
  };
}

/**
 * What one key signs at a height reaches nobody, and nobody decides it. Then its folder is replaced by an older copy: only
 * certificates of lower heights tell that the key was used, and nothing tells what it signed here.
 */
export function forgottenVotes(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const [victim] = rng.shuffled(adversary.restorable);
  if (!victim) return null;
  const begunAt = adversary.height + 1;
  /** Nobody has heard of a proposal for it when it is chosen. */
  let height: number | null = null;
  /** It votes nil, and would vote for the proposal once it hears it. */
  const isDeaf = rng.chance(0.8);
  let restoredAtMs: number | null = null;
  let isBegun = false;
  const strike = (): void => {
    isBegun = true;
    adversary.strike(
      'restore of the one nobody heard',
      () => {
        if (!adversary.restorable.includes(victim)) return;
        victim.restore();
        restoredAtMs = adversary.nowMs;
        adversary.startWithin(victim, 200);
      },
      400,
    );
  };
  return {
    name: 'forgotten votes',
    get isOver() {
      return restoredAtMs !== null && adversary.nowMs > restoredAtMs + 5_000;
    },
    loses: ({ from, to, votes, proposals }) => {
      const isHere = (place: { readonly height: number }): boolean => place.height === height;
      const fresh = proposals.find((proposal) => proposal.round === 0 && proposal.height > begunAt);
      if (height === null && fresh && adversary.restorable.includes(victim)) {
        height = fresh.height;
        adversary.hold(8_000);
      }
      if (!isBegun && from === victim && votes.some((vote) => isHere(vote) && isOf(vote, [victim]))) strike();
      if (restoredAtMs !== null && to === victim) return false;
      if (votes.some(isHere)) return true;
      return restoredAtMs === null && proposals.some(isHere) && (from === victim || (to === victim && isDeaf));
    },
  };
}

/** Votes of one type or proposals, of some rounds and one or all nodes, reach some nodes only. */
function unheard(adversary: Adversary): Scheme | null {
  const { rng } = adversary;
  const deaf = new Set(adversary.nodes.filter(() => rng.chance(0.5)));
  const source = rng.chance(0.5) ? [rng.pick(adversary.nodes)] : adversary.nodes;
  const kind = rng.pick(['prevote', 'precommit', 'proposal'] as const);
  const parity = rng.pick([0, 1, 2]);
  const isMeant = (round: number): boolean => parity === 2 || round % 2 === parity;
  return {
    name: `unheard ${kind}s`,
    isOver: false,
    loses: ({ to, votes, proposals }) => {
      if (!deaf.has(to)) return false;
      if (kind === 'proposal') return proposals.some(({ round }) => isMeant(round));
      return votes.some((vote) => vote.type === kind && isMeant(vote.round) && isOf(vote, source));
    },
  };
}

/**
 * A round ends in nil on precommits that only some saw: those who vanish, and one that was not there and goes on at once,
 * signs in the next round, and crashes. It is a quorum with those left behind, who must be shown the votes of the vanished.
 */
function stranded(adversary: Adversary): Scheme | null {
  const { rng, set } = adversary;
  const total = set.totalPower;
  const [ahead, ...rest] = adversary.honest;
  if (!ahead) return null;
  const traitors = adversary.nodes.filter((node) => node.isTraitor && adversary.power([node]) > 0);
  const gone: SimNode[] = [];
  for (const node of [...traitors, ...rest]) {
    if (3 * adversary.power([...gone, node]) <= total) gone.push(node);
  }
  const left = rest.filter((node) => !gone.includes(node));
  const isTrap =
    !hasQuorum(set, adversary.power(left)) &&
    hasQuorum(set, adversary.power([...left, ...gone])) &&
    hasQuorum(set, adversary.power([ahead, ...left])) &&
    3 * adversary.power([ahead]) <= total;
  if (!isTrap || gone.length === 0) return null;
  let height = adversary.height + 1;
  let lostRound: number | null = null;
  let voted = new Map<number, Set<SimNode>>();
  let struck = false;
  const strike = (): void => {
    struck = true;
    const ms = rng.between(10_000, 25_000);
    adversary.cutOff(gone, ms);
    adversary.want([ahead, ...left], ms);
    adversary.strike('crash of the one ahead', () => {
      ahead.crash('crashes');
    });
  };
  const watch = ({ from, votes }: Carried): void => {
    if (adversary.height >= height) {
      height = adversary.height + 1;
      lostRound = null;
      voted = new Map();
    }
    for (const vote of votes) {
      if (vote.height !== height || !isOf(vote, [from])) continue;
      if (from === ahead && lostRound !== null && vote.round > lostRound) strike();
      if (vote.type !== 'precommit' || vote.blockId !== null || lostRound !== null) continue;
      const voters = voted.get(vote.round) ?? new Set();
      voted.set(vote.round, voters.add(from));
      if (hasQuorum(set, adversary.power(voters))) lostRound = vote.round;
    }
  };
  return {
    name: 'stranded',
    get isOver() {
      return struck;
    },
    loses: (carried) => {
      const { from, to, votes, proposals } = carried;
      watch(carried);
      if (proposals.length > 0 || from === ahead) return true;
      if (to === ahead) return lostRound === null;
      if (!left.includes(to)) return false;
      return votes.some((vote) => {
        return isOf(vote, gone) && (vote.type === 'precommit' || (lostRound !== null && vote.round > lostRound));
      });
    },
  };
}
