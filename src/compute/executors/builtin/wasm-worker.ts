/** On a thread of the child: the module itself. */
import { parentPort, workerData } from 'node:worker_threads';
import { isNodeError, NodeError } from '../../../errors.ts';
import { MAX_PIECE_BYTES } from '../pieces.ts';
import { wasiImports } from './wasi.ts';
import { compileChecked, printable, WASI_MODULE } from './wasm-check.ts';
import type { FromWasm, WasmStart } from './wasm-messages.ts';
import { GO } from './wasm-messages.ts';

/** Small writes are gathered until there is this much, or a line is whole and the last piece left long enough ago. */
const GATHER_BYTES = 4_096;
const GATHER_MS = 20;
const STDERR_TAIL_BYTES = 1_024;
const NEWLINE = 0x0a;

const { wasm, maxOutputBytes, gate } = workerData as WasmStart;

let instance: WebAssembly.Instance | undefined;
let gathered: Uint8Array[] = [];
let gatheredBytes = 0;
let bytesLeft = maxOutputBytes;
let lastPieceAt = performance.now();
let stderrTail: Uint8Array = new Uint8Array();

function say(message: FromWasm): void {
  parentPort?.postMessage(message);
}

/** The thread is ended from outside; a module could catch an exception and go on. */
function finish(message: FromWasm): never {
  Atomics.store(gate, GO, 0);
  say(message);
  for (;;) Atomics.wait(gate, GO, 0);
}

function memory(): WebAssembly.Memory {
  const exported = instance?.exports['memory'];
  if (exported instanceof WebAssembly.Memory) return exported;
  throw new NodeError('BAD_JOB', 'the module calls WASI before it has started');
}

function flush(): void {
  if (gatheredBytes === 0) return;
  const bytes = new Uint8Array(gatheredBytes);
  let offset = 0;
  for (const part of gathered) {
    bytes.set(part, offset);
    offset += part.length;
  }
  gathered = [];
  gatheredBytes = 0;
  for (let at = 0; at < bytes.length; at += MAX_PIECE_BYTES) {
    Atomics.store(gate, GO, 0);
    say({ type: 'piece', bytes: bytes.slice(at, at + MAX_PIECE_BYTES) });
    Atomics.wait(gate, GO, 0);
  }
  lastPieceAt = performance.now();
}

function writeOutput(bytes: Uint8Array): void {
  const part = bytes.slice(0, bytesLeft);
  bytesLeft -= part.length;
  gathered.push(part);
  gatheredBytes += part.length;
  if (part.length < bytes.length) {
    flush();
    finish({ type: 'end', finish: 'length' });
  }
  const wholeLine = part.at(-1) === NEWLINE && performance.now() - lastPieceAt > GATHER_MS;
  if (gatheredBytes >= GATHER_BYTES || wholeLine) flush();
}

function writeError(bytes: Uint8Array): void {
  const tail = new Uint8Array(Math.min(STDERR_TAIL_BYTES, stderrTail.length + bytes.length));
  const fresh = bytes.subarray(Math.max(0, bytes.length - tail.length));
  const kept = stderrTail.subarray(stderrTail.length - (tail.length - fresh.length));
  tail.set(kept);
  tail.set(fresh, kept.length);
  stderrTail = tail;
}

function exit(code: number): never {
  flush();
  if (code === 0) finish({ type: 'end', finish: 'stop' });
  const stderr = printable(new TextDecoder().decode(stderrTail)).trim();
  finish({ type: 'bad', message: `the module ended with exit code ${code}${stderr === '' ? '' : `: ${stderr}`}` });
}

function run(): void {
  const module = compileChecked(new Uint8Array(wasm.module));
  const imports = wasiImports({
    args: wasm.args,
    stdin: wasm.stdin,
    seed: wasm.seed,
    memory,
    write: (fd, bytes) => {
      if (fd === 1) writeOutput(bytes);
      else writeError(bytes);
    },
    exit,
  });
  instance = new WebAssembly.Instance(module, { [WASI_MODULE]: imports });
  const start = instance.exports['_start'];
  if (typeof start === 'function') (start as () => void)();
  exit(0);
}

try {
  run();
} catch (error) {
  const message = isNodeError(error) ? error.message : `the module failed: ${reason(error)}`;
  finish({ type: 'bad', message });
}

function reason(error: unknown): string {
  return error instanceof Error ? printable(error.message) : 'it threw something';
}
