/** What the verbs of `aitbc agreement` do. */
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
import { fields } from './output.ts';
import { readAgreement, readMarketParams, readStake } from './reads.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey } from './signer.ts';
import type { Draft, TransactOptions } from './transact.ts';
import { transact } from './transact.ts';

export type SendOptions = KeyOptions & TransactOptions;
export type ExtendOptions = SendOptions & { readonly for: number };
export type OpenOptions = ExtendOptions & { readonly signer?: string };

export async function open(context: Context, minerText: string, cap: string, options: OpenOptions): Promise<void> {
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

export async function topUp(context: Context, id: string, amount: string, options: SendOptions): Promise<void> {
  const amountUait = parseAmount(amount);
  const payload = { agreement: fromHex(agreementOf(id)), amountUait };
  const summary = [`top up   ${id}`, `amount   ${formatAit(amountUait)}`];
  await sendDraft(context, draftOf(topupAgreement, payload, summary, amountUait), options);
}

export async function extend(context: Context, id: string, options: ExtendOptions): Promise<void> {
  const expiresAtMs = Date.now() + options.for;
  const summary = [`extend   ${id}`, `until    ${new Date(expiresAtMs).toISOString()}`];
  const payload = { agreement: fromHex(agreementOf(id)), expiresAtMs };
  await sendDraft(context, draftOf(extendAgreement, payload, summary), options);
}

export async function close(context: Context, id: string, options: SendOptions): Promise<void> {
  const payload = { agreement: fromHex(agreementOf(id)) };
  await sendDraft(context, draftOf(closeAgreement, payload, [`close    ${id}`]), options);
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

export async function show(context: Context, id: string): Promise<void> {
  const answer = await readAgreement(context, agreementOf(id));
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
