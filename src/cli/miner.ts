/** `aitbc miner`: doing work for others, and what a miner has at stake. */
import type { Command } from 'commander';
import { parseAddress } from '../chain/address.ts';
import type { StakeAmount } from '../chain/modules/compute/stake.ts';
import { stake, unstake } from '../chain/modules/compute/stake.ts';
import type { TxType } from '../chain/modules/types.ts';
import { NodeError } from '../errors.ts';
import { buildTransaction } from '../sdk/build.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { addSendOptions } from './options.ts';
import { registerMinerBench } from './miner-bench.ts';
import { registerMinerNode } from './miner-node.ts';
import { registerMinerOperator } from './miner-operate.ts';
import { fields } from './output.ts';
import { readMarketParams, readStake } from './reads.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey } from './signer.ts';
import type { TransactOptions } from './transact.ts';
import { transact } from './transact.ts';

type SendOptions = KeyOptions & TransactOptions;

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
    const amountUait = parseAmount(amount);
    await move(createContext(command), stake, amountUait, [`stake    ${formatAit(amountUait)}`], options);
  });
  addSendOptions(
    miner
      .command('unstake')
      .description('take money out; it cools down, longer than any agreement lasts, and comes back by itself')
      .argument('<amount>', '10000 or 10000000000uait'),
  ).action(async (amount: string, options: SendOptions, command: Command) => {
    const amountUait = parseAmount(amount);
    const summary = [`unstake  ${formatAit(amountUait)}`, '         what cools already begins anew with it'];
    await move(createContext(command), unstake, amountUait, summary, options);
  });
  miner
    .command('show')
    .description('the stake of a miner')
    .argument('<address>')
    .action(async (address: string, _options: object, command: Command) => {
      await show(createContext(command), address);
    });
}

async function move(
  context: Context,
  txType: TxType<StakeAmount>,
  amountUait: number,
  summary: readonly string[],
  options: SendOptions,
): Promise<void> {
  const status = await context.status();
  const key = await chooseKey(context, options, status.chain_id);
  const spendsUait = txType.spends?.({ amountUait }) ?? 0;
  await checkRest(context, key.address, spendsUait > 0 ? amountUait : -amountUait);
  await transact(
    context,
    status,
    key,
    {
      build: (signing, txOptions) => buildTransaction(signing, txOptions, txType, { amountUait }),
      summary,
      spendsUait,
    },
    options,
  );
}

/** A stake is nothing, or the least and more. @throws NodeError USAGE */
async function checkRest(context: Context, address: string, changeUait: number): Promise<void> {
  const { minStakeUait } = await readMarketParams(context);
  const stakedUait = Number((await readStake(context, parseAddress(address))).staked_uait);
  const restUait = stakedUait + changeUait;
  if (restUait === 0 || restUait >= minStakeUait) return;
  throw new NodeError('USAGE', `a miner has ${formatAit(minStakeUait)} or more at stake, or nothing`, {
    data: { stakedUait, restUait },
    hint: `${formatAit(stakedUait)} are at stake now`,
  });
}

async function show(context: Context, text: string): Promise<void> {
  const answer = await readStake(context, parseAddress(text));
  const { address, staked_uait, cooling_uait, cools_until } = answer;
  const cooling = cools_until === null ? formatAit(cooling_uait) : `${formatAit(cooling_uait)} until ${cools_until}`;
  const rows = [
    ['address', address],
    ['staked', formatAit(staked_uait)],
    ['cooling', cooling],
  ] as const;
  context.out.data(answer, fields(rows));
}
