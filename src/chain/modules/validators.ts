/**
 * Who validates: authorities in genesis, changed by votes of their operators, and by evidence.
 *
 * The set of height h is S(h); S(h + 1) = rotate(S(h)), and what block h decides shows in S(h + 2). After block h the state
 * holds S(h) as `last`, S(h + 1) as `current` and S(h + 2) as `next`. Approved changes and convictions wait in a queue that gives one key
 * a height, so that two neighbouring sets never differ by more than one key.
 */
import type { Address, PublicKey, Signature } from '../../bytes.ts';
import { bytesKey, equalBytes, toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import { formatAddress, parseAddress } from '../address.ts';
import { MAX_U64, Reader, Writer } from '../codec.ts';
import type { Evidence } from '../evidence.ts';
import { evidenceHeight, evidenceOffender } from '../evidence.ts';
import { checkKeys, jsonArray, jsonHex, jsonInteger, jsonObject, jsonString } from '../json.ts';
import { TxFailure } from '../receipt.ts';
import type { ChainContext } from '../signing.ts';
import { signBytesWriter } from '../signing.ts';
import type { StateAccess, StateReader } from '../state.ts';
import type { Validator, ValidatorSet } from '../validator-set.ts';
import {
  changeSet,
  createValidatorSet,
  findValidator,
  hasQuorum,
  MAX_NAME_BYTES,
  MAX_POWER,
  rotate,
  validatorIndex,
  withDemotions,
} from '../validator-set.ts';
import { getAbsences, isDemotedAt, nextAbsences, setAbsences } from './validators-absence.ts';
import type { BlockContext, HeadState, Json, JsonObject, Module, PendingWork, TxContext, TxType } from './types.ts';
import type { Change, ChangeProposal } from './validators-state.ts';
import {
  getKeyRecord,
  getOpenProposals,
  getProposal,
  getQueue,
  getSets,
  nextProposalId,
  readChange,
  setKeyRecord,
  setOpenProposals,
  setProposal,
  setQueue,
  setSets,
  VALIDATORS_MODULE,
  writeChange,
} from './validators-state.ts';

/** Proposals open at once, over all operators and by one of them. */
export const MAX_OPEN_PROPOSALS = 64;
export const MAX_OPEN_BY_OPERATOR = 8;

/** Event kinds. */
const EVENT_PROPOSED = 1;
const EVENT_APPROVED = 2;

/** What the owner of a validator key signs, to show that the key is theirs to bind to this operator. */
export function validatorKeySignBytes(chain: ChainContext, operator: Address): Uint8Array {
  return signBytesWriter('validator-key', chain).fixed(operator, 20).finish();
}

/** Type 2. Proposes a change; the proposer's own vote is included. */
export const proposeChange: TxType<Change> = {
  type: 2,
  name: 'validator.propose',
  encode: (change) => {
    const writer = new Writer(192);
    writeChange(writer, change);
    return writer.finish();
  },
  decode: (bytes) => {
    const reader = new Reader(bytes, 'validator change');
    const change = readChange(reader);
    reader.end();
    return change;
  },
  toJson: changeToJson,
  fromJson: changeFromJson,
  apply: (context, change) => {
    const { state, senderAddress, height, params } = context;
    const { next } = getSets(state);
    requireOperator(next, senderAddress);
    checkApplicable(context, next, change);
    const open = getOpenProposals(state);
    const own = open.filter((id) => {
      const proposer = getProposal(state, id)?.votes[0];
      return proposer !== undefined && equalBytes(proposer, senderAddress);
    });
    if (open.length >= MAX_OPEN_PROPOSALS || own.length >= MAX_OPEN_BY_OPERATOR) {
      throw new TxFailure('LIMIT', 'too many open proposals: vote on them or let them expire');
    }
    const id = nextProposalId(state);
    context.emit(EVENT_PROPOSED, new Writer(8).u64(id).finish());
    setOpenProposals(state, [...open, id]);
    const expiresAtHeight = Math.min(height + params.changeTtlBlocks, MAX_U64);
    setProposal(state, id, { change, expiresAtHeight, votes: [senderAddress] });
    settleProposal(context, id, next);
  },
};

/** Type 3. Payload: proposal id u64. A vote is a yes; who disagrees does not vote. */
export const voteChange: TxType<{ readonly proposal: number }> = {
  type: 3,
  name: 'validator.vote',
  encode: ({ proposal }) => new Writer(8).u64(proposal).finish(),
  decode: (bytes) => {
    const reader = new Reader(bytes, 'validator vote');
    const proposal = reader.u64();
    reader.end();
    return { proposal };
  },
  toJson: ({ proposal }) => ({ proposal }),
  fromJson: (json) => {
    checkKeys(json, ['proposal']);
    return { proposal: jsonInteger(json['proposal'], 'proposal') };
  },
  apply: (context, { proposal: id }) => {
    const { state, senderAddress } = context;
    const { next } = getSets(state);
    requireOperator(next, senderAddress);
    const proposal = getProposal(state, id);
    if (!proposal) throw new TxFailure('NOT_FOUND', 'no open proposal has this id');
    if (proposal.votes.some((voter) => equalBytes(voter, senderAddress))) {
      throw new TxFailure('ALREADY_DONE', 'this operator has voted for the proposal already');
    }
    setProposal(state, id, { ...proposal, votes: [...proposal.votes, senderAddress] });
    settleProposal(context, id, next);
  },
};

/** Moves a proposal with a quorum of power behind it into the queue. */
function settleProposal(context: TxContext, id: number, set: ValidatorSet): void {
  const { state } = context;
  const proposal = getProposal(state, id);
  if (!proposal || !hasQuorum(set, votedPower(set, proposal))) return;
  setProposal(state, id, undefined);
  setOpenProposals(
    state,
    getOpenProposals(state).filter((open) => open !== id),
  );
  setQueue(state, [...getQueue(state), proposal.change]);
  context.emit(EVENT_APPROVED, new Writer(8).u64(id).finish());
}

/** Power of the keys whose operators voted. */
function votedPower(set: ValidatorSet, proposal: ChangeProposal): number {
  const voters = new Set(proposal.votes.map(bytesKey));
  return set.validators.reduce((sum, { operator, power }) => sum + (voters.has(bytesKey(operator)) ? power : 0), 0);
}

function requireOperator(set: ValidatorSet, address: Address): void {
  if (!set.validators.some(({ operator }) => equalBytes(operator, address))) {
    throw new TxFailure('NOT_AUTHORISED', 'the sender is not the operator of a validator');
  }
}

/** A change that could not be applied now is refused at once, instead of failing silently after its vote. */
function checkApplicable(context: TxContext, set: ValidatorSet, change: Change): void {
  const { state, crypto, chain } = context;
  const target = change.kind === 'add' ? undefined : findValidator(set, change.publicKey);
  if (change.kind !== 'add' && !target) throw new TxFailure('NOT_FOUND', 'the key is not in the validator set');
  if (!resultOf(state, set, change)) throw new TxFailure('NOT_APPLICABLE', 'the change does not fit the validator set');
  if (change.kind === 'remove') return;
  const operator = change.kind === 'add' ? change.operator : (target?.operator ?? new Uint8Array(20));
  const key = change.kind === 'add' ? change.publicKey : change.newKey;
  if (!crypto.verify(validatorKeySignBytes(chain, operator), change.proof, key)) {
    throw new TxFailure('BAD_PROOF', 'the new key did not sign for this operator on this chain');
  }
}

/** The set a change leads to; undefined when it does not fit. Keys are never used twice, convicted ones never again. */
function resultOf(state: StateReader, set: ValidatorSet, change: Change): ValidatorSet | undefined {
  switch (change.kind) {
    case 'add': {
      if (getKeyRecord(state, change.publicKey)) return undefined;
      const power = Math.min(...set.validators.map((validator) => validator.power));
      const { publicKey, operator, name } = change;
      return changeSet(set, { kind: 'add', validator: { publicKey, operator, name, power } });
    }
    case 'remove':
      return changeSet(set, change);
    case 'rotate':
      if (getKeyRecord(state, change.newKey) || getKeyRecord(state, change.publicKey)?.convicted) return undefined;
      return changeSet(set, change);
  }
}

/** Takes one change from the queue into S(h + 2) and moves the sets on by a height; S(h + 1) gets its demotions. */
function endBlock({ state, height, proposer, lastCommit }: BlockContext): void {
  const sets = getSets(state);
  const { current, next } = sets;
  let following = rotate(next).set;
  const [change, ...rest] = getQueue(state);
  if (change) {
    setQueue(state, rest);
    const changed = resultOf(state, following, change);
    if (changed) {
      recordChange(state, change, height + 2);
      following = changed;
    }
  }
  const absences = nextAbsences(getAbsences(state), sets, { height, proposer, lastCommit });
  setAbsences(state, absences);
  const demoted = new Set(absences.filter((absence) => isDemotedAt(absence, height + 1)).map(keyOf));
  const starting = withDemotions(next, (validator) => demoted.has(keyOf(validator)));
  setSets(state, { last: current, proposer, current: starting, next: following });
  dropExpired(state, height);
}

function keyOf({ publicKey }: { readonly publicKey: PublicKey }): string {
  return bytesKey(publicKey);
}

function recordChange(state: StateAccess, change: Change, fromHeight: number): void {
  if (change.kind !== 'add') {
    const record = getKeyRecord(state, change.publicKey);
    if (record) setKeyRecord(state, change.publicKey, { ...record, untilHeight: fromHeight });
  }
  if (change.kind !== 'remove') {
    const key = change.kind === 'add' ? change.publicKey : change.newKey;
    setKeyRecord(state, key, { sinceHeight: fromHeight, untilHeight: null, convicted: false });
  }
}

function dropExpired(state: StateAccess, height: number): void {
  const open = getOpenProposals(state);
  const kept = open.filter((id) => (getProposal(state, id)?.expiresAtHeight ?? 0) > height);
  if (kept.length === open.length) return;
  for (const id of open) if (!kept.includes(id)) setProposal(state, id, undefined);
  setOpenProposals(state, kept);
}

/** Evidence against a key that validated at that height, not yet convicted, and not too old. Its removal goes first. */
function convict({ state, height, params }: BlockContext, evidence: Evidence): void {
  const key = evidenceOffender(evidence);
  const at = evidenceHeight(evidence);
  const record = getKeyRecord(state, key);
  const inSet = record && at >= record.sinceHeight && (record.untilHeight === null || at < record.untilHeight);
  if (!inSet || record.convicted || at > height || height - at > params.evidenceMaxAgeBlocks) {
    throw new NodeError('BAD_BLOCK', 'evidence does not apply: not a validator then, convicted already, or too old', {
      data: { validator: toHex(key), evidenceHeight: at, height },
    });
  }
  setKeyRecord(state, key, { ...record, convicted: true });
  if (validatorIndex(getSets(state).next, key) >= 0) {
    setQueue(state, [{ kind: 'remove', publicKey: key }, ...getQueue(state)]);
  }
}

/** A changed set takes effect, and queued changes are taken up, without waiting for traffic. */
function pendingWork({ state }: HeadState): PendingWork {
  const { current, next } = getSets(state);
  return { now: !sameMembers(current, next) || getQueue(state).length > 0, atMs: null };
}

function sameMembers(a: ValidatorSet, b: ValidatorSet): boolean {
  return (
    a.validators.length === b.validators.length &&
    a.validators.every((validator, i) => {
      const other = b.validators[i];
      return other && equalBytes(validator.publicKey, other.publicKey) && validator.power === other.power;
    })
  );
}

// Genesis

function genesisValidators(section: JsonObject): Validator[] {
  checkKeys(section, ['authorities']);
  const validators = jsonArray(section['authorities'], 'authorities').map((item, i) => {
    const entry = jsonObject(item, `authorities/${i}`);
    checkKeys(entry, ['public_key', 'power', 'operator', 'name']);
    const power = jsonInteger(entry['power'], 'power', MAX_POWER);
    if (power === 0) throw new NodeError('BAD_GENESIS', 'a validator of genesis has no power');
    return {
      publicKey: jsonHex(entry['public_key'], 'public_key', 32),
      power,
      operator: parseAddress(jsonString(entry['operator'], 'operator')),
      name: checkedName(jsonString(entry['name'], 'name')),
      priority: 0,
      demoted: false,
    };
  });
  return [...createValidatorSet(validators).validators];
}

function initGenesis({ state }: BlockContext, section: JsonObject): void {
  const current = createValidatorSet(genesisValidators(section));
  setSets(state, { last: null, proposer: null, current, next: rotate(current).set });
  for (const { publicKey } of current.validators) {
    setKeyRecord(state, publicKey, { sinceHeight: 1, untilHeight: null, convicted: false });
  }
}

export const validators: Module = {
  id: VALIDATORS_MODULE,
  name: 'validators',
  txTypes: [proposeChange, voteChange],
  encodeGenesis: (section) => {
    const list = genesisValidators(section);
    const writer = new Writer(2 + list.length * 64).u16(list.length);
    for (const { publicKey, power, operator, name } of list) {
      writer.fixed(publicKey, 32).u64(power).fixed(operator, 20).ascii8(name);
    }
    return writer.finish();
  },
  initGenesis,
  endBlock,
  convict,
  pendingWork,
};

// JSON

function changeToJson(change: Change): JsonObject {
  const key = toHex(change.publicKey);
  switch (change.kind) {
    case 'add':
      return {
        action: 'add',
        key,
        operator: formatAddress(change.operator),
        name: change.name,
        proof: toHex(change.proof),
      };
    case 'remove':
      return { action: 'remove', key };
    case 'rotate':
      return { action: 'rotate', key, new_key: toHex(change.newKey), proof: toHex(change.proof) };
  }
}

function changeFromJson(json: JsonObject): Change {
  const action = jsonString(json['action'], 'action');
  const publicKey = (): PublicKey => jsonHex(json['key'], 'key', 32);
  const proof = (): Signature => jsonHex(json['proof'], 'proof', 64);
  switch (action) {
    case 'add':
      checkKeys(json, ['action', 'key', 'operator', 'name', 'proof']);
      return {
        kind: 'add',
        publicKey: publicKey(),
        operator: parseAddress(jsonString(json['operator'], 'operator')),
        name: checkedName(jsonString(json['name'], 'name')),
        proof: proof(),
      };
    case 'remove':
      checkKeys(json, ['action', 'key']);
      return { kind: 'remove', publicKey: publicKey() };
    case 'rotate':
      checkKeys(json, ['action', 'key', 'new_key', 'proof']);
      return {
        kind: 'rotate',
        publicKey: publicKey(),
        newKey: jsonHex(json['new_key'], 'new_key', 32),
        proof: proof(),
      };
    default:
      throw new NodeError('INVALID_PARAMS', '"action" must be add, remove or rotate', { data: { pointer: '/action' } });
  }
}

function checkedName(name: string): string {
  if (name.length > MAX_NAME_BYTES || !/^[\x20-\x7e]*$/.test(name)) {
    throw new NodeError('INVALID_PARAMS', `a validator's name is at most ${MAX_NAME_BYTES} printable ASCII characters`);
  }
  return name;
}

/** What the interfaces show of open proposals. */
export function openProposalsJson(state: StateReader): Json[] {
  const { next } = getSets(state);
  return getOpenProposals(state).flatMap((id) => {
    const proposal = getProposal(state, id);
    if (!proposal) return [];
    return {
      id,
      ...changeToJson(proposal.change),
      expires_at_height: proposal.expiresAtHeight,
      votes: proposal.votes.map(formatAddress),
      voted_power: votedPower(next, proposal),
      total_power: next.totalPower,
    };
  });
}
