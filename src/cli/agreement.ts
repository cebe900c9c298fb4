/** `aitbc agreement`: the grammar. What the verbs do is loaded when it is needed, which help does not. */
import type { Command } from 'commander';
import type { ExtendOptions, OpenOptions, SendOptions } from './agreement-verbs.ts';
import { createContext } from './context.ts';
import { addSendOptions, duration } from './options.ts';

const work = () => import('./agreement-verbs.ts');

export function register(program: Command): void {
  const agreement = program.command('agreement').description('money set aside for a miner: open, topup, extend, close');
  agreement
    .command('show')
    .description('what an agreement holds, and until when')
    .argument('<agreement>', 'its id')
    .action(async (id: string, _options: object, command: Command) => {
      await (await work()).show(createContext(command), id);
    });
  addSendOptions(
    agreement
      .command('open')
      .description('set money aside; what the miner does not earn comes back')
      .argument('<miner>', 'address')
      .argument('<cap>', 'amount, e.g. 5 or 5000000uait')
      .requiredOption('--for <duration>', 'until it expires, e.g. 30m', duration)
      .option('--signer <key>', 'public key whose vouchers count; that of the payer when absent'),
  ).action(async (miner: string, cap: string, options: OpenOptions, command: Command) => {
    await (await work()).open(createContext(command), miner, cap, options);
  });
  addSendOptions(
    agreement.command('topup').description('set more aside').argument('<agreement>', 'its id').argument('<amount>'),
  ).action(async (id: string, amount: string, options: SendOptions, command: Command) => {
    await (await work()).topUp(createContext(command), id, amount, options);
  });
  addSendOptions(
    agreement
      .command('extend')
      .description('let it last longer')
      .argument('<agreement>', 'its id')
      .requiredOption('--for <duration>', 'from now until it expires, e.g. 30m', duration),
  ).action(async (id: string, options: ExtendOptions, command: Command) => {
    await (await work()).extend(createContext(command), id, options);
  });
  addSendOptions(
    agreement
      .command('close')
      .description('end it: the miner has a minute and 20 blocks to settle, then the rest comes back')
      .argument('<agreement>', 'its id'),
  ).action(async (id: string, options: SendOptions, command: Command) => {
    await (await work()).close(createContext(command), id, options);
  });
}
