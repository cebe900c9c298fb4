/** A receipt that both sides signed, of work that nobody did. */
import { createHash } from 'node:crypto';
import type { Hash } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import { dueUait } from '../../src/chain/market/price.ts';
import type { SignedReceipt, WorkReceipt } from '../../src/chain/market/receipt.ts';
import { acknowledge, receiptId, signReceipt } from '../../src/chain/market/receipt.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { signer } from './chain-fixture.ts';

export interface ReceiptFixture {
  readonly receipt: SignedReceipt;
  readonly id: Hash;
  readonly acknowledgement: Uint8Array;
}

export function hashOf(text: string): Hash {
  return Uint8Array.from(createHash('sha256').update(text).digest());
}

export function makeReceipt(chain: ChainContext, changes: Partial<WorkReceipt> = {}): ReceiptFixture {
  const price = { fixedUait: 100, inputUaitPerKib: 10, outputUaitPerKib: 2000 };
  const inputBytes = changes.inputBytes ?? 300;
  const outputBytes = changes.outputBytes ?? 21;
  const session = signer('session');
  const work: WorkReceipt = {
    job: hashOf('job'),
    attempt: 1,
    agreement: hashOf('agreement'),
    quote: hashOf('quote'),
    client: addressOf(nativeCrypto, signer('account-3').publicKey),
    signer: session.publicKey,
    miner: signer('account-2').publicKey,
    kind: 'llm.chat',
    model: 'aitbc-tiny-1m',
    modelDigest: hashOf('model'),
    inputHash: hashOf('input'),
    inputBytes,
    outputHash: hashOf('output'),
    outputBytes,
    chunks: 3,
    link: hashOf('link'),
    price,
    dueUait: dueUait(price, inputBytes, outputBytes),
    finish: 'stop',
    inputTokens: 9,
    outputTokens: 6,
    startedAtMs: 1_795_000_000_123,
    endedAtMs: 1_795_000_001_456,
    open: new Uint8Array(180).fill(7),
    ...changes,
  };
  const receipt = signReceipt(chain, signer('account-2'), work);
  const id = receiptId(nativeCrypto, chain, work);
  return { receipt, id, acknowledgement: acknowledge(chain, session, id) };
}
