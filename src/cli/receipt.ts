/** `aitbc receipt verify`: a receipt in a file, checked with nobody asked. */
import type { Command } from 'commander';
import { createContext } from './context.ts';

export function register(program: Command): void {
  program
    .command('receipt')
    .description('receipts in files: verify')
    .command('verify')
    .description('whether a receipt holds, with nobody asked; the exit code is 11 when it does not')
    .argument('<file>', 'as aitbc job receipt writes it, or - for stdin')
    .option('--output <file>', 'the answer that it is said to be about')
    .action(async (path: string, options: { readonly output?: string }, command: Command) => {
      const { verifyReceiptFile } = await import('./jobs/verify-receipt.ts');
      await verifyReceiptFile(createContext(command), path, options.output);
    });
}
