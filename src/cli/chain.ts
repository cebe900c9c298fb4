/** `aitbc chain`: head, blocks and transactions; the chains of the node; work on the database of a stopped one. */
import type { Command } from 'commander';
import { registerOperatorVerbs } from './chain-operate.ts';
import { registerOfflineVerbs } from './chain-offline.ts';
import { createContext } from './context.ts';
import { table } from './output.ts';

/** Loaded when it is needed, which help does not. */
const work = () => import('./chain-read.ts');

export function register(program: Command): void {
  const chain = program.command('chain').description('blocks and transactions, and the chains of the node');
  registerOperatorVerbs(chain);
  registerOfflineVerbs(chain);
  chain
    .command('head')
    .description('the last final block')
    .action(async (_options: object, command: Command) => {
      await (await work()).showHead(createContext(command));
    });
  chain
    .command('block')
    .description('a final block with its transactions and certificate')
    .argument('<block>', 'height, hash or "latest"')
    .action(async (id: string, _options: object, command: Command) => {
      await (await work()).showBlock(createContext(command), id);
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
      await (await work()).showTransaction(createContext(command), hash);
    });
}
