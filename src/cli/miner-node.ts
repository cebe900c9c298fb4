/** `aitbc miner init|start`: the grammar of a node that does work for others. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import type { MinerInitOptions } from './miner-home.ts';
import type { NodeOptions } from './node-options.ts';
import { addNodeOptions } from './node-options.ts';
import { collect, positiveNumber } from './options.ts';

/** Loaded when it is needed, which help does not. */
const work = () => import('./miner-home.ts');

export function registerMinerNode(miner: Command): void {
  miner
    .command('init')
    .description('make the miner’s account and switch the miner on in config.toml; what exists stays')
    .option('--key-file <file>', 'use this key file in place of one in the folder of the chain')
    .option('--name <name>', 'shown to people beside its offers')
    .option('--slots <number>', 'jobs at once', positiveNumber)
    .option('--stake <amount>', 'whole AIT to hold at stake; the least that the chain asks for when absent')
    .option('--price <line>', '"KIND[:MODEL] FIXED INPUT OUTPUT" in uait (repeatable)', collect)
    .option('--region <text>', 'where it is')
    .action(async (options: MinerInitOptions, command: Command) => {
      await (await work()).initMiner(createContext(command), options);
    });
  addNodeOptions(
    miner.command('start').description('run the node of this home with its miner, which stakes once it can'),
  ).action(async (options: NodeOptions, command: Command) => {
    await (await work()).startMiner(createContext(command), options);
  });
}
