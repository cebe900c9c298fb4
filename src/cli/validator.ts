/** `aitbc validator`: the grammar. What the verbs do is loaded when it is needed, which help does not. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import type { CardOptions } from './network/card.ts';
import { addSendOptions, collect, positiveNumber, wholeNumber } from './options.ts';
import type { AddOptions, RotateOptions, TxCommandOptions } from './validator-verbs.ts';

const work = () => import('./validator-verbs.ts');

export function register(program: Command): void {
  const validator = program.command('validator').description('who validates, and the votes that change it');
  validator
    .command('list')
    .description('validators and open proposals')
    .action(async (_options: object, command: Command) => {
      await (await work()).list(createContext(command));
    });
  validator
    .command('show')
    .description('one validator: that of this home unless a key is given; --card for a network that is yet to be made')
    .argument('[public-key]')
    .option(
      '--card',
      'write a signed card of this home instead, for aitbc network seal; needs --name, --operator, --host',
    )
    .option('--name <name>', 'of the card: name of the validator, e.g. at1-1')
    .option('--site <name>', 'of the card: its site; the name without its number when absent')
    .option('--operator <address>', 'of the card: account that votes for the key')
    .option('--host <host[:port]>', 'of the card: where other nodes reach it (repeatable)', collect)
    .option('--rpc-url <url>', 'of the card: where it is asked over HTTP (repeatable)', collect)
    .option('--power <number>', 'of the card: its power; 1 when absent', positiveNumber)
    .action(async (key: string | undefined, options: CardOptions & { readonly card?: boolean }, command: Command) => {
      const context = createContext(command);
      if (options.card !== true) {
        await (await work()).show(context, key);
        return;
      }
      const { showCard } = await import('./network/card.ts');
      await showCard(context, options);
    });
  validator
    .command('prove')
    .description('sign that the validator key of this home agrees to validate for an operator')
    .requiredOption('--operator <address>', 'account that will speak for the key')
    .option('--key-file <file>', 'validator key; that of this home when absent')
    .action(async (options: { readonly operator: string; readonly keyFile?: string }, command: Command) => {
      await (await work()).prove(createContext(command), options);
    });
  addSendOptions(
    validator
      .command('vote')
      .description('vote for a proposal')
      .argument('<proposal>', 'its id, see list', wholeNumber),
  ).action(async (id: number, options: TxCommandOptions, command: Command) => {
    await (await work()).vote(createContext(command), id, options);
  });
  registerPropose(validator);
}

function registerPropose(validator: Command): void {
  const propose = validator
    .command('propose')
    .description('propose a change; it takes effect two blocks after 2/3 of the power voted for it');
  addSendOptions(
    propose
      .command('add')
      .description('a further validator')
      .argument('[public-key]', 'its key; that of --home when absent, which then also signs the proof')
      .requiredOption('--operator <address>', 'account that speaks for the key')
      .option('--proof <hex>', 'what `validator prove` printed for this key and operator')
      .option('--name <name>', 'shown to people', ''),
  ).action(async (key: string | undefined, options: AddOptions, command: Command) => {
    await (await work()).proposeAdd(createContext(command), key, options);
  });
  addSendOptions(propose.command('remove').description('a validator less').argument('<public-key>')).action(
    async (key: string, options: TxCommandOptions, command: Command) => {
      await (await work()).proposeRemove(createContext(command), key, options);
    },
  );
  addSendOptions(
    propose
      .command('rotate')
      .description('another key in the place of one')
      .argument('<old-key>')
      .argument('<new-key>')
      .requiredOption('--proof <hex>', "what `validator prove` printed for the new key and the old one's operator"),
  ).action(async (from: string, to: string, options: RotateOptions, command: Command) => {
    await (await work()).proposeRotate(createContext(command), from, to, options);
  });
}
