/** What the coordinator and the simulated miners of the benchmark agree on beforehand. */
import type { Price } from '../../../src/chain/market/price.ts';
import type { ChainContext } from '../../../src/chain/signing.ts';

export const CHAIN: ChainContext = { chainId: 'ait-bench', genesisHash: new Uint8Array(32).fill(1) };
export const PRICE: Price = { fixedUait: 1, inputUaitPerKib: 1, outputUaitPerKib: 1 };
export const TICK_UAIT = 4;
/** What a job that does nothing asks for; one that asks for another length has it, in pieces, one after the other. */
export const NO_OP_BYTES = 1_024;
export const PIECE_BYTES = 24;
export const PIECE_MS = 200;
