/** The features of the chain. Adding one is a line here and a file beside it. Ids and type numbers are never reused. */
import { NodeError } from '../../errors.ts';
import { bank, existingUait } from './bank.ts';
import type { AnyTxType, Module, StateEntries } from './types.ts';
import { validators } from './validators.ts';

/** Ordered by id; genesis, beginBlock and endBlock run in this order. */
export const MODULES: readonly Module[] = [bank, validators];

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
  const held = MODULES.reduce((sum, module) => sum + (module.heldUait?.(entries) ?? 0), 0);
  const exists = existingUait(entries);
  if (held !== exists) problems.push(`the state holds ${held} uait, but ${exists} uait exist`);
  return problems;
}

function unknownType(type: number | string): NodeError {
  return new NodeError('UNKNOWN_TX_TYPE', `no module has transaction type ${type}`, {
    data: { type },
    hint: `known types: ${txTypeNames().join(', ')}`,
  });
}
