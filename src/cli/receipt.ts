/** `aitbc receipt verify`: a receipt in a file, checked with nobody asked. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import type { VerifyOptions } from './jobs/verify-receipt.ts';

export function register(program: Command): void {
  program
    .command('receipt')
    .description('receipts in files: verify')
    .command('verify')
    .description('whether a receipt holds, with nobody asked unless told to; the exit code is 11 when it does not')
    .argument('<file>', 'as aitbc job receipt writes it, or - for stdin')
    .option('--output <file>', 'the answer that it is said to be about')
    .option('--settled', 'asks the node whether the chain holds the root that its path leads to')
    .action(async (path: string, options: VerifyOptions, command: Command) => {
      const { verifyReceiptFile } = await import('./jobs/verify-receipt.ts');
      await verifyReceiptFile(createContext(command), path, options);
    });
}
