/** What the validators module keeps in the state, and its encodings. */
import type { Address, PublicKey, Signature } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import { Reader, Writer } from '../codec.ts';
import type { StateAccess, StateKey, StateReader } from '../state.ts';
import { stateKey } from '../state.ts';
import type { ValidatorSet } from '../validator-set.ts';
import { MAX_NAME_BYTES, MAX_VALIDATORS, readValidatorSet, writeValidatorSet } from '../validator-set.ts';

export const VALIDATORS_MODULE = 2;

/** A change of one key. `proof`: the new key's signature over `validatorKeySignBytes` of its operator. */
export type Change =
  | {
      readonly kind: 'add';
      readonly publicKey: PublicKey;
      readonly operator: Address;
      readonly name: string;
      readonly proof: Signature;
    }
  | { readonly kind: 'remove'; readonly publicKey: PublicKey }
  | { readonly kind: 'rotate'; readonly publicKey: PublicKey; readonly newKey: PublicKey; readonly proof: Signature };

export interface ChangeProposal {
  readonly change: Change;
  readonly expiresAtHeight: number;
  /** Operators in the order they voted; the first proposed it. */
  readonly votes: readonly Address[];
}

/** When a key validates: heights in [since, until). */
export interface KeyRecord {
  readonly sinceHeight: number;
  readonly untilHeight: number | null;
  readonly convicted: boolean;
}

/**
 * After block h: the sets of h, h + 1 and h + 2, each with the priorities it starts with. `last` and `current` also have
 * the demotions of their heights; those of `next` are known one block later.
 */
export interface ValidatorSets {
  /** Who signed block h; null after genesis. */
  readonly last: ValidatorSet | null;
  /** Who made block h; null after genesis. */
  readonly proposer: PublicKey | null;
  readonly current: ValidatorSet;
  readonly next: ValidatorSet;
}

const key = (prefix: number, rest: Uint8Array = new Uint8Array()): StateKey =>
  stateKey(VALIDATORS_MODULE, Uint8Array.of(prefix, ...rest));

const SETS_KEY = key(1);
const proposalKey = (id: number): StateKey => key(2, new Writer(8).u64(id).finish());
const NEXT_ID_KEY = key(3);
const QUEUE_KEY = key(4);
const recordKey = (publicKey: PublicKey): StateKey => key(5, publicKey);
const OPEN_KEY = key(6);
export const ABSENCES_KEY = key(7);

const MAX_QUEUE = 1024;

/** The last decoded sets: they are read several times a block and change once. */
const decodedSets = new WeakMap<Uint8Array, ValidatorSets>();

export function getSets(state: StateReader): ValidatorSets {
  const bytes = state.get(SETS_KEY);
  if (!bytes) throw new NodeError('CORRUPT', 'the state has no validator sets');
  const known = decodedSets.get(bytes);
  if (known) return known;
  const reader = new Reader(bytes, 'validator sets');
  const last = reader.bool() ? readValidatorSet(reader) : null;
  const proposer = last === null ? null : reader.fixed(32);
  const sets = { last, proposer, current: readValidatorSet(reader), next: readValidatorSet(reader) };
  reader.end();
  decodedSets.set(bytes, sets);
  return sets;
}

export function setSets(state: StateAccess, sets: ValidatorSets): void {
  const writer = new Writer(512);
  writer.bool(sets.last !== null);
  if (sets.last !== null) {
    writeValidatorSet(writer, sets.last);
    writer.fixed(sets.proposer ?? new Uint8Array(), 32);
  }
  writeValidatorSet(writer, sets.current);
  writeValidatorSet(writer, sets.next);
  const bytes = writer.finish();
  decodedSets.set(bytes, sets);
  state.set(SETS_KEY, bytes);
}

export function getKeyRecord(state: StateReader, publicKey: PublicKey): KeyRecord | undefined {
  const bytes = state.get(recordKey(publicKey));
  if (!bytes) return undefined;
  const reader = new Reader(bytes, 'key record');
  const record = {
    sinceHeight: reader.u64(),
    untilHeight: reader.bool() ? reader.u64() : null,
    convicted: reader.bool(),
  };
  reader.end();
  return record;
}

export function setKeyRecord(state: StateAccess, publicKey: PublicKey, record: KeyRecord): void {
  const writer = new Writer(24).u64(record.sinceHeight).bool(record.untilHeight !== null);
  if (record.untilHeight !== null) writer.u64(record.untilHeight);
  state.set(recordKey(publicKey), writer.bool(record.convicted).finish());
}

/** Takes the next id. */
export function nextProposalId(state: StateAccess): number {
  const bytes = state.get(NEXT_ID_KEY);
  const id = bytes ? new Reader(bytes, 'proposal id').u64() : 1;
  state.set(NEXT_ID_KEY, new Writer(8).u64(id + 1).finish());
  return id;
}

export function getOpenProposals(state: StateReader): readonly number[] {
  const bytes = state.get(OPEN_KEY);
  if (!bytes) return [];
  const reader = new Reader(bytes, 'open proposals');
  const ids = Array.from({ length: reader.count16(MAX_QUEUE, 8) }, () => reader.u64());
  reader.end();
  return ids;
}

export function setOpenProposals(state: StateAccess, ids: readonly number[]): void {
  const writer = new Writer(2 + ids.length * 8).u16(ids.length);
  for (const id of ids) writer.u64(id);
  state.set(OPEN_KEY, ids.length === 0 ? undefined : writer.finish());
}

export function getProposal(state: StateReader, id: number): ChangeProposal | undefined {
  const bytes = state.get(proposalKey(id));
  if (!bytes) return undefined;
  const reader = new Reader(bytes, 'change proposal');
  const change = readChange(reader);
  const expiresAtHeight = reader.u64();
  const votes = Array.from({ length: reader.count16(MAX_VALIDATORS, 20) }, () => reader.fixed(20));
  reader.end();
  return { change, expiresAtHeight, votes };
}

export function setProposal(state: StateAccess, id: number, proposal: ChangeProposal | undefined): void {
  if (!proposal) {
    state.set(proposalKey(id), undefined);
    return;
  }
  const writer = new Writer(256);
  writeChange(writer, proposal.change);
  writer.u64(proposal.expiresAtHeight).u16(proposal.votes.length);
  for (const vote of proposal.votes) writer.fixed(vote, 20);
  state.set(proposalKey(id), writer.finish());
}

export function getQueue(state: StateReader): readonly Change[] {
  const bytes = state.get(QUEUE_KEY);
  if (!bytes) return [];
  const reader = new Reader(bytes, 'change queue');
  const queue = Array.from({ length: reader.count16(MAX_QUEUE, 33) }, () => readChange(reader));
  reader.end();
  return queue;
}

/** Never above MAX_QUEUE: proposals in it were open, and each key is convicted once. */
export function setQueue(state: StateAccess, queue: readonly Change[]): void {
  const kept = queue.slice(0, MAX_QUEUE);
  const writer = new Writer(256).u16(kept.length);
  for (const change of kept) writeChange(writer, change);
  state.set(QUEUE_KEY, kept.length === 0 ? undefined : writer.finish());
}

export function writeChange(writer: Writer, change: Change): void {
  switch (change.kind) {
    case 'add':
      writer.u8(1).fixed(change.publicKey, 32).fixed(change.operator, 20).ascii8(change.name).fixed(change.proof, 64);
      return;
    case 'remove':
      writer.u8(2).fixed(change.publicKey, 32);
      return;
    case 'rotate':
      writer.u8(3).fixed(change.publicKey, 32).fixed(change.newKey, 32).fixed(change.proof, 64);
      return;
  }
}

export function readChange(reader: Reader): Change {
  const kind = reader.u8();
  const publicKey = reader.fixed(32);
  switch (kind) {
    case 1:
      return {
        kind: 'add',
        publicKey,
        operator: reader.fixed(20),
        name: reader.ascii8(MAX_NAME_BYTES),
        proof: reader.fixed(64),
      };
    case 2:
      return { kind: 'remove', publicKey };
    case 3:
      return { kind: 'rotate', publicKey, newKey: reader.fixed(32), proof: reader.fixed(64) };
    default:
      throw reader.reject('non-canonical');
  }
}
