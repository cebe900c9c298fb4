/** A transaction in words, as it is shown before it is signed or sent. */
import { fromHex, toHex } from '../bytes.ts';
import { formatAddress } from '../chain/address.ts';
import { transfer } from '../chain/modules/bank.ts';
import { txTypeByNumber } from '../chain/modules/table.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import type { TransactionFile } from '../sdk/transaction-file.ts';
import { transactionFileToJson } from '../sdk/transaction-file.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import { printable } from './output.ts';

/** Name and value, one a line. */
export function transactionLines({ chain, transaction }: TransactionFile): string[] {
  const { payload } = transactionToJson(transaction);
  const { name } = txTypeByNumber(transaction.type);
  return [
    `chain      ${chain.chainId}, genesis ${toHex(chain.genesisHash)}`,
    `from       ${formatAddress(transaction.senderAddress)}`,
    ...(name === transfer.name
      ? transferLines(payload as Readonly<Record<string, string>>)
      : [`does       ${name} ${printable(JSON.stringify(payload))}`]),
    `fee        ${formatAit(transaction.feeUait)}`,
    `nonce      ${transaction.nonce}`,
    `valid      until block ${transaction.validUntilHeight}`,
  ];
}

/** As JSON that people can read before they sign, and what to do with it. */
export function printTransactionFile(context: Context, file: TransactionFile): void {
  const json = transactionFileToJson(file);
  context.out.data(json, JSON.stringify(json, null, 2));
  context.out.note(
    file.isSigned
      ? 'Next, where a node can be reached: aitbc tx broadcast FILE'
      : 'Next, where the key is: aitbc tx sign FILE',
  );
}

function transferLines({ to, amount_uait, memo }: Readonly<Record<string, string>>): string[] {
  const lines = [`to         ${to ?? ''}`, `amount     ${formatAit(amount_uait ?? '0')}`];
  return memo === undefined ? lines : [...lines, `memo       ${memoText(memo)}`];
}

function memoText(hex: string): string {
  const text = Buffer.from(fromHex(hex)).toString('utf8');
  return text.includes('\ufffd') ? `${hex} (hex)` : `"${printable(text)}"`;
}
