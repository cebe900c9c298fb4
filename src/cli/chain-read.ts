/** Head, blocks and transactions as commands show them. */
import { NodeError } from '../errors.ts';
import type { BlockResponse, TransactionResponse } from '../sdk/types.ts';
import type { Context } from './context.ts';
import { fields, plural, table } from './output.ts';
import { readBlock, readHead, readTransaction } from './reads.ts';

export async function showHead(context: Context): Promise<void> {
  const head = await readHead(context);
  context.out.data(head, fields(Object.entries(head)));
}

/** @param id height, hash or "latest" */
export async function showBlock(context: Context, id: string): Promise<void> {
  const block = await readBlock(context, id);
  context.out.data(block, describeBlock(block));
}

/** @throws NodeError NOT_FOUND once it is printed that the node does not know it */
export async function showTransaction(context: Context, hash: string): Promise<void> {
  const status = await readTransaction(context, hash);
  context.out.data(status, describeTransaction(status));
  if (status.status !== 'unknown') return;
  throw new NodeError('NOT_FOUND', `the node does not know transaction ${hash}`, {
    hint: 'it was never sent here, or was refused long ago',
  });
}

function describeBlock(block: BlockResponse): string {
  const rows = block.transactions.map(({ hash, code_name, transaction }) => [
    hash,
    typeof transaction?.['type'] === 'string' ? transaction['type'] : null,
    code_name,
  ]);
  return [
    fields([
      ['height', block.height],
      ['hash', block.hash],
      ['parent', block.parent_hash],
      ['time', block.timestamp],
      ['proposer', block.proposer],
      ['round', block.round],
      ['state root', block.state_root],
      ['signed by', plural(block.certificate.signatures.length, 'validator')],
      ['transactions', block.tx_count],
    ]),
    ...(rows.length > 0 ? ['', table(['HASH', 'TYPE', 'RESULT'], rows)] : []),
  ].join('\n');
}

function describeTransaction(status: TransactionResponse): string {
  return fields([
    ['hash', status.hash],
    ['status', status.status],
    ['height', status.height],
    ['result', status.code_name],
    ...(status.reason === null ? [] : [['reason', status.reason] as const]),
    ...(status.transaction === null ? [] : [['content', JSON.stringify(status.transaction)] as const]),
  ]);
}
