/**
 * Certified blocks applied one after another outside a running node: the one way in which a chain is verified, rebuilt and
 * imported offline. Everything is checked as when it was made: certificates, signatures, execution, roots.
 */
import { equalBytes, keyHex, toHex } from '../bytes.ts';
import { blockId } from '../chain/block.ts';
import type { BatchVerifier } from '../chain/crypto/types.ts';
import type { AppliedBlock } from '../chain/execute.ts';
import type { CertifiedCandidate } from '../chain/linked-range.ts';
import type { StateReader } from '../chain/state.ts';
import type { Transaction } from '../chain/tx.ts';
import { NodeError } from '../errors.ts';
import type { GuardMark } from '../store/types.ts';
import { CertificateChecker } from './certificates.ts';
import type { Ledger } from './ledger.ts';
import { verifyTransactions } from './tx-signatures.ts';

/** Blocks, and bytes of transactions, whose signatures are verified as one batch. */
const BATCH_BLOCKS = 64;
const BATCH_BYTES = 4 * 1024 * 1024;

export interface ReplayOptions {
  readonly ledger: Ledger;
  readonly verifier: BatchVerifier;
  /** Goes into the records of the blocks, so that a lost sign guard is noticed afterwards too. */
  readonly guard: GuardMark | null;
  /** Before a block is committed; what it throws ends the replay there. @param before the state before the block */
  readonly inspect?: (before: StateReader, applied: AppliedBlock) => void;
  readonly onHeight?: (height: number) => void;
}

/**
 * Blocks up to the ledger's head are passed over, if they are those that it holds.
 *
 * @returns how many were applied
 * @throws NodeError BAD_BLOCK | BAD_CERTIFICATE | FORK | CONFLICT of the first that does not fit, STORAGE; those before it stay
 */
export async function replay(
  blocks: AsyncIterable<CertifiedCandidate> | Iterable<CertifiedCandidate>,
  options: ReplayOptions,
): Promise<number> {
  const { ledger, verifier } = options;
  const certificates = new CertificateChecker(ledger.rules.chain, ledger.rules.crypto, verifier);
  let applied = 0;
  for await (const batch of batches(blocks)) {
    const following = batch.filter((candidate) => !isHeld(ledger, candidate));
    const verified = await verifiedOf(following, options);
    await certificates.tryAhead(
      ledger.validators.current,
      following.map(({ certificate }) => certificate),
    );
    for (const { block, certificate } of following) {
      const id = blockId(ledger.rules.crypto, block.header);
      const { height } = block.header;
      if (height !== ledger.tip.height + 1) throw gap(height, ledger.tip.height);
      if (certificate.height !== height || !equalBytes(certificate.blockId, id)) {
        throw new NodeError('BAD_CERTIFICATE', `block ${height}: the certificate is for another block`, {
          data: { height, field: 'certificate', expected: toHex(id), found: toHex(certificate.blockId) },
        });
      }
      await certificates.verify(ledger.validators.current, certificate);
      const result = await ledger.execute(block, verified);
      options.inspect?.(ledger.tip.state, result);
      await ledger.commit(id, certificate, options.guard);
      applied += 1;
      options.onHeight?.(height);
    }
  }
  return applied;
}

async function* batches(
  blocks: AsyncIterable<CertifiedCandidate> | Iterable<CertifiedCandidate>,
): AsyncGenerator<CertifiedCandidate[]> {
  let batch: CertifiedCandidate[] = [];
  let bytes = 0;
  try {
    for await (const candidate of blocks) {
      batch.push(candidate);
      bytes += candidate.block.txs.reduce((sum, tx) => sum + tx.bytes.length, 0);
      if (batch.length < BATCH_BLOCKS && bytes < BATCH_BYTES) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
  } catch (error) {
    // What came whole before the damage counts.
    if (batch.length > 0) yield batch;
    throw error;
  }
  if (batch.length > 0) yield batch;
}

/** @throws NodeError FORK when the ledger holds another block of that height */
function isHeld({ store, tip, rules }: Ledger, { block }: CertifiedCandidate): boolean {
  const { height } = block.header;
  if (height > tip.height) return false;
  const held = height >= store.base() ? store.header(height) : undefined;
  const id = blockId(rules.crypto, block.header);
  if (!held || equalBytes(blockId(rules.crypto, held), id)) return true;
  throw new NodeError('FORK', `another block ${height} is held here`, {
    data: { height, found: toHex(id), held: toHex(blockId(rules.crypto, held)) },
    hint: 'two chains of one genesis: keep both as evidence, and find out which validators signed both',
  });
}

async function verifiedOf(
  batch: readonly CertifiedCandidate[],
  { ledger, verifier }: ReplayOptions,
): Promise<ReadonlySet<Transaction>> {
  const txs = batch.flatMap(({ block }) => block.txs.map((tx) => ({ tx, height: block.header.height })));
  const good = await verifyTransactions(
    verifier,
    ledger.rules.chain,
    txs.map(({ tx }) => tx),
    { background: true },
  );
  const bad = txs.find((_, i) => !good[i]);
  if (bad) {
    throw new NodeError('BAD_BLOCK', `block ${bad.height}: the signature of a transaction does not verify`, {
      data: { height: bad.height, field: 'transactions', tx: keyHex(bad.tx.key) },
    });
  }
  return new Set(txs.map(({ tx }) => tx));
}

function gap(height: number, head: number): NodeError {
  return new NodeError('CONFLICT', `block ${height} comes where block ${head + 1} is needed`, {
    data: { height, head },
    hint: `give blocks from height ${head + 1} on`,
  });
}
