/** `aitbc send`: a transfer. What it does is loaded when it is needed, which help does not. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import { addSendOptions } from './options.ts';
import type { SendOptions } from './transfer.ts';

export function register(program: Command): void {
  const command = program
    .command('send')
    .description('send AIT, and wait until the transfer is final')
    .argument('<to>', 'address, or name of a wallet of this home')
    .argument('<amount>', '10, 10ait, 0.5 or 10000000uait')
    .option('--memo <text>', 'for the receiver, public');
  addSendOptions(command).action(async (to: string, amount: string, options: SendOptions, self: Command) => {
    const { send } = await import('./transfer.ts');
    await send(createContext(self), to, amount, options);
  });
}
