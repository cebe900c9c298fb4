/** Receipts as the command line checks them: from a file with nobody asked, or with what the chain says of their money. */
import { readFile, stat } from 'node:fs/promises';
import { toHex } from '../../bytes.ts';
import { MAX_OUTPUT_BYTES } from '../../chain/market/price.ts';
import type { ReceiptDocument } from '../../chain/market/receipt-json.ts';
import { NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import type { ReceiptAnchor, VerifiedReceipt } from '../../sdk/receipt.ts';
import { MAX_RECEIPT_CHARACTERS, parseReceipt, verifyOutput, verifyReceipt } from '../../sdk/receipt.ts';
import { formatAit } from '../amount.ts';
import type { Context } from '../context.ts';
import { requireMeantChain } from '../deliver.ts';
import { fields } from '../output.ts';
import { readSmallText } from '../small-file.ts';

/** @throws NodeError BAD_RECEIPT naming what does not hold; WRONG_CHAIN | WRONG_GENESIS when another chain is meant */
export async function verifyReceiptFile(context: Context, path: string, outputPath: string | undefined): Promise<void> {
  const text = await readSmallText(path, MAX_RECEIPT_CHARACTERS, 'a receipt', 'BAD_RECEIPT');
  const output = outputPath === undefined ? null : await readOutput(outputPath);
  const document = parseReceipt(nativeCrypto, text);
  await requireMeantChain(context, document.chain);
  const verified = checkReceipt(document, output);
  context.out.data(describeJson(document, verified, output !== null), describe(document, verified));
  for (const { text: line } of verified.findings) context.out.note(`  ✓ ${line}`);
  context.out.note(`✓ Receipt valid${output ? ', and about this answer' : ''}. What the chain paid was not asked.`);
}

/** @param output null: not looked at @throws NodeError BAD_RECEIPT */
export function checkReceipt(
  document: ReceiptDocument,
  output: Uint8Array | null,
  anchor?: ReceiptAnchor,
): VerifiedReceipt {
  const rules = { crypto: nativeCrypto, chain: document.chain };
  const verified = verifyReceipt(rules, document.signed, document.acknowledgement, anchor);
  if (output) verifyOutput(rules, document.signed.receipt, output);
  return verified;
}

export function describeJson({ chain, signed }: ReceiptDocument, verified: VerifiedReceipt, isOutputChecked: boolean) {
  return {
    receipt_id: toHex(verified.id),
    receipt_valid: true,
    job_id: toHex(signed.receipt.job),
    chain_id: chain.chainId,
    genesis_hash: toHex(chain.genesisHash),
    due_uait: String(verified.dueUait),
    output_checked: isOutputChecked,
    findings: verified.findings,
  };
}

export function describe({ chain, signed: { receipt } }: ReceiptDocument, verified: VerifiedReceipt): string {
  return fields([
    ['receipt', toHex(verified.id)],
    ['job', toHex(receipt.job)],
    ['chain', `${chain.chainId}, genesis ${toHex(chain.genesisHash)}`],
    ['work', `${receipt.kind} by ${receipt.model}, ${receipt.inputBytes} bytes in, ${receipt.outputBytes} out`],
    ['ended', `${receipt.finish}, ${new Date(receipt.endedAtMs).toISOString()} by the clock of the miner`],
    ['due', formatAit(verified.dueUait)],
    ['agreement', toHex(receipt.agreement)],
  ]);
}

async function readOutput(path: string): Promise<Uint8Array> {
  try {
    if ((await stat(path)).size > MAX_OUTPUT_BYTES) {
      throw new NodeError('TOO_LARGE', `${path} is larger than any output`, { data: { limit: MAX_OUTPUT_BYTES } });
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof NodeError) throw error;
    throw new NodeError('USAGE', `cannot read ${path}`, { cause: error });
  }
}
