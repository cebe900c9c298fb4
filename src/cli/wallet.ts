/** `aitbc wallet`: the grammar. What the verbs do is loaded when it is needed, which help does not. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { createContext } from './context.ts';
import { positiveNumber, wholeNumber } from './options.ts';
import type { KeyOptions } from './signer.ts';
import type { ExportOptions } from './wallet-keep.ts';
import type { HistoryOptions } from './wallet-history.ts';
import type { ImportOptions } from './wallet-make.ts';
import type { SignOptions } from './wallet-sign.ts';

const making = () => import('./wallet-make.ts');
const reading = () => import('./wallet-read.ts');
const keeping = () => import('./wallet-keep.ts');
const signing = () => import('./wallet-sign.ts');

const NAME = 'a-z, 0-9, "_" and "-", up to 32 characters';

function upTo100(text: string): number {
  const value = positiveNumber(text);
  if (value > 100) throw new InvalidArgumentError('a whole number up to 100 is expected.');
  return value;
}

export function register(program: Command): void {
  const wallet = program.command('wallet').description('wallets: keys under a password, kept in the home');
  registerMakeVerbs(wallet);
  wallet
    .command('list')
    .description('names and addresses; needs no password')
    .action(async (_options: object, command: Command) => {
      await (await reading()).list(createContext(command));
    });
  wallet
    .command('show')
    .description('address, public key and file of a wallet; needs no password')
    .argument('[name]', 'the default wallet when absent')
    .action(async (name: string | undefined, _options: object, command: Command) => {
      await (await reading()).show(createContext(command), name);
    });
  wallet
    .command('use')
    .description('choose the wallet that signs when --from is absent')
    .argument('<name>')
    .action(async (name: string, _options: object, command: Command) => {
      await (await reading()).use(createContext(command), name);
    });
  wallet
    .command('balance')
    .description('what an account has, and its nonce')
    .argument('[wallet]', 'name of a wallet, or an address; all wallets when absent')
    .action(async (who: string | undefined, _options: object, command: Command) => {
      await (await reading()).balance(createContext(command), who);
    });
  wallet
    .command('history')
    .description('transactions of an account, newest first')
    .argument('[wallet]', 'name of a wallet, or an address; the wallet that signs when absent')
    .option('--limit <number>', 'at most so many, 100 at most', upTo100, 20)
    .option('--cursor <cursor>', 'go on where an earlier list ended')
    .action(async (who: string | undefined, options: HistoryOptions, command: Command) => {
      const { history } = await import('./wallet-history.ts');
      await history(createContext(command), who, options);
    });
  wallet
    .command('faucet')
    .description('money for trying things out, on development chains')
    .argument('[wallet]', 'name of a wallet, or an address; the wallet that signs when absent')
    .action(async (who: string | undefined, _options: object, command: Command) => {
      await (await reading()).faucet(createContext(command), who);
    });
  registerKeepVerbs(wallet);
  registerSignVerbs(wallet);
}

function registerMakeVerbs(wallet: Command): void {
  wallet
    .command('create')
    .description('make a key under a password, and show the 24 words that rebuild it')
    .argument('<name>', NAME)
    .option('--words-file <file>', 'write the words into this new file instead of showing them')
    .action(async (name: string, options: { readonly wordsFile?: string }, command: Command) => {
      await (await making()).create(createContext(command), name, options.wordsFile);
    });
  wallet
    .command('import')
    .description('take in words, a key in hex, or a wallet file')
    .argument('<name>', NAME)
    .argument('[file]', 'file with one of them, "-" for stdin; asked for on a terminal when absent')
    .option('--account <number>', 'which key of the words, from 0 on', wholeNumber, 0)
    .option('--any-chain', 'let a key in hex sign off development chains: only for a key that nobody else has')
    .option('--new-password-file <file>', 'password of the new wallet, when the wallet file has another one')
    .action(async (name: string, file: string | undefined, options: ImportOptions, command: Command) => {
      await (await making()).importWallet(createContext(command), name, file, options);
    });
}

function registerKeepVerbs(wallet: Command): void {
  wallet
    .command('export')
    .description('write a copy of a wallet, once its password is known to open it')
    .argument('<name>')
    .argument('<file>', 'a new file, for you alone to read')
    .option('--raw-key', 'the key itself, in hex and under no password')
    .action(async (name: string, file: string, options: ExportOptions, command: Command) => {
      await (await keeping()).exportWallet(createContext(command), name, resolve(file), options);
    });
  wallet
    .command('passwd')
    .description('change the password of a wallet')
    .argument('<name>')
    .option('--new-password-file <file>', 'file whose first line is the new password')
    .action(async (name: string, options: { readonly newPasswordFile?: string }, command: Command) => {
      await (await keeping()).changePassword(createContext(command), name, options.newPasswordFile);
    });
  wallet
    .command('rename')
    .description('give a wallet another name')
    .argument('<name>')
    .argument('<new-name>')
    .action(async (name: string, newName: string, _options: object, command: Command) => {
      await (await keeping()).rename(createContext(command), name, newName);
    });
  wallet
    .command('remove')
    .description('delete a wallet for good')
    .argument('<name>')
    .action(async (name: string, _options: object, command: Command) => {
      await (await keeping()).remove(createContext(command), name);
    });
}

function registerSignVerbs(wallet: Command): void {
  wallet
    .command('sign')
    .description('sign a text in the name of an account, for one chain; it can be no transaction and no login')
    .argument('[message]', 'the text, when it is not in a file')
    .option('--file <file>', 'file with the text, "-" for stdin')
    .option('--from <wallet>', 'wallet that signs')
    .option('--key-file <file>', 'wallet file, or on development chains a bare key file')
    .action(async (message: string | undefined, options: SignOptions, command: Command) => {
      await (await signing()).sign(createContext(command), message, options);
    });
  wallet
    .command('verify')
    .description('check what `wallet sign` wrote; exits 7 when it does not hold')
    .argument('<file>', 'file with the signed message, "-" for stdin')
    .option('--address <address>', 'who must have signed it')
    .action(async (file: string, options: { readonly address?: string }, command: Command) => {
      await (await signing()).verify(createContext(command), file, options.address);
    });
  wallet
    .command('login')
    .description('sign the login text of a site, once you have seen which site it is')
    .argument('<file>', 'file with the text, "-" for stdin')
    .option('--from <wallet>', 'wallet that signs; the one of the address when absent')
    .option('--key-file <file>', 'wallet file, or on development chains a bare key file')
    .action(async (file: string, options: KeyOptions, command: Command) => {
      await (await signing()).login(createContext(command), file, options);
    });
}
