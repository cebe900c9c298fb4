/** `aitbc tx`: the grammar. What the verbs do is loaded when it is needed, which help does not. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import { positiveNumber, wholeNumber } from './options.ts';
import type { KeyOptions } from './signer.ts';
import type { BuildOptions } from './tx-files.ts';

const work = () => import('./tx-files.ts');

const FILE = 'transaction file, "-" for stdin';

export function register(program: Command): void {
  const tx = program.command('tx').description('transactions between machines, and what became of them');
  tx.command('build')
    .description('write a transfer that is not signed yet, on stdout; asks a node for what is not given')
    .argument('<to>', 'address, or name of a wallet of this home')
    .argument('<amount>', '10, 10ait, 0.5 or 10000000uait')
    .option('--from <wallet>', 'wallet of this home that pays; no password is needed')
    .option('--public-key <hex>', 'key of the account that pays, when its wallet is elsewhere')
    .option('--memo <text>', 'for the receiver, public')
    .option('--fee <amount>', 'fee; the least one when absent')
    .option('--nonce <number>', 'nonce; the next free one when absent', wholeNumber)
    .option('--valid-until <height>', 'last block that may hold it', positiveNumber)
    .action(async (to: string, amount: string, options: BuildOptions, command: Command) => {
      await (await work()).build(createContext(command), to, amount, options);
    });
  tx.command('sign')
    .description('show what a transaction does, ask, and write it signed on stdout; needs no node')
    .argument('<file>', FILE)
    .option('--from <wallet>', 'wallet that signs; the one of the address when absent')
    .option('--key-file <file>', 'wallet file, or on development chains a bare key file')
    .action(async (file: string, options: KeyOptions, command: Command) => {
      await (await work()).sign(createContext(command), file, options);
    });
  tx.command('broadcast')
    .description('send a signed transaction, and wait until it is final')
    .argument('<file>', FILE)
    .option('--async', 'return once the node has taken it')
    .action(async (file: string, options: { readonly async?: boolean }, command: Command) => {
      await (await work()).broadcast(createContext(command), file, options.async === true);
    });
  tx.command('decode')
    .description('show what a transaction does, and whether its signature holds')
    .argument('<file>', FILE)
    .action(async (file: string, _options: object, command: Command) => {
      await (await work()).decode(createContext(command), file);
    });
  tx.command('status')
    .description('what became of a transaction')
    .argument('<hash>')
    .action(async (hash: string, _options: object, command: Command) => {
      const { showTransaction } = await import('./chain-read.ts');
      await showTransaction(createContext(command), hash);
    });
  tx.command('wait')
    .description('wait until a transaction is final')
    .argument('<hash>')
    .action(async (hash: string, _options: object, command: Command) => {
      await (await work()).wait(createContext(command), hash);
    });
}
