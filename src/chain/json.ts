/** Strict readers for the JSON form of chain objects: exact keys, u64 as decimal strings, bytes as hex. */
import { fromHex } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import { MAX_U64 } from './codec.ts';
import type { Json, JsonObject } from './modules/types.ts';

function invalid(key: string, expected: string): NodeError {
  return new NodeError('INVALID_PARAMS', `"${key}" must be ${expected}`, { data: { pointer: `/${key}` } });
}

/** @throws NodeError INVALID_PARAMS on a missing or unknown key */
export function checkKeys(json: JsonObject, required: readonly string[], optional: readonly string[] = []): void {
  for (const key of required) if (!Object.hasOwn(json, key)) throw invalid(key, 'present');
  for (const key of Object.keys(json)) {
    if (!required.includes(key) && !optional.includes(key))
      throw new NodeError('INVALID_PARAMS', `unknown key "${key}"`);
  }
}

export function jsonObject(value: Json | undefined, key: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(key, 'an object');
  return value as JsonObject;
}

export function jsonArray(value: Json | undefined, key: string): readonly Json[] {
  if (!Array.isArray(value)) throw invalid(key, 'a list');
  return value as readonly Json[];
}

export function jsonString(value: Json | undefined, key: string): string {
  if (typeof value !== 'string') throw invalid(key, 'a string');
  return value;
}

/** Amounts: decimal string of base units, up to 2^53 − 1. */
export function jsonAmount(value: Json | undefined, key: string): number {
  const amount = typeof value === 'string' && /^(0|[1-9][0-9]{0,15})$/.test(value) ? Number(value) : NaN;
  if (!(amount <= MAX_U64)) throw invalid(key, 'a decimal string of base units up to 2^53 − 1');
  return amount;
}

export function jsonInteger(value: Json | undefined, key: string, max = MAX_U64): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) {
    throw invalid(key, `an integer from 0 to ${max}`);
  }
  return value;
}

export function jsonHex(value: Json | undefined, key: string, length?: number): Uint8Array {
  try {
    return fromHex(jsonString(value, key), length);
  } catch {
    throw invalid(key, length === undefined ? 'lower-case hex' : `lower-case hex of ${length} bytes`);
  }
}
