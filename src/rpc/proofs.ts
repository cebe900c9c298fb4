/** What lets a client check answers by itself: headers with certificates, state proofs, places in a block's lists. */
import type { Hash } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import type { Block, Header } from '../chain/block.ts';
import { blockId, encodeHeader } from '../chain/block.ts';
import { listProof } from '../chain/list-root.ts';
import { encodeReceipt } from '../chain/receipt.ts';
import type { StateKey } from '../chain/state.ts';
import { encodeStateProof } from '../chain/tree-proof.ts';
import type { Certificate } from '../chain/votes.ts';
import { encodeCertificate } from '../chain/votes.ts';
import { NodeError } from '../errors.ts';
import type { ChainApi } from './api.ts';

/** A final block with what is stored beside it. */
export interface StoredBlock {
  readonly block: Block;
  readonly hash: Hash;
  readonly certificate: Certificate;
}

/** @returns undefined when there is no such block @throws NodeError PRUNED when it is kept no longer */
export function storedBlock(api: ChainApi, height: number): StoredBlock | undefined {
  checkKept(api, height);
  const block = api.chain.block(height);
  const certificate = api.chain.certificate(height);
  return block && certificate && { block, certificate, hash: blockId(api.crypto, block.header) };
}

/** @throws NodeError PRUNED with what is kept, for a height below it */
export function checkKept({ chain }: ChainApi, height: number): void {
  const base = chain.base();
  if (height < 1 || height >= base) return;
  const head = chain.tip().height;
  throw new NodeError('PRUNED', `block ${height} is final, and no longer kept here`, {
    data: { height, base, head },
    hint: `this node keeps heights ${base} to ${head}: ask a node that keeps all`,
  });
}

/** Value and proof of a key at the head. @throws NodeError NOT_FOUND before the first block */
export function stateProof(api: ChainApi, key: StateKey) {
  const tip = api.chain.tip();
  const value = tip.state.get(key);
  const proof = encodeStateProof(tip.prove(key));
  const stored = storedBlock(api, tip.height);
  if (!stored) {
    throw new NodeError('NOT_FOUND', 'there is no block yet, so nothing is certified', {
      hint: 'ask again after the first transaction is final',
    });
  }
  return {
    height: tip.height,
    value: value === undefined ? null : toHex(value),
    state_proof: toHex(proof),
    ...certified(stored.block.header, stored.certificate),
  };
}

/** @throws NodeError PRUNED; CORRUPT when the store lacks part of the block */
export function transactionProof(api: ChainApi, height: number, index: number) {
  const stored = storedBlock(api, height);
  const receipts = api.chain.receipts(height);
  const tx = stored?.block.txs[index];
  const receipt = receipts?.[index];
  if (!stored || !receipts || !tx || !receipt) {
    throw new NodeError('CORRUPT', 'the index names a transaction that the store does not hold', {
      data: { height, index },
    });
  }
  const { txs, header } = stored.block;
  const siblings = (items: readonly Hash[]): string[] =>
    (listProof(api.crypto, items, index)?.siblings ?? []).map((sibling) => toHex(sibling));
  return {
    height,
    index,
    count: txs.length,
    transaction: toHex(tx.bytes),
    transaction_siblings: siblings(txs.map(({ id }) => id)),
    receipt: toHex(encodeReceipt(receipt)),
    receipt_siblings: siblings(receipts.map((item) => api.crypto.hash(encodeReceipt(item)))),
    ...certified(header, stored.certificate),
  };
}

function certified(header: Header, certificate: Certificate) {
  return { header: toHex(encodeHeader(header)), certificate: toHex(encodeCertificate(certificate)) };
}
