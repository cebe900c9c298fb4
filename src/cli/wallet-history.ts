/** Transactions of an account, newest first, as the node finds them; proven one by one where nodes are not believed. */
import { fromHex } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Json } from '../chain/modules/types.ts';
import { NodeError } from '../errors.ts';
import { nativeHasher } from '../native/hasher.ts';
import type { ListedTransaction } from '../sdk/types.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import { plural, printable, table } from './output.ts';
import { transactionAnswer } from './reads.ts';
import { chooseWallet } from './signer.ts';
import type { Verification } from './verification.ts';
import { startVerification } from './verification.ts';

export interface HistoryOptions {
  readonly limit: number;
  readonly cursor?: string;
}

export async function history(context: Context, who: string | undefined, options: HistoryOptions): Promise<void> {
  const address = who?.startsWith('ait1') === true ? who : (await chooseWallet(context, who)).address;
  const verification = await startVerification(context);
  const { items: found, next, isLate } = await search(context, address, options);
  const items = verification ? await proven(verification, found) : found;
  const rows = items.map((item) => row(item, address));
  const none = `No transactions of ${address}${next === null ? '' : ' so far'}.`;
  const text = rows.length === 0 ? none : table(['BLOCK', 'TYPE', '', 'WITH', 'AMOUNT', 'RESULT', 'HASH'], rows);
  if (verification) context.out.note('not provable: that the node left none out');
  context.out.data({ address, transactions: items, next_cursor: next }, text);
  if (isLate) context.out.note('the time is over: what is older was not looked at');
  if (next !== null) context.out.note(`Older ones: aitbc wallet history ${who ?? address} --cursor ${next}`);
}

interface Search {
  readonly items: readonly ListedTransaction[];
  /** Where older ones begin; null: there are none. */
  readonly next: string | null;
  /** It was ended by the clock. */
  readonly isLate: boolean;
}

/** Pages may be empty where a node looks through many blocks. */
async function search(context: Context, address: string, { limit, cursor }: HistoryOptions): Promise<Search> {
  const client = context.client();
  const until = performance.now() + context.timeoutMs;
  const items: ListedTransaction[] = [];
  let next = cursor ?? null;
  do {
    const from = next === null ? {} : { cursor: next };
    const page = await client.transactions({ address, limit: limit - items.length, ...from });
    items.push(...page.items);
    next = page.next_cursor;
    if (next !== null && performance.now() > until) return { items, next, isLate: items.length < limit };
  } while (next !== null && items.length < limit);
  return { items, next, isLate: false };
}

/** @throws NodeError BAD_PROOF for one that is not final as the node says */
async function proven(verification: Verification, items: readonly ListedTransaction[]): Promise<ListedTransaction[]> {
  const answers: ListedTransaction[] = [];
  let last;
  for (const { hash } of items) {
    const found = await verification.client.transaction(fromHex(hash, 32));
    if ('unproven' in found) {
      throw new NodeError('BAD_PROOF', `the node lists transaction ${hash}, and does not prove that it is final`);
    }
    const { height, index, code, code_name, transaction } = transactionAnswer(found);
    const at = { height: height ?? 0, index: index ?? 0 };
    const result = { code: typeof code === 'number' ? code : null, code_name };
    answers.push({ hash, ...at, ...result, transaction: transaction ?? {} });
    last = found.block;
  }
  if (last) await verification.finish(`${plural(answers.length, 'transaction')}, the oldest`, last);
  return answers;
}

function row({ hash, height, code_name, transaction }: ListedTransaction, address: string): (string | number | null)[] {
  const { type, sender, payload } = transaction;
  const { to, amount_uait: amount } = (payload ?? {}) as Readonly<Record<string, Json | undefined>>;
  const from = senderText(sender);
  const isOwn = from === address;
  return [
    height,
    typeof type === 'string' ? printable(type) : null,
    isOwn ? 'out' : 'in',
    isOwn ? (typeof to === 'string' ? printable(to) : null) : from,
    typeof amount === 'string' && /^\d{1,16}$/.test(amount) ? formatAit(amount) : null,
    code_name === null ? null : printable(code_name),
    hash,
  ];
}

/** @param key in hex */
function senderText(key: Json | undefined): string | null {
  return typeof key === 'string' && /^[0-9a-f]{64}$/.test(key)
    ? formatAddress(addressOf(nativeHasher, fromHex(key)))
    : null;
}
