/** `aitbc chain verify|export|import|rollback|compact|reindex`: on the database of a stopped node. */
import type { Command } from 'commander';
import type { Heights } from './chain-stopped.ts';
import { createContext } from './context.ts';
import { wholeNumber } from './options.ts';

/** Loaded when it is needed, which help does not. */
const work = () => import('./chain-stopped.ts');

export function registerOfflineVerbs(chain: Command): void {
  chain
    .command('verify')
    .description('replay all blocks and compare what is stored; the node must be stopped')
    .option('--from <height>', 'compare from this height on; those below are executed', wholeNumber)
    .option('--to <height>', 'stop at this height', wholeNumber)
    .action(async (options: Heights, command: Command) => {
      const { onChain, verify } = await work();
      await onChain(command, (at, context) => verify(at, context, options));
    });
  chain
    .command('export')
    .description('write blocks with their certificates into a file; the node must be stopped')
    .argument('<file>', 'file, or "-" for stdout')
    .option('--from <height>', 'first height', wholeNumber)
    .option('--to <height>', 'last height', wholeNumber)
    .action(async (file: string, options: Heights, command: Command) => {
      const { exportBlocks, onChain } = await work();
      await onChain(command, (at, context) => exportBlocks(at, context, file, options));
    });
  chain
    .command('import')
    .description('take blocks from a file, verifying everything; the node must be stopped')
    .argument('<file>', 'file made by export, or "-" for stdin')
    .action(async (file: string, _options: object, command: Command) => {
      const { importBlocks, onChain } = await work();
      await onChain(command, (at, context) => importBlocks(at, context, file));
    });
  chain
    .command('rollback')
    .description('go back to a height by replaying up to it; what the key signed stays fenced')
    .requiredOption('--to <height>', 'new head', wholeNumber)
    .action(async ({ to }: { readonly to: number }, command: Command) => {
      const { onChain, rollback } = await work();
      await onChain(command, (at, context) => rollback(at, context, to));
    });
  chain
    .command('reindex')
    .description('make indexes, receipts and state anew from the blocks; the node must be stopped')
    .action(async (_options: object, command: Command) => {
      const { onChain, reindex } = await work();
      await onChain(command, reindex);
    });
  chain
    .command('compact')
    .description('give back the space of what was deleted; the node must be stopped')
    .action(async (_options: object, command: Command) => {
      const { compact } = await work();
      await compact(createContext(command));
    });
}
