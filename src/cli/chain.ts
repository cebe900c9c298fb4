/** `aitbc chain`: head, blocks and transactions; the chains of the node; work on the database of a stopped one. */
import type { Command } from 'commander';
import { NodeError } from '../errors.ts';
import type { BlockResponse, TransactionResponse } from '../sdk/types.ts';
import { registerOperatorVerbs } from './chain-operate.ts';
import { registerOfflineVerbs } from './chain-offline.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { fields, plural, table } from './output.ts';
import { readBlock, readHead, readTransaction } from './reads.ts';

export function register(program: Command): void {
  const chain = program.command('chain').description('blocks and transactions, and the chains of the node');
  registerOperatorVerbs(chain);
  registerOfflineVerbs(chain);
  chain
    .command('head')
    .description('the last final block')
    .action(async (_options: object, command: Command) => {
      const context = createContext(command);
      const head = await readHead(context);
      context.out.data(head, fields(Object.entries(head)));
    });
  chain
    .command('block')
    .description('a final block with its transactions and certificate')
    .argument('<block>', 'height, hash or "latest"')
    .action(async (id: string, _options: object, command: Command) => {
      const context = createContext(command);
      const block = await readBlock(context, id);
      context.out.data(block, describeBlock(block));
    });
  chain
    .command('snapshots')
    .description('snapshots of the state that the node offers to those that join')
    .action(async (_options: object, command: Command) => {
      const context = createContext(command);
      const answer = await context.client().snapshots();
      const rows = answer.snapshots.map(({ height, chunks, bytes, manifest_hash }) => [
        height,
        chunks,
        `${(bytes / 1e6).toFixed(1)} MB`,
        manifest_hash,
      ]);
      const head = ['HEIGHT', 'CHUNKS', 'SIZE', 'MANIFEST'];
      context.out.data(answer, rows.length === 0 ? 'No snapshots.' : table(head, rows));
    });
  chain
    .command('tx')
    .description('what became of a transaction')
    .argument('<hash>', 'hash of the transaction')
    .action(async (hash: string, _options: object, command: Command) => {
      await showTransaction(createContext(command), hash);
    });
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
