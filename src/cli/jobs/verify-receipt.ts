/** Receipts as the command line checks them: from a file with nobody asked, or with what the chain says of their money. */
import { readFile, stat } from 'node:fs/promises';
import { toHex } from '../../bytes.ts';
import { MAX_OUTPUT_BYTES } from '../../chain/market/price.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import type { ReceiptDocument } from '../../chain/market/receipt-json.ts';
import { NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { createMarketReads } from '../../sdk/market-reads.ts';
import type { VerifiedReceipt } from '../../sdk/receipt.ts';
import {
  anchorOf,
  MAX_RECEIPT_CHARACTERS,
  parseReceipt,
  verifyOutput,
  verifyReceiptDocument,
} from '../../sdk/receipt.ts';
import { formatAit } from '../amount.ts';
import type { Context } from '../context.ts';
import { requireMeantChain } from '../deliver.ts';
import { fields } from '../output.ts';
import { readSmallText } from '../small-file.ts';
import { startVerification } from '../verification.ts';

/** @throws NodeError BAD_RECEIPT naming what does not hold; WRONG_CHAIN | WRONG_GENESIS when another chain is meant */
export async function verifyReceiptFile(context: Context, path: string, options: VerifyOptions): Promise<void> {
  const { output: outputPath, settled } = options;
  const text = await readSmallText(path, MAX_RECEIPT_CHARACTERS, 'a receipt', 'BAD_RECEIPT');
  const output = outputPath === undefined ? null : await readOutput(outputPath);
  const document = parseReceipt(nativeCrypto, text);
  await requireMeantChain(context, document.chain);
  const verified = checkReceipt(document, output);
  const settlement = settled === true ? await findSettlement(context, document) : null;
  const json = { ...describeJson(document, verified, output !== null), settlement };
  context.out.data(json, describe(document, verified));
  for (const { text: line } of verified.findings) context.out.note(`  ✓ ${line}`);
  if (settlement) context.out.note(`  ✓ ${settlement.text}`);
  const asked = settlement ? 'The chain holds its root.' : 'What the chain paid was not asked.';
  context.out.note(`✓ Receipt valid${output ? ', and about this answer' : ''}. ${asked}`);
}

export interface VerifyOptions {
  readonly output?: string;
  readonly settled?: boolean;
}

interface Settlement {
  /** Of the settlement; null: the agreement as it is now holds the root. */
  readonly height: number | null;
  readonly paid_uait: string;
  readonly text: string;
}

/** What the chain says: of the agreement as it is, else of the settlement in the file. @throws NodeError BAD_PROOF | BAD_RECEIPT */
async function findSettlement(context: Context, document: ReceiptDocument): Promise<Settlement> {
  const verification = await startVerification(context);
  const reads = createMarketReads(context.client(document.chain.chainId), verification?.client ?? null);
  const agreement = await reads.agreement(document.signed.receipt.agreement);
  const paid_uait = String(agreement?.paidUait ?? 0);
  if (agreement && anchorOf(nativeCrypto, document, agreement)) {
    verifyReceiptDocument(nativeCrypto, document, agreement);
    return { height: null, paid_uait, text: `the agreement holds its root, and ${paid_uait} uait are paid under it` };
  }
  const transaction = document.anchor?.settlement;
  const height = transaction ? await reads.done(nativeCrypto.hash(transaction)) : null;
  if (height !== null) return { height, paid_uait, text: `settled with that root in block ${height}` };
  throw new NodeError('BAD_PROOF', 'the chain holds no root that this file leads to', {
    data: { agreement: toHex(document.signed.receipt.agreement), has_path: document.anchor !== null },
    hint: 'ask the node that paid for it again once its miner has settled: GET /v1/receipts/{id} tells path and settlement',
  });
}

/** @param output null: not looked at @param agreement null: not asked for @throws NodeError BAD_RECEIPT */
export function checkReceipt(
  document: ReceiptDocument,
  output: Uint8Array | null,
  agreement: Agreement | null = null,
): VerifiedReceipt {
  const verified = verifyReceiptDocument(nativeCrypto, document, agreement);
  if (output) verifyOutput({ crypto: nativeCrypto }, document.signed.receipt, output);
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
