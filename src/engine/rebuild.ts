/** A chain's database made anew from its own blocks: indexes, receipts and state come from execution alone. */
import type { BatchVerifier } from '../chain/crypto/types.ts';
import type { ChainRules } from '../chain/execute.ts';
import type { Genesis } from '../chain/genesis.ts';
import type { CertifiedCandidate } from '../chain/linked-range.ts';
import { NodeError } from '../errors.ts';
import type { ChainStore, GuardMark } from '../store/types.ts';
import { Ledger } from './ledger.ts';
import type { ReplayOptions } from './replay.ts';
import { replay } from './replay.ts';

/** Blocks of a store, from one height to another. @throws NodeError CORRUPT when one is missing */
export function* storedBlocks(store: ChainStore, from: number, to: number): Generator<CertifiedCandidate, void, void> {
  for (let height = from; height <= to; height++) {
    const block = store.block(height);
    const certificate = store.certificate(height);
    if (!block || !certificate) {
      throw new NodeError('CORRUPT', `the block of height ${height} is missing`, { data: { height, field: 'block' } });
    }
    yield { block, certificate };
  }
}

export interface RebuildOptions extends Pick<ReplayOptions, 'inspect' | 'onHeight'> {
  readonly rules: ChainRules;
  readonly genesis: Genesis;
  readonly verifier: BatchVerifier;
  /** Blocks and certificates are read of it, nothing else. */
  readonly source: ChainStore;
  /** Empty. */
  readonly target: ChainStore;
  readonly to: number;
  readonly guard: GuardMark | null;
}

/**
 * Replays blocks 1 to `to` of one store into another.
 *
 * @throws NodeError PRUNED when the source does not hold all of them; what `replay` throws
 */
export async function rebuild(options: RebuildOptions): Promise<Ledger> {
  const { rules, genesis, source, target, to } = options;
  requireWhole(source);
  const ledger = await Ledger.open(rules, genesis, target);
  await replay(storedBlocks(source, 1, to), { ...options, ledger });
  return ledger;
}

function requireWhole(source: ChainStore): void {
  const base = source.base();
  if (base === 1) return;
  throw new NodeError('PRUNED', `this node keeps blocks from height ${base} on: nothing can be replayed from genesis`, {
    data: { base, head: source.head()?.height ?? 0 },
    hint: 'use a node that keeps all blocks, or move the database away and let the node sync anew',
  });
}
