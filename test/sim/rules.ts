/**
 * The rules of agreement, judged by what was signed and said: each published vote of an honest key must be one that a
 * correct process could have sent, whatever it received. Own reading of the sign bytes, own count of the power. Every
 * rule errs towards silence: traitors count as having signed everything, messages as known to all.
 */

/** What stands in the bytes that a validator signs. */
export interface Signed {
  readonly kind: 'prevote' | 'precommit' | 'proposal';
  readonly height: number;
  readonly round: number;
  /** Of a proposal; −1 for a fresh value, and of votes. */
  readonly polRound: number;
  /** Hex; null is nil. */
  readonly blockId: string | null;
}

export interface Member {
  readonly key: string;
  readonly power: number;
  readonly isTraitor: boolean;
}

export interface Electorate {
  readonly members: readonly Member[];
  /** Key of who proposes. */
  readonly proposer: (round: number) => string;
}

interface Ballot {
  readonly prevotes: Map<string, Set<string>>;
  readonly precommits: Map<string, Set<string>>;
  /** By key: ids of the blocks it proposed. */
  readonly proposals: Map<string, Set<string | null>>;
}

interface HeightRecord {
  readonly ballots: Map<number, Ballot>;
  /** By key: the highest round it signed a vote in. */
  readonly tops: Map<string, number>;
  /** By key: its published precommit for a block of the highest round. */
  readonly locks: Map<string, Signed>;
}

const NIL = 'nil';

/** @returns null for anything but a vote or a proposal */
export function readSignBytes(bytes: Uint8Array): Signed | null {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = view.toString('latin1', 1, 1 + view.readUInt8(0));
  if (kind !== 'AIT/prevote' && kind !== 'AIT/precommit' && kind !== 'AIT/proposal') return null;
  const chain = 1 + kind.length;
  let at = chain + 1 + view.readUInt8(chain) + 32;
  const height = Number(view.readBigUInt64BE(at));
  const round = view.readUInt32BE(at + 8);
  at += 12;
  if (kind === 'AIT/proposal') {
    const blockId = view.toString('hex', at + 4, at + 36);
    return { kind: 'proposal', height, round, polRound: view.readInt32BE(at), blockId };
  }
  const blockId = view.readUInt8(at) === 0 ? null : view.toString('hex', at + 1, at + 33);
  return { kind: kind === 'AIT/prevote' ? 'prevote' : 'precommit', height, round, polRound: -1, blockId };
}

export class AgreementRules {
  readonly #heights = new Map<number, HeightRecord>();
  readonly #invalid = new Set<string>();
  readonly #honest = new Set<string>();
  /** By key: heights up to this one, a restored folder may not know what it signed there. */
  readonly #forgotten = new Map<string, number>();

  /** A traitor made this block, and no correct node can find it valid. */
  onInvalid(blockId: string): void {
    this.#invalid.add(blockId);
  }

  /** A key that is no traitor's proposed it. */
  isHonest(blockId: string): boolean {
    return this.#honest.has(blockId);
  }

  onForgotten(key: string, height: number): void {
    this.#forgotten.set(key, Math.max(height, this.#forgotten.get(key) ?? 0));
  }

  /** A key made a signature, published or not. */
  onSigned(key: string, signed: Signed, isHonest: boolean): void {
    const record = this.#at(signed.height);
    const ballot = ballotOf(record, signed.round);
    if (signed.kind === 'proposal') {
      include(ballot.proposals, key, signed.blockId);
      if (signed.blockId !== null && isHonest) this.#honest.add(signed.blockId);
      return;
    }
    include(signed.kind === 'prevote' ? ballot.prevotes : ballot.precommits, signed.blockId ?? NIL, key);
    record.tops.set(key, Math.max(signed.round, record.tops.get(key) ?? -1));
  }

  /** @returns what is wrong with an honest key's first publication of this; null when nothing is */
  judge(key: string, signed: Signed, electorate: Electorate): string | null {
    const record = this.#at(signed.height);
    const fault = this.#entered(record, key, signed, electorate) ?? this.#content(record, key, signed, electorate);
    if (signed.kind === 'precommit' && signed.blockId !== null) {
      if (signed.round > (record.locks.get(key)?.round ?? -1)) record.locks.set(key, signed);
    }
    return fault;
  }

  #content(record: HeightRecord, key: string, signed: Signed, electorate: Electorate): string | null {
    const { kind, round, polRound, blockId } = signed;
    if (blockId === null) return null;
    if (this.#invalid.has(blockId)) return 'signs for an invalid block';
    switch (kind) {
      case 'proposal':
        if (polRound < 0 || hasPolka(record, polRound, blockId, electorate)) return null;
        return `proposes with a polka of round ${polRound} that nobody can have`;
      case 'precommit':
        return hasPolka(record, round, blockId, electorate) ? null : 'precommits without a polka';
      case 'prevote':
        return this.#prevote(record, key, signed, electorate);
    }
  }

  /** L22–L33: what its proposer proposed, and what the lock allows. */
  #prevote(record: HeightRecord, key: string, signed: Signed, electorate: Electorate): string | null {
    const { height, round, blockId } = signed;
    if (blockId === null) return null;
    const proposer = electorate.proposer(round);
    const isHonest = electorate.members.some((member) => member.key === proposer && !member.isTraitor);
    const proposed = record.ballots.get(round)?.proposals.get(proposer);
    if (isHonest && proposed?.has(blockId) !== true)
      return 'prevotes for what the proposer of the round did not propose';
    const lock = record.locks.get(key);
    const isFree = !lock || lock.round >= round || lock.blockId === blockId;
    if (isFree || height <= (this.#forgotten.get(key) ?? 0)) return null;
    for (let at = lock.round; at < round; at++) if (hasPolka(record, at, blockId, electorate)) return null;
    return `prevotes against its lock of round ${lock.round}`;
  }

  /** L55–L56 and L65–L67: a quorum of precommits of the round before, or more than a third in this round or above. */
  #entered(record: HeightRecord, key: string, { round }: Signed, { members }: Electorate): string | null {
    if (round === 0) return null;
    const before = record.ballots.get(round - 1)?.precommits ?? new Map<string, Set<string>>();
    const left = powerOf(members, (voter) => [...before.values()].some((voters) => voters.has(voter)));
    if (isQuorum(left, members)) return null;
    const ahead = powerOf(members, (voter) => voter !== key && (record.tops.get(voter) ?? -1) >= round);
    return 3 * ahead > total(members) ? null : 'is in a round that nothing leads to';
  }

  #at(height: number): HeightRecord {
    let record = this.#heights.get(height);
    if (!record) {
      record = { ballots: new Map(), tops: new Map(), locks: new Map() };
      this.#heights.set(height, record);
    }
    return record;
  }
}

function include<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const known = map.get(key);
  if (known) known.add(value);
  else map.set(key, new Set([value]));
}

function ballotOf(record: HeightRecord, round: number): Ballot {
  let ballot = record.ballots.get(round);
  if (!ballot) {
    ballot = { prevotes: new Map(), precommits: new Map(), proposals: new Map() };
    record.ballots.set(round, ballot);
  }
  return ballot;
}

function hasPolka(record: HeightRecord, round: number, blockId: string, { members }: Electorate): boolean {
  const voters = record.ballots.get(round)?.prevotes.get(blockId);
  return isQuorum(
    powerOf(members, (key) => voters?.has(key) === true),
    members,
  );
}

/** Of those of whom it holds, and of all traitors. */
function powerOf(members: readonly Member[], holds: (key: string) => boolean): number {
  return members.reduce((sum, { key, power, isTraitor }) => (isTraitor || holds(key) ? sum + power : sum), 0);
}

function total(members: readonly Member[]): number {
  return members.reduce((sum, { power }) => sum + power, 0);
}

function isQuorum(power: number, members: readonly Member[]): boolean {
  return 3 * power >= 2 * total(members);
}
