/** `aitbc miner`: the grammar of doing work for others, and of what a miner has at stake. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import type { SendOptions } from './miner-stake.ts';
import { addSendOptions } from './options.ts';
import { registerMinerBench } from './miner-bench.ts';
import { registerMinerNode } from './miner-node.ts';
import { registerMinerOperator } from './miner-operate.ts';

/** Loaded when it is needed, which help does not. */
const staking = () => import('./miner-stake.ts');

export function register(program: Command): void {
  const miner = program.command('miner').description('do work for others and be paid; what a miner has at stake');
  registerMinerNode(miner);
  registerMinerOperator(miner);
  registerMinerBench(miner);
  addSendOptions(
    miner
      .command('stake')
      .description('put money at stake: agreements open only with miners that have enough of it')
      .argument('<amount>', '10000 or 10000000000uait'),
  ).action(async (amount: string, options: SendOptions, command: Command) => {
    await (await staking()).putAtStake(createContext(command), amount, options);
  });
  addSendOptions(
    miner
      .command('unstake')
      .description('take money out; it cools down, longer than any agreement lasts, and comes back by itself')
      .argument('<amount>', '10000 or 10000000000uait'),
  ).action(async (amount: string, options: SendOptions, command: Command) => {
    await (await staking()).takeOut(createContext(command), amount, options);
  });
  miner
    .command('show')
    .description('the stake of a miner')
    .argument('<address>')
    .action(async (address: string, _options: object, command: Command) => {
      await (await staking()).show(createContext(command), address);
    });
}
