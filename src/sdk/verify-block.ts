/** A block as a node tells it, held against its verified header. */
import { equalBytes, fromHex, toHex } from '../bytes.ts';
import type { Hasher } from '../chain/crypto/types.ts';
import { listRoot } from '../chain/list-root.ts';
import { transactionFromJson } from '../chain/tx-json.ts';
import type { LightBlock } from '../chain/light.ts';
import { badProof } from '../chain/light.ts';
import { readAnswer } from './light-block.ts';
import type { BlockResponse } from './types.ts';

/**
 * Header, transactions and their order are compared; `code` of a transaction (proven one by one, with its receipt),
 * evidence, and which certificate the node keeps (there may be several) are as told.
 *
 * @throws NodeError BAD_PROOF
 */
export function checkBlockAnswer(hasher: Hasher, { header, blockId }: LightBlock, answer: BlockResponse): void {
  readAnswer('block', () => {
    const expected = {
      chain_id: header.chainId,
      height: header.height,
      hash: toHex(blockId),
      timestamp: new Date(header.timeMs).toISOString(),
      state_root: toHex(header.stateRoot),
      proposer: toHex(header.proposer),
      version: header.version,
      parent_hash: toHex(header.parent),
      tx_root: toHex(header.txRoot),
      receipts_root: toHex(header.receiptsRoot),
      validators_hash: toHex(header.validatorsHash),
      next_validators_hash: toHex(header.nextValidatorsHash),
      last_commit_hash: toHex(header.lastCommitHash),
      evidence_root: toHex(header.evidenceRoot),
      tx_count: answer.transactions.length,
    };
    for (const [name, value] of Object.entries(expected)) {
      if (answer[name as keyof typeof expected] !== value) throw badProof(`the answer tells another ${name}`);
    }
    const ids = answer.transactions.map(({ hash }) => fromHex(hash, 32));
    if (!equalBytes(listRoot(hasher, ids), header.txRoot)) throw badProof('the block holds other transactions');
    for (const { hash, transaction } of answer.transactions) {
      if (transaction && toHex(transactionFromJson(hasher, transaction).id) !== hash) {
        throw badProof('the content of a transaction is another one', { transaction: hash });
      }
    }
  });
}
