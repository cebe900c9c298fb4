/** `aitbc receipts`: the receipts of this home. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import { positiveNumber } from './options.ts';

export function register(program: Command): void {
  program
    .command('receipts')
    .description('receipts of your jobs, newest first')
    .option('--job-id <id>', 'that of one job, whole')
    .option('--limit <number>', 'at most so many', positiveNumber, 20)
    .option('--node', 'of jobs that the node pays for')
    .action(async (options: { jobId?: string; limit: number; node?: boolean }, command: Command) => {
      const reads = await import('./jobs/read-jobs.ts');
      const context = createContext(command);
      if (options.jobId !== undefined) await reads.receiptOfJob(context, options.jobId, options.node === true);
      else await reads.listReceipts(context, options.limit, options.node === true);
    });
}
