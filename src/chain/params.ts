/** Parameters every node of a chain agrees on; part of genesis and of its hash. Node options are in src/config.ts. */
export interface ChainParams {
  /** Least time between a block and its parent, by header time. */
  readonly minBlockIntervalMs: number;
  readonly maxBlockTxs: number;
  /** Sum of the transactions' bytes. */
  readonly maxBlockBytes: number;
  /** Least fee = base + per byte × size. */
  readonly baseFeeUait: number;
  readonly feePerByteUait: number;
  /** A fresh proposal's time lies in [now − delay − precision, now + precision]. */
  readonly precisionMs: number;
  readonly delayMs: number;
  /** Evidence older than this many blocks is void. */
  readonly evidenceMaxAgeBlocks: number;
  /** Heights a proposed validator change waits for votes. */
  readonly changeTtlBlocks: number;
}

export function leastFeeUait(params: Pick<ChainParams, 'baseFeeUait' | 'feePerByteUait'>, txBytes: number): number {
  return params.baseFeeUait + params.feePerByteUait * txBytes;
}
