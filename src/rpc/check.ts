/** Holds what comes in against the schemas of an operation. */
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/schema';
import { NodeError } from '../errors.ts';
import type { Body } from './operation.ts';

/** One fault of a request: where (a JSON pointer) and what. */
export interface Fault {
  readonly pointer: string;
  readonly detail: string;
}

/** The cause of a NodeError INVALID_PARAMS from here. */
export class Faults {
  readonly list: readonly Fault[];

  constructor(list: readonly Fault[]) {
    this.list = list;
  }
}

const MAX_FAULTS = 8;
const MAX_NAME_CHARS = 80;

interface Validator {
  Check(value: unknown): boolean;
  Errors(value: unknown): [boolean, { instancePath: string; message: string; params: object; keyword: string }[]];
}

/** Compiled once each: schemas are constants. */
const compiled = new WeakMap<TSchema, Validator>();

/** @returns null when it matches, else what does not */
function faultsOf(schema: TSchema, value: unknown): readonly Fault[] | null {
  let validator = compiled.get(schema);
  if (!validator) {
    validator = Compile(schema);
    compiled.set(schema, validator);
  }
  if (validator.Check(value)) return null;
  const [, errors] = validator.Errors(value);
  return errors
    .filter(({ keyword }) => keyword !== 'boolean')
    .slice(0, MAX_FAULTS)
    .map(({ instancePath, message, params }) => {
      const extra = 'additionalProperties' in params ? params.additionalProperties : null;
      const names = Array.isArray(extra) ? extra.map((name) => String(name).slice(0, MAX_NAME_CHARS)) : [];
      const detail = names.length > 0 ? `unknown name "${names.slice(0, MAX_FAULTS).join('", "')}"` : message;
      return { pointer: instancePath, detail };
    });
}

/** @param what part of the request, for the message @throws NodeError INVALID_PARAMS with what does not match */
export function check(schema: TSchema, value: unknown, what: string): void {
  const faults = faultsOf(schema, value);
  if (!faults) return;
  throw new NodeError('INVALID_PARAMS', `${what} is not as expected`, { cause: new Faults(faults) });
}

/** Against the one form that is meant, so that faults speak of it alone. @throws NodeError INVALID_PARAMS */
export function checkBody({ forms, binary }: Body, body: unknown): void {
  if (body instanceof Uint8Array && binary !== undefined) return;
  const keys = typeof body === 'object' && body !== null ? body : {};
  const form = forms.find(({ key }) => key === null || Object.hasOwn(keys, key));
  if (form) check(form.schema, body ?? null, 'body');
}
