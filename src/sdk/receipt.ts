/**
 * Whether a receipt holds, with nobody asked: pure, for Node and browsers. What it shows is that the miner and the client's
 * session key signed the same account of the work, and that the client's account named both when it set the money aside.
 * That the money moved is for the chain to say: see `ReceiptAnchor`.
 */
import type { Address, Hash, Signature } from '../bytes.ts';
import { equalBytes, toHex } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { Crypto, Hasher } from '../chain/crypto/types.ts';
import type { ListProof } from '../chain/list-root.ts';
import { listProof, listRoot, verifyListProof } from '../chain/list-root.ts';
import { attemptId } from '../chain/market/job.ts';
import { dueUait, MAX_OUTPUT_BYTES } from '../chain/market/price.ts';
import type { ReceiptDocument, ReceiptPlace } from '../chain/market/receipt-json.ts';
import { receiptFromJson } from '../chain/market/receipt-json.ts';
import type { SignedReceipt, WorkReceipt } from '../chain/market/receipt.ts';
import { acknowledgementCheck, receiptCheck, receiptId } from '../chain/market/receipt.ts';
import { MAX_INPUT_BYTES } from '../chain/market/content.ts';
import type { Agreement } from '../chain/modules/compute/agreement.ts';
import { agreementId } from '../chain/modules/compute/agreement.ts';
import type { OpenAgreement } from '../chain/modules/compute/agreement-client.ts';
import { openAgreement } from '../chain/modules/compute/agreement-client.ts';
import { releaseAgreement, settleAgreement } from '../chain/modules/compute/agreement-miner.ts';
import type { Json } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Transaction } from '../chain/tx.ts';
import { decodeTransaction, txCheck } from '../chain/tx.ts';
import { NodeError, toNodeError } from '../errors.ts';

export interface ReceiptRules {
  readonly crypto: Crypto;
  readonly chain: ChainContext;
}

/** That the chain holds the receipt: its place in the list whose root the agreement has. */
export interface ReceiptAnchor {
  /** As proven by a light client, or as a node that is believed tells it. */
  readonly agreement: Agreement;
  readonly place: ListProof;
}

/** What was checked; the first that fails ends verification, under its name in the error's `data.check`. */
export type ReceiptCheckName =
  | 'numbers'
  | 'due'
  | 'miner'
  | 'acknowledgement'
  | 'opening'
  | 'account'
  | 'agreement'
  | 'place'
  | 'settlement'
  | 'anchor';

/** What a receipt that holds shows. */
export interface VerifiedReceipt {
  readonly id: Hash;
  readonly miner: Address;
  readonly client: Address;
  /** Id of the transaction that opened the agreement. */
  readonly opening: Hash;
  readonly capUait: number;
  readonly dueUait: number;
  /** In the order made, with a sentence for people. */
  readonly findings: readonly { readonly check: ReceiptCheckName; readonly text: string }[];
}

/** Four times what the largest receipt makes. */
export const MAX_RECEIPT_CHARACTERS = 32 * 1024;

/** A receipt's file; no signature is verified. @throws NodeError BAD_RECEIPT */
export function parseReceipt(hasher: Hasher, text: string): ReceiptDocument {
  if (text.length > MAX_RECEIPT_CHARACTERS) throw badReceipt('form', 'it is too large to be one');
  try {
    return receiptFromJson(hasher, JSON.parse(text) as Json);
  } catch (thrown) {
    const { code, message, data } = toNodeError(thrown);
    if (code === 'INTERNAL') throw badReceipt('form', 'it is not JSON');
    throw badReceipt('form', message, data);
  }
}

/** @throws NodeError BAD_RECEIPT naming what does not hold */
export function verifyReceipt(
  rules: ReceiptRules,
  signed: SignedReceipt,
  acknowledgement: Signature | null,
  anchor?: ReceiptAnchor,
): VerifiedReceipt {
  const { crypto, chain } = rules;
  const { receipt } = signed;
  const miner = addressOf(crypto, receipt.miner);
  const findings: { check: ReceiptCheckName; text: string }[] = [];
  const held = (check: ReceiptCheckName, text: string): void => void findings.push({ check, text });

  checkNumbers(crypto, receipt);
  const id = receiptId(crypto, chain, receipt);
  held('numbers', `${receipt.outputBytes} bytes of output in ${receipt.chunks} pieces`);
  checkDue(receipt);
  held('due', `${receipt.dueUait} uait are what the price makes of these bytes`);
  checkSignature(crypto, receiptCheck(chain, signed), 'miner', 'the miner did not sign this receipt');
  held('miner', `signed by the miner ${formatAddress(miner)}`);
  if (!acknowledgement) throw badReceipt('acknowledgement', 'the client has not acknowledged it');
  const acknowledged = acknowledgementCheck(chain, id, acknowledgement, receipt.signer);
  checkSignature(crypto, acknowledged, 'acknowledgement', "the client's session key did not acknowledge it");
  held('acknowledgement', `acknowledged by the session key ${toHex(receipt.signer)}`);
  const { opening, capUait } = checkOpening(rules, receipt, miner);
  held('opening', `the opening of the agreement, ${toHex(opening)}, names this key and this miner`);
  held('account', `signed by the account of the client ${formatAddress(receipt.client)}`);
  held('agreement', `it opens agreement ${toHex(receipt.agreement)}`);
  if (anchor) {
    checkAnchor(rules, receipt, id, miner, anchor);
    held('anchor', 'the chain holds the root of a list with this receipt');
  }
  return { id, miner, client: receipt.client, opening, capUait, dueUait: receipt.dueUait, findings };
}

/** That these bytes are the output the receipt is about. @throws NodeError BAD_RECEIPT */
export function verifyOutput({ crypto }: Pick<ReceiptRules, 'crypto'>, receipt: WorkReceipt, output: Uint8Array): void {
  if (output.length === receipt.outputBytes && equalBytes(crypto.hash(output), receipt.outputHash)) return;
  throw badReceipt('output', 'it is about another output', { bytes: output.length, expected: receipt.outputBytes });
}

/**
 * A receipt with all that its file has: also its place under the root that the miner signed, where it tells one.
 *
 * @param agreement as the chain has it; null: not asked, and what is settled is the miner's word
 * @throws NodeError BAD_RECEIPT naming what does not hold
 */
export function verifyReceiptDocument(
  crypto: Crypto,
  document: ReceiptDocument,
  agreement: Agreement | null,
): VerifiedReceipt {
  const { chain, signed, acknowledgement } = document;
  const rules = { crypto, chain };
  const anchor = agreement ? anchorOf(crypto, document, agreement) : undefined;
  const verified = verifyReceipt(rules, signed, acknowledgement, anchor);
  if (!document.anchor) return verified;
  const findings = placeFindings(rules, signed.receipt, verified, document.anchor);
  return { ...verified, findings: [...verified.findings, ...findings] };
}

/** Of the root that the chain has: by the place that the file tells, or as the only receipt of the agreement. */
export function anchorOf(
  hasher: Hasher,
  { id, anchor }: Pick<ReceiptDocument, 'id' | 'anchor'>,
  agreement: Agreement,
): ReceiptAnchor | undefined {
  if (anchor && equalBytes(anchor.root, agreement.receiptsRoot)) return { agreement, place: anchor.place };
  return soleAnchor(hasher, id, agreement);
}

/** The place of a receipt that is the only one of its agreement; undefined when the chain has no root, or that of others. */
export function soleAnchor(hasher: Hasher, id: Hash, agreement: Agreement): ReceiptAnchor | undefined {
  const place = listProof(hasher, [id], 0);
  return place && equalBytes(listRoot(hasher, [id]), agreement.receiptsRoot) ? { agreement, place } : undefined;
}

function checkNumbers(crypto: Crypto, receipt: WorkReceipt): void {
  const { attempt, inputBytes, outputBytes, chunks, startedAtMs, endedAtMs, price } = receipt;
  const prices = [price.fixedUait, price.inputUaitPerKib, price.outputUaitPerKib];
  const numbers = [attempt, inputBytes, outputBytes, chunks, startedAtMs, endedAtMs, receipt.dueUait, ...prices];
  if (!numbers.every((value) => Number.isSafeInteger(value) && value >= 0)) {
    throw badReceipt('numbers', 'its numbers are not integers');
  }
  if (attempt === 0 || inputBytes > MAX_INPUT_BYTES || outputBytes > MAX_OUTPUT_BYTES || chunks > outputBytes) {
    throw badReceipt('numbers', 'its counts are out of range', { attempt, inputBytes, outputBytes, chunks });
  }
  if (endedAtMs < startedAtMs)
    throw badReceipt('numbers', 'its work ended before it began', { startedAtMs, endedAtMs });
  if (outputBytes > 0 === chunks > 0) {
    if (chunks > 0) return;
    const isNothing = equalBytes(receipt.outputHash, crypto.hash(new Uint8Array()));
    if (isNothing && equalBytes(receipt.link, attemptId(crypto, receipt.job, attempt))) return;
  }
  throw badReceipt('numbers', 'its bytes, pieces, hash and link contradict each other', { outputBytes, chunks });
}

function checkDue({ price, inputBytes, outputBytes, dueUait: told }: WorkReceipt): void {
  const expected = dueUait(price, inputBytes, outputBytes);
  if (told === expected) return;
  throw badReceipt('due', 'what is due is not what the price makes of the bytes', { told, expected });
}

function checkSignature(
  crypto: Crypto,
  { message, signature, publicKey }: ReturnType<typeof receiptCheck>,
  check: ReceiptCheckName,
  otherwise: string,
): void {
  if (!crypto.verify(message, signature, publicKey)) throw badReceipt(check, otherwise);
}

function checkOpening(
  { crypto, chain }: ReceiptRules,
  receipt: WorkReceipt,
  miner: Address,
): { readonly opening: Hash; readonly capUait: number } {
  const { transaction, payload } = readOpening(crypto, receipt.open);
  if (!equalBytes(payload.signer, receipt.signer)) {
    throw badReceipt('opening', 'the opening of the agreement names another session key');
  }
  if (!equalBytes(payload.miner, miner))
    throw badReceipt('opening', 'the opening of the agreement names another miner');
  if (!equalBytes(transaction.senderAddress, receipt.client)) {
    throw badReceipt('account', 'another account opened the agreement than the client');
  }
  checkSignature(
    crypto,
    txCheck(chain, transaction),
    'account',
    'the account did not sign the opening of the agreement',
  );
  const id = agreementId(crypto, chain, receipt.client, transaction.nonce);
  if (!equalBytes(id, receipt.agreement)) {
    throw badReceipt('agreement', 'it names another agreement than the one that was opened', { opened: toHex(id) });
  }
  return { opening: transaction.id, capUait: payload.capUait };
}

function readOpening(
  crypto: Crypto,
  bytes: Uint8Array,
): { readonly transaction: Transaction; readonly payload: OpenAgreement } {
  try {
    const transaction = decodeTransaction(crypto, bytes);
    if (transaction.type !== openAgreement.type) throw badReceipt('opening', 'its transaction opens no agreement');
    return { transaction, payload: openAgreement.decode(transaction.payload) };
  } catch (thrown) {
    const error = toNodeError(thrown);
    if (error.code === 'BAD_RECEIPT') throw error;
    throw badReceipt('opening', `its opening is no transaction: ${error.message}`);
  }
}

function checkAnchor(
  { crypto }: ReceiptRules,
  receipt: WorkReceipt,
  id: Hash,
  miner: Address,
  { agreement, place }: ReceiptAnchor,
): void {
  const same =
    equalBytes(agreement.client, receipt.client) &&
    equalBytes(agreement.signer, receipt.signer) &&
    equalBytes(agreement.miner, miner);
  if (!same) throw badReceipt('anchor', 'the chain has another agreement under this id');
  if (agreement.paidUait < receipt.dueUait) {
    throw badReceipt('anchor', 'the chain has paid less under the agreement', { paidUait: agreement.paidUait });
  }
  if (!verifyListProof(crypto, agreement.receiptsRoot, id, place)) {
    throw badReceipt('anchor', "the agreement's root of receipts does not hold this one");
  }
}

/** @throws NodeError BAD_RECEIPT */
function placeFindings(
  { crypto, chain }: ReceiptRules,
  receipt: WorkReceipt,
  { id, miner }: VerifiedReceipt,
  { root, place, settlement }: ReceiptPlace,
): VerifiedReceipt['findings'] {
  if (!verifyListProof(crypto, root, id, place)) {
    throw badReceipt('place', 'its path does not lead to the root that it names');
  }
  const held = { check: 'place', text: `receipt ${place.index + 1} of ${place.count} under ${toHex(root)}` } as const;
  if (!settlement) return [held];
  const transaction = readTransaction(crypto, settlement);
  const { receiptsRoot, agreement, totalUait } = takingOf(transaction);
  if (!equalBytes(receiptsRoot, root) || !equalBytes(agreement, receipt.agreement)) {
    throw badReceipt('settlement', 'its settlement is of another agreement, or brings another root');
  }
  if (!equalBytes(transaction.senderAddress, miner)) {
    throw badReceipt('settlement', 'another account than the miner settled');
  }
  if (totalUait !== null && totalUait < receipt.dueUait)
    throw badReceipt('settlement', 'its settlement takes less than is due');
  checkSignature(crypto, txCheck(chain, transaction), 'settlement', 'the miner did not sign the settlement');
  const text = `the miner brought that root to the chain with transaction ${toHex(transaction.id)}`;
  return [held, { check: 'settlement', text }];
}

function readTransaction(crypto: Crypto, bytes: Uint8Array): Transaction {
  try {
    return decodeTransaction(crypto, bytes);
  } catch (thrown) {
    throw badReceipt('settlement', `its settlement is no transaction: ${toNodeError(thrown).message}`);
  }
}

/** @throws NodeError BAD_RECEIPT */
function takingOf({ type, payload }: Transaction): {
  readonly agreement: Hash;
  readonly receiptsRoot: Hash;
  /** null: all was taken before. */
  readonly totalUait: number | null;
} {
  if (type === settleAgreement.type) return settleAgreement.decode(payload);
  if (type !== releaseAgreement.type) throw badReceipt('settlement', 'its transaction settles nothing');
  const { agreement, receiptsRoot, taking } = releaseAgreement.decode(payload);
  return { agreement, receiptsRoot, totalUait: taking?.totalUait ?? null };
}

function badReceipt(check: ReceiptCheckName | 'form' | 'output', why: string, data: NodeError['data'] = {}): NodeError {
  return new NodeError('BAD_RECEIPT', `the receipt does not hold: ${why}`, {
    data: { check, ...data },
    hint: 'do not rely on it; ask miner or client for the one they keep',
  });
}
