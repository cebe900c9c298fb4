/** Between the child and the thread that runs a module. */
import type { WasmJob } from '../job.ts';

export interface WasmStart {
  readonly wasm: WasmJob;
  readonly maxOutputBytes: number;
  /** Where the thread waits until a piece was taken. */
  readonly gate: Int32Array;
}

/** The cell of the gate: 1 when the last piece was taken. */
export const GO = 0;

export type FromWasm =
  | { readonly type: 'piece'; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly finish: 'stop' | 'length' }
  | { readonly type: 'bad'; readonly message: string };
