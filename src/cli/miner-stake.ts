/** What a miner has at stake: more of it, less of it, how much it is. */
import { parseAddress } from '../chain/address.ts';
import type { StakeAmount } from '../chain/modules/compute/stake.ts';
import { stake, unstake } from '../chain/modules/compute/stake.ts';
import type { TxType } from '../chain/modules/types.ts';
import { NodeError } from '../errors.ts';
import { buildTransaction } from '../sdk/build.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { fields } from './output.ts';
import { readMarketParams, readStake } from './reads.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey } from './signer.ts';
import type { TransactOptions } from './transact.ts';
import { transact } from './transact.ts';

export type SendOptions = KeyOptions & TransactOptions;

export async function putAtStake(context: Context, amount: string, options: SendOptions): Promise<void> {
  const amountUait = parseAmount(amount);
  await move(context, stake, amountUait, [`stake    ${formatAit(amountUait)}`], options);
}

export async function takeOut(context: Context, amount: string, options: SendOptions): Promise<void> {
  const amountUait = parseAmount(amount);
  const summary = [`unstake  ${formatAit(amountUait)}`, '         what cools already begins anew with it'];
  await move(context, unstake, amountUait, summary, options);
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

export async function show(context: Context, text: string): Promise<void> {
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
