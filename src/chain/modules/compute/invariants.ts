/** What must hold of the whole of the module's state: every agreement adds up, and is where its deadline will find it. */
import { bytesKey, keyBytes, toHex } from '../../../bytes.ts';
import { memoryState } from '../../state.ts';
import type { StateEntries } from '../types.ts';
import type { Agreement } from './agreement.ts';
import { decodeAgreement } from './agreement.ts';
import { AGREEMENT_ENTRY, CLOSED, CLOSING } from './closing.ts';
import { minuteList } from './deadlines.ts';
import { firstOf, nextOf } from './id-list.ts';
import { isAgreementKey, isPlaceKey, isStakeKey } from './keys.ts';
import { decodeStake, STAKE_ENTRY } from './stake.ts';

/** @returns sentences about what does not hold */
export function computeInvariants(entries: StateEntries): string[] {
  const problems: string[] = [];
  const expected = new Map<string, Set<string>>();
  const expect = (list: Uint8Array, kind: number, id: Uint8Array): void => {
    const name = bytesKey(list);
    const members = expected.get(name) ?? new Set();
    expected.set(name, members.add(bytesKey(Uint8Array.of(kind, ...id))));
  };
  let places = 0;
  for (const [key, value] of entries) {
    if (isPlaceKey(key)) places++;
    // Module number and prefix come first.
    const id = keyBytes(key).subarray(2);
    if (isAgreementKey(key)) {
      const agreement = decodeAgreement(value);
      problems.push(...sumFaults(agreement).map((fault) => `agreement ${toHex(id)} ${fault}`));
      expect(listOf(agreement), AGREEMENT_ENTRY, id);
    } else if (isStakeKey(key)) {
      const { coolingUait, coolsUntilMs } = decodeStake(value);
      if (coolingUait > 0 !== coolsUntilMs > 0) problems.push(`stake of ${toHex(id)} cools without amount or end`);
      if (coolingUait > 0) expect(minuteList(coolsUntilMs), STAKE_ENTRY, id);
    }
  }
  let listed = 0;
  for (const [name, members] of expected) {
    listed += members.size;
    const found = membersOf(entries, keyBytes(name), members.size + 1);
    if (found.length !== members.size || !found.every((entry) => members.has(entry))) {
      problems.push(`a list of deadlines holds ${found.length} entries that are not the ${members.size} it should`);
    }
  }
  if (listed !== places) problems.push(`${places} entries are listed, ${listed} should be`);
  return problems;
}

function sumFaults({ capUait, paidUait, state }: Agreement): string[] {
  const faults = paidUait > capUait ? [`paid ${paidUait} of ${capUait} uait`] : [];
  if (state.name === 'closed' && paidUait + state.refundedUait !== capUait) {
    faults.push(`closed with ${paidUait} paid and ${state.refundedUait} refunded of ${capUait} uait`);
  }
  return faults;
}

function listOf({ expiresAtMs, state }: Agreement): Uint8Array {
  if (state.name === 'open') return minuteList(expiresAtMs);
  return state.name === 'closing' ? CLOSING : CLOSED;
}

function membersOf(entries: StateEntries, list: Uint8Array, limit: number): string[] {
  const state = memoryState(entries);
  const members: string[] = [];
  for (let at = firstOf(state, list); at && members.length < limit; at = nextOf(state, at)) {
    members.push(bytesKey(at));
  }
  return members;
}
