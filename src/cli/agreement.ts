/** `aitbc agreement`: money set aside for a miner. */
import type { Command } from 'commander';
import type { Address } from '../bytes.ts';
import { fromHex } from '../bytes.ts';
import { parseAddress } from '../chain/address.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../chain/modules/compute/agreement-client.ts';
import type { ComputeParams } from '../chain/modules/compute/params.ts';
import type { TxType } from '../chain/modules/types.ts';
import { NodeError } from '../errors.ts';
import { nativeHasher } from '../native/hasher.ts';
import { agreementIdOf, buildTransaction } from '../sdk/build.ts';
import type { AgreementResponse } from '../sdk/market-types.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { addSendOptions, duration } from './options.ts';
import { fields } from './output.ts';
import { readAgreement, readMarketParams, readStake } from './reads.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey } from './signer.ts';
import type { Draft, TransactOptions } from './transact.ts';
import { transact } from './transact.ts';

type SendOptions = KeyOptions & TransactOptions;
type OpenOptions = SendOptions & { readonly for: number; readonly signer?: string };

export function register(program: Command): void {
  const agreement = program.command('agreement').description('money set aside for a miner: open, topup, extend, close');
  agreement
    .command('show')
    .description('what an agreement holds, and until when')
    .argument('<agreement>', 'its id')
    .action(async (id: string, _options: object, command: Command) => {
      await show(createContext(command), agreementOf(id));
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
    await open(createContext(command), miner, cap, options);
  });
  addSendOptions(
    agreement.command('topup').description('set more aside').argument('<agreement>', 'its id').argument('<amount>'),
  ).action(async (id: string, amount: string, options: SendOptions, command: Command) => {
    const amountUait = parseAmount(amount);
    const payload = { agreement: fromHex(agreementOf(id)), amountUait };
    const draft = draftOf(topupAgreement, payload, [`top up   ${id}`, `amount   ${formatAit(amountUait)}`], amountUait);
    await sendDraft(createContext(command), draft, options);
  });
  addSendOptions(
    agreement
      .command('extend')
      .description('let it last longer')
      .argument('<agreement>', 'its id')
      .requiredOption('--for <duration>', 'from now until it expires, e.g. 30m', duration),
  ).action(async (id: string, options: SendOptions & { readonly for: number }, command: Command) => {
    const expiresAtMs = Date.now() + options.for;
    const summary = [`extend   ${id}`, `until    ${new Date(expiresAtMs).toISOString()}`];
    const payload = { agreement: fromHex(agreementOf(id)), expiresAtMs };
    await sendDraft(createContext(command), draftOf(extendAgreement, payload, summary), options);
  });
  addSendOptions(
    agreement
      .command('close')
      .description('end it: the miner has a minute and 20 blocks to settle, then the rest comes back')
      .argument('<agreement>', 'its id'),
  ).action(async (id: string, options: SendOptions, command: Command) => {
    const payload = { agreement: fromHex(agreementOf(id)) };
    await sendDraft(createContext(command), draftOf(closeAgreement, payload, [`close    ${id}`]), options);
  });
}

async function open(context: Context, minerText: string, cap: string, options: OpenOptions): Promise<void> {
  const miner = parseAddress(minerText);
  const capUait = parseAmount(cap);
  const given = options.signer === undefined ? null : hex32(options.signer, 'a signer');
  const expiresAtMs = Date.now() + options.for;
  const { minOpenFeeUait } = await checkedParams(context, miner, capUait, options.for);
  let id = '';
  await sendDraft(
    telling(context, () => id, options.unsigned === true),
    {
      build: (signing, txOptions) => {
        const { publicKey } = signing.signer;
        id = agreementIdOf(nativeHasher, signing.chain, publicKey, txOptions.nonce);
        const payload = { signer: given ?? publicKey, miner, capUait, expiresAtMs };
        return buildTransaction(signing, { ...txOptions, leastFeeUait: minOpenFeeUait }, openAgreement, payload);
      },
      summary: [
        `miner    ${minerText}`,
        `cap      ${formatAit(capUait)}`,
        `until    ${new Date(expiresAtMs).toISOString()}, rounded up to a minute`,
      ],
      spendsUait: capUait,
    },
    options,
  );
}

/** What the chain would refuse at the price of the fee is refused here. @throws NodeError USAGE | CONFLICT */
async function checkedParams(
  context: Context,
  miner: Address,
  capUait: number,
  termMs: number,
): Promise<ComputeParams> {
  const params = await readMarketParams(context);
  if (capUait < params.minCapUait) {
    throw new NodeError('USAGE', `the cap is below the least one: ${formatAit(params.minCapUait)}`);
  }
  if (termMs > params.maxTermMs) {
    const hours = Math.floor(params.maxTermMs / 3_600_000);
    throw new NodeError('USAGE', `--for is beyond the longest term, ${hours} h`, { hint: 'extend it later' });
  }
  const { address, staked_uait } = await readStake(context, miner);
  if (Number(staked_uait) >= params.minStakeUait) return params;
  throw new NodeError('CONFLICT', `${address} has less at stake than a miner must: agreements with it do not open`, {
    data: { stakedUait: Number(staked_uait), leastUait: params.minStakeUait },
    hint: `the miner puts more at stake: aitbc miner stake ${params.minStakeUait}uait`,
  });
}

function draftOf<P>(txType: TxType<P>, payload: P, summary: readonly string[], spendsUait = 0): Draft {
  return { build: (signing, options) => buildTransaction(signing, options, txType, payload), summary, spendsUait };
}

async function sendDraft(context: Context, draft: Draft, options: SendOptions): Promise<void> {
  const status = await context.status();
  await transact(context, status, await chooseKey(context, options, status.chain_id), draft, options);
}

/** The result of sending, with the agreement's id, which is known once the transaction is built. */
function telling(context: Context, idOf: () => string, isUnsigned: boolean): Context {
  const data = (document: unknown, text: string): void => {
    const id = idOf();
    if (isUnsigned) {
      // A transaction file has its own form.
      context.out.data(document, text);
      context.out.note(`It opens agreement ${id}.`);
      return;
    }
    context.out.data({ ...(document as object), agreement: id }, `${text}\nagreement ${id}`);
  };
  return { ...context, out: { ...context.out, data } };
}

async function show(context: Context, id: string): Promise<void> {
  const answer = await readAgreement(context, id);
  context.out.data(answer, describe(answer));
}

function describe(agreement: AgreementResponse): string {
  return fields([
    ['agreement', agreement.agreement],
    ['state', stateText(agreement)],
    ['client', agreement.client],
    ['miner', agreement.miner],
    ['cap', formatAit(agreement.cap_uait)],
    ['paid', formatAit(agreement.paid_uait)],
    ['held', formatAit(agreement.held_uait)],
    ['refunded', formatAit(agreement.refunded_uait)],
    ['expires', agreement.expires_at],
  ]);
}

function stateText({ state, closing_since, closed }: AgreementResponse): string {
  const since = closing_since ?? closed;
  return since === null ? state : `${state} since block ${since.height} (${since.time})`;
}

function agreementOf(text: string): string {
  hex32(text, 'an agreement');
  return text;
}

function hex32(text: string, what: string): Uint8Array {
  try {
    return fromHex(text, 32);
  } catch (error) {
    throw new NodeError('USAGE', `${what} is 32 bytes in lower-case hex`, { cause: error });
  }
}
