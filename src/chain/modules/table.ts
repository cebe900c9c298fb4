/** The features of the chain. Adding one is a line here and a file beside it. Ids and type numbers are never reused. */
import { NodeError } from '../../errors.ts';
import type { StateChanges, StateKey, StateReader } from '../state.ts';
import { bank, existingUait, SUPPLY_KEY } from './bank.ts';
import { compute } from './compute/compute.ts';
import type { AnyTxType, Module, StateEntries } from './types.ts';
import { validators } from './validators.ts';

/** Ordered by id; genesis, beginBlock and endBlock run in this order. */
export const MODULES: readonly Module[] = [bank, validators, compute];

interface TxTypeEntry {
  readonly txType: AnyTxType;
  readonly module: Module;
}

const byNumber = new Map<number, TxTypeEntry>();
const byName = new Map<string, AnyTxType>();
for (const module of MODULES) {
  for (const txType of module.txTypes) {
    byNumber.set(txType.type, { txType, module });
    byName.set(txType.name, txType);
  }
}

/** @throws NodeError UNKNOWN_TX_TYPE */
export function txTypeEntry(type: number): TxTypeEntry {
  const found = byNumber.get(type);
  if (!found) throw unknownType(type);
  return found;
}

export function isTxType(type: number): boolean {
  return byNumber.has(type);
}

/** @throws NodeError UNKNOWN_TX_TYPE */
export function txTypeByNumber(type: number): AnyTxType {
  return txTypeEntry(type).txType;
}

/** @throws NodeError UNKNOWN_TX_TYPE */
export function txTypeByName(name: string): AnyTxType {
  const found = byName.get(name);
  if (!found) throw unknownType(name);
  return found;
}

function txTypeNames(): string[] {
  return [...byName.keys()];
}

/** Checks of a whole state: every module's own, and that what exists is held somewhere. Empty when all is well. */
export function checkInvariants(entries: StateEntries): string[] {
  const problems = MODULES.flatMap((module) => module.invariants?.(entries) ?? []);
  const held = heldUait(entries);
  const exists = existingUait(entries);
  if (held !== exists) problems.push(`the state holds ${held} uait, but ${exists} uait exist`);
  return problems;
}

/**
 * Whether what is held and what exists change alike in one block; both are sums over entries, so that those which change
 * tell. @returns what does not hold, or null
 */
export function checkSupplyChange(before: StateReader, changes: StateChanges): string | null {
  const keys = new Set([...changes.keys(), SUPPLY_KEY]);
  const entriesOf = (get: (key: StateKey) => Uint8Array | undefined): StateEntries =>
    new Map(
      [...keys].flatMap((key): [StateKey, Uint8Array][] => {
        const value = get(key);
        return value ? [[key, value]] : [];
      }),
    );
  const old = entriesOf((key) => before.get(key));
  const now = entriesOf((key) => (changes.has(key) ? changes.get(key) : before.get(key)));
  const held = heldUait(now) - heldUait(old);
  const exists = existingUait(now) - existingUait(old);
  return held === exists ? null : `what is held changes by ${held} uait, what exists by ${exists}`;
}

function heldUait(entries: StateEntries): number {
  return MODULES.reduce((sum, module) => sum + (module.heldUait?.(entries) ?? 0), 0);
}

function unknownType(type: number | string): NodeError {
  return new NodeError('UNKNOWN_TX_TYPE', `no module has transaction type ${type}`, {
    data: { type },
    hint: `known types: ${txTypeNames().join(', ')}`,
  });
}
