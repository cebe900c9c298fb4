/** Where a receipt stands under the root that its miner brought to this chain, and the transaction that did. */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { ReceiptPlace } from '../../chain/market/receipt-json.ts';
import { getAgreement } from '../../chain/modules/compute/agreement.ts';
import { releaseAgreement } from '../../chain/modules/compute/agreement-miner.ts';
import type { Coordinator, JobReceipt } from '../../compute/coordinator/coordinator.ts';
import type { ChainApi } from '../api.ts';
import { storedBlock } from '../proofs.ts';

/** @returns null while the chain has no root, or one of other receipts than this node knows of */
export function placeOf(api: ChainApi, coordinator: Coordinator, receipt: JobReceipt): ReceiptPlace | null {
  const { agreement: id } = receipt.receipt.receipt;
  const agreement = getAgreement(api.chain.tip().state, id);
  if (!agreement) return null;
  const { receiptsRoot: root, state } = agreement;
  const place = coordinator.placeOf(receipt, root);
  if (!place) return null;
  return { root, place, settlement: state.name === 'closed' ? releaseIn(api, state.atHeight, id, root) : null };
}

/** An agreement that time closed was released by nobody. */
function releaseIn(api: ChainApi, height: number, id: Hash, root: Hash): Uint8Array | null {
  for (const { type, payload, bytes } of storedBlock(api, height)?.block.txs ?? []) {
    if (type !== releaseAgreement.type) continue;
    const { agreement, receiptsRoot } = releaseAgreement.decode(payload);
    if (equalBytes(agreement, id) && equalBytes(receiptsRoot, root)) return bytes;
  }
  return null;
}
