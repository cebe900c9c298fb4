/** Signatures of transactions, verified as one batch. */
import type { BatchVerifier, SignatureCheck, VerifyBatchOptions } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Transaction } from '../chain/tx.ts';
import { txChecks } from '../chain/tx-checks.ts';

/**
 * @returns for each transaction whether all of its signatures are good
 * @throws NodeError POOL_FULL when too much waits already
 */
export async function verifyTransactions(
  verifier: BatchVerifier,
  chain: ChainContext,
  txs: readonly Transaction[],
  options: VerifyBatchOptions = {},
): Promise<boolean[]> {
  const checks: SignatureCheck[] = [];
  const ends = txs.map((tx) => checks.push(...txChecks(chain, tx)));
  const good = await verifier.verifyBatch(checks, options);
  let at = 0;
  return ends.map((end) => {
    let isGood = true;
    for (; at < end; at++) isGood &&= good[at] === true;
    return isGood;
  });
}
