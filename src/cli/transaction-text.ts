/** A transaction in words, as it is shown before it is signed or sent. */
import { fromHex, toHex } from '../bytes.ts';
import { formatAddress } from '../chain/address.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import type { TransactionFile } from '../sdk/transaction-file.ts';
import { formatAit } from './amount.ts';
import { printable } from './output.ts';

/** Name and value, one a line. */
export function transactionLines({ chain, transaction }: TransactionFile): string[] {
  const { type, payload } = transactionToJson(transaction);
  return [
    `chain      ${chain.chainId}, genesis ${toHex(chain.genesisHash)}`,
    `from       ${formatAddress(transaction.senderAddress)}`,
    ...(type === 'transfer' ? transferLines(payload as Readonly<Record<string, string>>) : otherLines(type, payload)),
    `fee        ${formatAit(transaction.feeUait)}`,
    `nonce      ${transaction.nonce}`,
    `valid      until block ${transaction.validUntilHeight}`,
  ];
}

function transferLines({ to, amount_uait, memo }: Readonly<Record<string, string>>): string[] {
  const lines = [`to         ${to ?? ''}`, `amount     ${formatAit(amount_uait ?? '0')}`];
  return memo === undefined ? lines : [...lines, `memo       ${memoText(memo)}`];
}

function otherLines(type: unknown, payload: unknown): string[] {
  return [`does       ${printable(`${JSON.stringify(type)} ${JSON.stringify(payload)}`)}`];
}

function memoText(hex: string): string {
  const text = Buffer.from(fromHex(hex)).toString('utf8');
  return text.includes('\ufffd') ? `${hex} (hex)` : `"${printable(text)}"`;
}
