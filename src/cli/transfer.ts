/** Transfers, as `aitbc send` sends and `aitbc tx build` writes them. */
import { utf8 } from '../bytes.ts';
import { formatAddress, parseAddress } from '../chain/address.ts';
import { MAX_MEMO_BYTES } from '../chain/modules/bank.ts';
import { NodeError } from '../errors.ts';
import { buildTransfer } from '../sdk/build.ts';
import { isWalletName } from '../wallet/keystore.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { readWallet } from './keystore-files.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey } from './signer.ts';
import type { Draft, TransactOptions } from './transact.ts';
import { transact } from './transact.ts';

export type SendOptions = KeyOptions & TransactOptions & { readonly memo?: string };

export async function send(context: Context, to: string, amountText: string, options: SendOptions): Promise<void> {
  const draft = await transferDraft(context, to, amountText, options.memo);
  const status = await context.status();
  const key = await chooseKey(context, options, status.chain_id);
  await transact(context, status, key, draft, options);
}

/** @throws NodeError USAGE | BAD_ADDRESS | NOT_FOUND */
export async function transferDraft(context: Context, to: string, amountText: string, text = ''): Promise<Draft> {
  const amountUait = parseAmount(amountText);
  const memo = utf8(text);
  if (memo.length > MAX_MEMO_BYTES) {
    throw new NodeError('USAGE', `a memo has at most ${MAX_MEMO_BYTES} bytes, this one ${memo.length}`);
  }
  const target = await targetOf(context, to);
  const address = parseAddress(target);
  return {
    build: (signing, txOptions) => buildTransfer(signing, { ...txOptions, to: address, amountUait, memo }),
    summary: [`to       ${target}`, `amount   ${formatAit(amountUait)}`],
    spendsUait: amountUait,
  };
}

/** What begins as an address is one, whatever wallets are called. */
async function targetOf(context: Context, to: string): Promise<string> {
  if (/^ait1/i.test(to) || !isWalletName(to)) return formatAddress(parseAddress(to));
  return (await readWallet(context.layout().keystore, to)).address;
}
