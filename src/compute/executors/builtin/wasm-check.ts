/** What a module must be before it runs; said in words that help who made it. */
import { NodeError } from '../../../errors.ts';
import { WASI_FUNCTIONS } from './wasi.ts';
import { beyondWasm2 } from './wasm-instructions.ts';

export const WASI_MODULE = 'wasi_snapshot_preview1';

const MAX_TEXT = 1_024;

/** @throws NodeError BAD_JOB */
export function compileChecked(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  const module = compile(bytes);
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from === WASI_MODULE && kind === 'function' && WASI_FUNCTIONS.has(name)) continue;
    throw bad(`it imports ${printable(`${from}.${name}`)}, and only functions of ${WASI_MODULE} are there`);
  }
  const exports = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
  if (exports.get('_start') !== 'function' || exports.get('memory') !== 'memory') {
    throw bad('it must export the function _start and its memory, as a WASI command does');
  }
  const beyond = beyondWasm2(bytes);
  if (beyond !== null) throw bad(`it has ${beyond}, which WebAssembly 2.0 does not`);
  return module;
}

function compile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw bad(error instanceof Error ? printable(error.message) : 'it does not compile');
  }
}

function bad(what: string): NodeError {
  return new NodeError('BAD_JOB', `the module cannot be run: ${what}`);
}

/** Names and messages of others, for people: no control characters, and not too long. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}\n]/gu, '?').slice(0, MAX_TEXT);
}
