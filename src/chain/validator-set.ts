/**
 * The validator set of a height: powers, quorum arithmetic and the weighted round robin whose priorities live in the
 * state (CometBFT spec/consensus/proposer-selection.md gives the algorithm: add power, pick the highest, subtract total).
 */
import type { Address, Hash, PublicKey } from '../bytes.ts';
import { bytesKey, compareBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { Reader, Writer } from './codec.ts';
import type { Hasher } from './crypto/types.ts';

export const MAX_VALIDATORS = 128;
/** So that sums and priorities of a full set stay far inside safe integers. */
export const MAX_POWER = 2 ** 36;
export const MAX_NAME_BYTES = 32;

export interface Validator {
  readonly publicKey: PublicKey;
  readonly power: number;
  /** The account that speaks for this key in votes of admission. */
  readonly operator: Address;
  readonly name: string;
  /** Weighted-round-robin credit; signed. */
  readonly priority: number;
  /** It let turns pass of late: others propose before it at this height. */
  readonly demoted: boolean;
}

/** Ordered by public key, strictly; never empty; total power above zero. */
export interface ValidatorSet {
  readonly validators: readonly Validator[];
  readonly totalPower: number;
}

/** @throws NodeError BAD_BLOCK when the set is empty, too large, holds a key twice or a power out of range */
export function createValidatorSet(validators: readonly Validator[]): ValidatorSet {
  const sorted = [...validators].sort((a, b) => compareBytes(a.publicKey, b.publicKey));
  const totalPower = sorted.reduce((sum, validator) => sum + validator.power, 0);
  const distinct = new Set(sorted.map((validator) => bytesKey(validator.publicKey))).size;
  const powersFit = sorted.every(({ power }) => Number.isInteger(power) && power > 0 && power <= MAX_POWER);
  if (sorted.length === 0 || sorted.length > MAX_VALIDATORS || distinct !== sorted.length || !powersFit) {
    throw new NodeError('BAD_BLOCK', 'not a validator set', { data: { size: sorted.length, totalPower } });
  }
  return { validators: sorted, totalPower };
}

/** What follows from keys, powers, operators and names, and is worked out once for all sets that share these. */
interface Identity {
  index?: ReadonlyMap<string, number>;
  hash?: Hash;
}

const identities = new WeakMap<ValidatorSet, Identity>();

function identityOf(set: ValidatorSet): Identity {
  const known = identities.get(set);
  if (known) return known;
  const identity: Identity = {};
  identities.set(set, identity);
  return identity;
}

/** @param validators those of the set, in its order, with other priorities or demotions */
function withSameIdentity(set: ValidatorSet, validators: readonly Validator[]): ValidatorSet {
  const made = { validators, totalPower: set.totalPower };
  identities.set(made, identityOf(set));
  return made;
}

/** Index of a key in the set, −1 for strangers. */
export function validatorIndex(set: ValidatorSet, publicKey: PublicKey): number {
  const identity = identityOf(set);
  identity.index ??= new Map(set.validators.map((validator, i) => [bytesKey(validator.publicKey), i]));
  return identity.index.get(bytesKey(publicKey)) ?? -1;
}

export function findValidator(set: ValidatorSet, publicKey: PublicKey): Validator | undefined {
  return set.validators[validatorIndex(set, publicKey)];
}

/** 3·power >= 2·total: safe while Byzantine power is below a third. */
export function hasQuorum(set: ValidatorSet, power: number): boolean {
  return 3 * power >= 2 * set.totalPower;
}

/** 3·power > total: enough to hold a correct validator when Byzantine power is at most a third; used for round skip. */
export function exceedsOneThird(set: ValidatorSet, power: number): boolean {
  return 3 * power > set.totalPower;
}

interface Rotation {
  readonly set: ValidatorSet;
  readonly proposer: Validator;
}

/** One step of the round robin: everyone gains its power, the highest wins and pays the total. Ties: lowest index. */
export function rotate(set: ValidatorSet): Rotation {
  const raised = set.validators.map((validator) => ({ ...validator, priority: validator.priority + validator.power }));
  const proposer = raised.reduce((best, validator) => (validator.priority > best.priority ? validator : best));
  const validators = raised.map((validator) =>
    validator === proposer ? { ...validator, priority: validator.priority - set.totalPower } : validator,
  );
  return { set: withSameIdentity(set, validators), proposer };
}

/** Who proposes in each round from 0 on, by index, and the set after as many steps. */
interface Turns {
  readonly proposers: number[];
  after: ValidatorSet;
}

const turnsOf = new WeakMap<ValidatorSet, Turns>();

/**
 * The proposer of a round, the set's priorities and demotions being those its height starts with: the winner of step
 * `round` + 1, but of as many steps as there are validators those of demoted ones come last. What is kept grows by one
 * number a round; callers bound rounds from the wire first.
 */
export function proposerOf(set: ValidatorSet, round: number): Validator {
  let turns = turnsOf.get(set);
  if (!turns) {
    turns = firstTurns(set);
    turnsOf.set(set, turns);
  }
  takeTurns(set, turns, round + 1);
  const proposer = set.validators[turns.proposers[round] ?? -1];
  if (!proposer) throw new NodeError('INTERNAL', 'no such round', { data: { round } });
  return proposer;
}

function takeTurns(set: ValidatorSet, turns: Turns, count: number): void {
  while (turns.proposers.length < count) {
    const { set: after, proposer } = rotate(turns.after);
    turns.proposers.push(validatorIndex(set, proposer.publicKey));
    turns.after = after;
  }
}

/** Reordered, never dropped: whoever is demoted by mistake, or all, costs time alone. */
function firstTurns(set: ValidatorSet): Turns {
  const turns: Turns = { proposers: [], after: set };
  const isDemoted = (index: number): boolean => set.validators[index]?.demoted === true;
  if (!set.validators.some(({ demoted }) => demoted)) return turns;
  takeTurns(set, turns, set.validators.length);
  const { proposers, after } = turns;
  const ready = proposers.filter((index) => !isDemoted(index));
  return { proposers: [...ready, ...proposers.filter(isDemoted)], after };
}

/** The same set with exactly these validators demoted. */
export function withDemotions(set: ValidatorSet, isDemoted: (validator: Validator) => boolean): ValidatorSet {
  if (set.validators.every((validator) => validator.demoted === isDemoted(validator))) return set;
  const validators = set.validators.map((validator) => ({ ...validator, demoted: isDemoted(validator) }));
  return withSameIdentity(set, validators);
}

/** What one approved change or conviction does to a set. `rotate` keeps power, operator, name and priority. */
export type SetChange =
  | { readonly kind: 'add'; readonly validator: Omit<Validator, 'priority' | 'demoted'> }
  | { readonly kind: 'remove'; readonly publicKey: PublicKey }
  | { readonly kind: 'rotate'; readonly publicKey: PublicKey; readonly newKey: PublicKey };

/**
 * Applies one change. A newcomer starts at −1.125 times the new total, so that leaving and joining again gains no turn;
 * priorities are then scaled into a window of twice the total and centred on zero (integers, truncating).
 *
 * @returns undefined when the change does not fit (unknown or present key, full set, power would reach zero)
 */
export function changeSet(set: ValidatorSet, change: SetChange): ValidatorSet | undefined {
  const index = change.kind === 'add' ? -1 : validatorIndex(set, change.publicKey);
  const target = set.validators[index];
  let validators: readonly Validator[];
  switch (change.kind) {
    case 'add': {
      if (validatorIndex(set, change.validator.publicKey) >= 0 || set.validators.length >= MAX_VALIDATORS) return;
      const total = set.totalPower + change.validator.power;
      const priority = -(total + Math.floor(total / 8));
      validators = [...set.validators, { ...change.validator, priority, demoted: false }];
      break;
    }
    case 'remove':
      if (!target || set.totalPower - target.power <= 0) return;
      validators = set.validators.filter((validator) => validator !== target);
      break;
    case 'rotate':
      if (!target || validatorIndex(set, change.newKey) >= 0) return;
      validators = set.validators.map((validator) =>
        validator === target ? { ...target, publicKey: change.newKey } : validator,
      );
      break;
  }
  return balance(createValidatorSet(validators));
}

function balance(set: ValidatorSet): ValidatorSet {
  const priorities = set.validators.map((validator) => validator.priority);
  const spread = Math.max(...priorities) - Math.min(...priorities);
  const window = 2 * set.totalPower;
  const ratio = spread > window ? Math.ceil(spread / window) : 1;
  const scaled = priorities.map((priority) => Math.trunc(priority / ratio));
  const mean = Math.trunc(scaled.reduce((sum, priority) => sum + priority, 0) / scaled.length);
  // Adding zero turns the −0 of truncation into the 0 that its encoding decodes to.
  const validators = set.validators.map((validator, i) => ({ ...validator, priority: (scaled[i] ?? 0) - mean + 0 }));
  return withSameIdentity(set, validators);
}

// Codec

/** What headers commit to: keys, powers, operators and names, without priorities and demotions. */
export function validatorSetHash(hasher: Hasher, set: ValidatorSet): Hash {
  const identity = identityOf(set);
  if (identity.hash) return identity.hash;
  const writer = new Writer(128);
  writer.u16(set.validators.length);
  for (const validator of set.validators) writeIdentity(writer, validator);
  identity.hash = hasher.hash(writer.finish());
  return identity.hash;
}

export function writeValidatorSet(writer: Writer, set: ValidatorSet): void {
  writer.u16(set.validators.length);
  for (const validator of set.validators) {
    writeIdentity(writer, validator);
    writer.i64(validator.priority).bool(validator.demoted);
  }
}

export function readValidatorSet(reader: Reader): ValidatorSet {
  const count = reader.count16(MAX_VALIDATORS, 70);
  const validators: Validator[] = [];
  let totalPower = 0;
  for (let i = 0; i < count; i++) {
    const publicKey = reader.fixed(32);
    const power = reader.u64();
    const operator = reader.fixed(20);
    const name = reader.ascii8(MAX_NAME_BYTES);
    const priority = reader.i64();
    const demoted = reader.bool();
    const previous = validators.at(-1);
    if (previous && compareBytes(previous.publicKey, publicKey) >= 0) throw reader.reject('non-canonical');
    if (power === 0 || power > MAX_POWER) throw reader.reject('out-of-range');
    totalPower += power;
    validators.push({ publicKey, power, operator, name, priority, demoted });
  }
  if (totalPower === 0) throw reader.reject('out-of-range');
  return { validators, totalPower };
}

export function encodeValidatorSet(set: ValidatorSet): Uint8Array {
  const writer = new Writer(128);
  writeValidatorSet(writer, set);
  return writer.finish();
}

export function decodeValidatorSet(bytes: Uint8Array): ValidatorSet {
  const reader = new Reader(bytes, 'validator set');
  const set = readValidatorSet(reader);
  reader.end();
  return set;
}

function writeIdentity(writer: Writer, validator: Validator): void {
  writer.fixed(validator.publicKey, 32).u64(validator.power).fixed(validator.operator, 20).ascii8(validator.name);
}
