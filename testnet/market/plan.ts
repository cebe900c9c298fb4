/** Which writes there are, whom to kill at each, and which of that a short run takes. */
import type { Random } from '../load/random.ts';
import type { When } from './kill-order.ts';

/** `command`: a job of the command line, through n1. `door`: one that n1 pays for, over HTTP. */
export const SCRIPTS = ['command', 'door'] as const;
export type Script = (typeof SCRIPTS)[number];

/** Whose rows are written. */
export const WRITERS = ['client', 'miner'] as const;
export type Writer = (typeof WRITERS)[number];

/** `client`: whoever has the coordinator. `validator`: the node that the client goes through, or another one. */
export const PARTIES = ['client', 'miner', 'executor', 'validator'] as const;
export type Party = (typeof PARTIES)[number];

/** How often each side writes in one job. */
export type Writes = Readonly<Record<Script, Readonly<Record<Writer, number>>>>;

export interface KillPoint {
  readonly script: Script;
  readonly writer: Writer;
  /** From 1. */
  readonly call: number;
  readonly when: When;
  readonly victim: Party;
}

export const PAIRS = ['client-miner', 'miner-validators', 'coordinator-validators'] as const;

export interface Cut {
  readonly script: Script;
  readonly pair: (typeof PAIRS)[number];
  /** Bytes are held and nobody is told, or connections are reset. */
  readonly mode: 'held' | 'reset';
}

export function killPoints(writes: Writes): KillPoint[] {
  return SCRIPTS.flatMap((script) =>
    WRITERS.flatMap((writer) =>
      Array.from({ length: writes[script][writer] }, (_, i) =>
        (['before', 'after'] as const).flatMap((when) =>
          PARTIES.map((victim): KillPoint => ({ script, writer, call: i + 1, when, victim })),
        ),
      ).flat(),
    ),
  );
}

export function cuts(): Cut[] {
  return SCRIPTS.flatMap((script) =>
    PAIRS.flatMap((pair) => (['held', 'reset'] as const).map((mode): Cut => ({ script, pair, mode }))),
  );
}

/** As many as asked for, parties in turn, so that a short run kills each; all when there are no more. */
export function samplePoints(points: readonly KillPoint[], count: number, random: Random): KillPoint[] {
  if (count >= points.length) return [...points];
  const shuffled = random.shuffle(points);
  const byParty = random.shuffle(PARTIES).map((party) => shuffled.filter(({ victim }) => victim === party));
  const rounds = Array.from({ length: Math.ceil(points.length) }, (_, round) =>
    byParty.flatMap((ofParty) => ofParty.slice(round, round + 1)),
  );
  return rounds.flat().slice(0, count);
}

export function pointName({ script, writer, call, when, victim }: KillPoint): string {
  return `${victim} killed ${when} write ${call} of the ${writer}, ${script}`;
}

export function cutName({ script, pair, mode }: Cut): string {
  return `${pair} cut (${mode}), ${script}`;
}
