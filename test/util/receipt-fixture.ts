/** A receipt that holds, and all keys that made it, so that a test can change any of it and sign anew. */
import { equalBytes } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import { attemptId } from '../../src/chain/market/job.ts';
import { dueUait } from '../../src/chain/market/price.ts';
import type { SignedReceipt, WorkReceipt } from '../../src/chain/market/receipt.ts';
import { acknowledge, receiptId, signReceipt } from '../../src/chain/market/receipt.ts';
import { nextLink } from '../../src/chain/market/tick.ts';
import { agreementId } from '../../src/chain/modules/compute/agreement.ts';
import type { OpenAgreement } from '../../src/chain/modules/compute/agreement-client.ts';
import { openAgreement } from '../../src/chain/modules/compute/agreement-client.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { signTransaction } from '../../src/chain/tx.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { signer } from './chain-fixture.ts';

export interface ReceiptFixture {
  readonly chain: ChainContext;
  readonly signed: SignedReceipt;
  readonly acknowledgement: Uint8Array;
  readonly output: Uint8Array;
}

export const receiptKeys = { client: signer('account-0'), miner: signer('account-1'), session: signer('session') };

const NONCE = 7;

export function openingOf(
  chain: ChainContext,
  change: Partial<OpenAgreement> = {},
  sender: Signer = receiptKeys.client,
  nonce = NONCE,
): Transaction {
  const payload: OpenAgreement = {
    signer: receiptKeys.session.publicKey,
    miner: addressOf(nativeCrypto, receiptKeys.miner.publicKey),
    capUait: 50_000,
    expiresAtMs: 1_800_000_600_000,
    ...change,
  };
  return signTransaction(nativeCrypto, chain, sender, {
    type: openAgreement.type,
    nonce,
    feeUait: 5000,
    validUntilHeight: 100,
    payload: openAgreement.encode(payload),
  });
}

export function workReceipt(chain: ChainContext, output: Uint8Array, change: Partial<WorkReceipt> = {}): WorkReceipt {
  const client = addressOf(nativeCrypto, receiptKeys.client.publicKey);
  const job = nativeCrypto.hash(Uint8Array.of(1));
  const price = { fixedUait: 100, inputUaitPerKib: 20, outputUaitPerKib: 1000 };
  const first = attemptId(nativeCrypto, job, 1);
  return {
    job,
    attempt: 1,
    agreement: agreementId(nativeCrypto, chain, client, NONCE),
    quote: nativeCrypto.hash(Uint8Array.of(2)),
    client,
    signer: receiptKeys.session.publicKey,
    miner: receiptKeys.miner.publicKey,
    kind: 'llm.chat',
    model: 'aitbc-tiny',
    modelDigest: nativeCrypto.hash(Uint8Array.of(3)),
    inputHash: nativeCrypto.hash(Uint8Array.of(4)),
    inputBytes: 120,
    outputHash: nativeCrypto.hash(output),
    outputBytes: output.length,
    chunks: output.length === 0 ? 0 : 1,
    link: output.length === 0 ? first : nextLink(nativeCrypto, first, output),
    price,
    dueUait: dueUait(price, 120, output.length),
    finish: 'stop',
    inputTokens: 9,
    outputTokens: null,
    startedAtMs: 1_800_000_000_250,
    endedAtMs: 1_800_000_001_750,
    open: openingOf(chain).bytes,
    ...change,
  };
}

/** Signed by both, whatever stands in it. */
export function signedFixture(
  chain: ChainContext,
  output: Uint8Array,
  change: Partial<WorkReceipt> = {},
): ReceiptFixture {
  const receipt = workReceipt(chain, output, change);
  const miner = equalBytes(receipt.miner, receiptKeys.miner.publicKey) ? receiptKeys.miner : signer('account-2');
  const session = equalBytes(receipt.signer, receiptKeys.session.publicKey) ? receiptKeys.session : signer('session-2');
  return {
    chain,
    signed: signReceipt(chain, miner, receipt),
    acknowledgement: acknowledge(chain, session, receiptId(nativeCrypto, chain, receipt)),
    output,
  };
}
