/**
 * The light client for pages: text in, text out, pure code. `npm run bundle` makes one file of it (dist/browser/verify.js).
 */
import { equalBytes, fromHex, toHex } from '../bytes.ts';
import { formatAddress, parseAddress } from '../chain/address.ts';
import { pureCrypto } from '../chain/crypto/pure.ts';
import type { Genesis } from '../chain/genesis.ts';
import type { ReceiptDocument } from '../chain/market/receipt-json.ts';
import type { Agreement } from '../chain/modules/compute/agreement.ts';
import { getAgreement } from '../chain/modules/compute/agreement.ts';
import type { JsonObject } from '../chain/modules/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import { NodeError } from '../errors.ts';
import type { Client } from './client.ts';
import { createClient } from './client.ts';
import type { LightBlock } from '../chain/light.ts';
import { DEFAULT_MAX_CLOCK_DRIFT_MS, DEFAULT_TRUSTING_PERIOD_MS, genesisHead } from '../chain/light.ts';
import { LightClient } from './light-client.ts';
import { fromSource } from './light-source.ts';
import type { VerifiedReceipt } from './receipt.ts';
import { parseReceipt, verifyOutput, verifyReceiptDocument } from './receipt.ts';
import { checkGenesis } from './verify.ts';

/** For pages too, in the same file: subscriptions that resume. */
export { connectLive } from './live.ts';

export interface VerifierOptions {
  /** Nodes to ask, e.g. http://127.0.0.1:8006; one honest is enough. */
  readonly urls: readonly string[];
  /** Which of the nodes' chains is meant; the default one of each when absent. */
  readonly chainId?: string;
  /** What the page trusts: 64 hex digits. */
  readonly genesisHash: string;
  /** Age of a block that proves nothing new any more; null: never. */
  readonly trustingPeriodMs?: number | null;
  readonly maxClockDriftMs?: number;
}

/** The block that an answer was proven against. */
export interface VerifiedBlock {
  readonly height: number;
  readonly hash: string;
  readonly timestamp: string;
  readonly signers: number;
  readonly validators: number;
}

export interface VerifiedAccountText {
  readonly address: string;
  readonly balance_uait: string;
  readonly nonce: number;
  readonly block: VerifiedBlock;
}

export interface VerifiedTransactionText {
  readonly hash: string;
  /** Number of the receipt; 0: success. */
  readonly code: number;
  readonly transaction: JsonObject;
  readonly block: VerifiedBlock;
}

/** A receipt of work that holds, and what was checked of it. */
export interface VerifiedReceiptText {
  readonly receipt_id: string;
  readonly chain_id: string;
  readonly client: string;
  readonly miner: string;
  readonly due_uait: string;
  readonly findings: readonly { readonly check: string; readonly text: string }[];
}

/** Its money, as the chain has it. */
export interface SettledReceiptText extends VerifiedReceiptText {
  /** null: the agreement was closed longer ago than the chain keeps it. */
  readonly agreement: { readonly state: string; readonly paid_uait: string; readonly refunded_uait: string } | null;
  readonly block: VerifiedBlock;
}

/**
 * A receipt in its JSON form, checked with nobody asked.
 *
 * @param genesisHash of the chain that is meant: 64 hex digits
 * @param output what it is said to be about, when at hand
 * @throws NodeError BAD_RECEIPT naming what does not hold, WRONG_GENESIS when it is of another chain
 */
export function verifyReceiptText(text: string, genesisHash: string, output?: Uint8Array): VerifiedReceiptText {
  const document = parseReceipt(pureCrypto, text);
  checkChain(document, fromHex(genesisHash, 32));
  if (output) verifyOutput({ crypto: pureCrypto }, document.signed.receipt, output);
  return receiptText(document.chain, check(document, null));
}

/** All throw NodeError as `LightClient` does. */
export interface Verifier {
  readonly chainId: string;
  account(address: string): Promise<VerifiedAccountText>;
  /** @throws NodeError NOT_FOUND when no node has it as final */
  transaction(hash: string): Promise<VerifiedTransactionText>;
  /**
   * A receipt in its JSON form, with what became of the money; anchored, when it is the only one of its agreement.
   *
   * @throws NodeError BAD_RECEIPT | WRONG_GENESIS too
   */
  receipt(text: string): Promise<SettledReceiptText>;
  /** Nodes that lied or did not answer. */
  faults(): { readonly url: string; readonly code: string; readonly message: string }[];
}

/** @throws NodeError WRONG_GENESIS when no node has the genesis with this hash */
export async function connectVerifier(options: VerifierOptions): Promise<Verifier> {
  const { chainId } = options;
  const sources = options.urls.map((url) => createClient({ url, ...(chainId !== undefined && { chainId }) }));
  const genesis = await fetchGenesis(sources, fromHex(options.genesisHash, 32));
  const client = new LightClient({
    rules: {
      crypto: pureCrypto,
      chain: genesis.chain,
      trustingPeriodMs: options.trustingPeriodMs === undefined ? DEFAULT_TRUSTING_PERIOD_MS : options.trustingPeriodMs,
      maxClockDriftMs: options.maxClockDriftMs ?? DEFAULT_MAX_CLOCK_DRIFT_MS,
    },
    root: genesisHead(pureCrypto, genesis),
    sources,
  });
  return {
    chainId: genesis.chain.chainId,
    account: async (text) => {
      const address = parseAddress(text);
      const { account, block } = await client.account(address);
      const { balanceUait, nonce } = account;
      const summary = blockSummary(block);
      return { address: formatAddress(address), balance_uait: String(balanceUait), nonce, block: summary };
    },
    transaction: async (hash) => {
      const found = await client.transaction(fromHex(hash, 32));
      if ('unproven' in found) throw new NodeError('NOT_FOUND', 'no node has this transaction as final');
      const { transaction, receipt, block } = found;
      return { hash, code: receipt.code, transaction: transactionToJson(transaction), block: blockSummary(block) };
    },
    receipt: async (text) => {
      const document = parseReceipt(pureCrypto, text);
      checkChain(document, genesis.chain.genesisHash);
      const { agreement: id } = document.signed.receipt;
      const { result, block } = await client.read((state) => getAgreement(state, id));
      return {
        ...receiptText(document.chain, check(document, result ?? null)),
        agreement: result ? settlementText(result) : null,
        block: blockSummary(block),
      };
    },
    faults: () => client.faults.map(({ url, error }) => ({ url, code: error.code, message: error.message })),
  };
}

async function fetchGenesis(sources: readonly Client[], hash: Uint8Array): Promise<Genesis> {
  let fault: unknown = new NodeError('INVALID_PARAMS', 'a verifier needs the address of a node');
  for (const source of sources) {
    try {
      return checkGenesis(pureCrypto, (await fromSource(source, source.genesis())).genesis, hash);
    } catch (error) {
      fault = error;
    }
  }
  throw fault;
}

function blockSummary({ header, blockId, certificate, validators }: LightBlock): VerifiedBlock {
  return {
    height: header.height,
    hash: toHex(blockId),
    timestamp: new Date(header.timeMs).toISOString(),
    signers: certificate.signers.length,
    validators: validators.validators.length,
  };
}

function check(document: ReceiptDocument, agreement: Agreement | null): VerifiedReceipt {
  return verifyReceiptDocument(pureCrypto, document, agreement);
}

function checkChain({ chain }: ReceiptDocument, genesisHash: Uint8Array): void {
  if (equalBytes(chain.genesisHash, genesisHash)) return;
  throw new NodeError('WRONG_GENESIS', `the receipt is of another network: ${chain.chainId} of another genesis`, {
    data: { expected: toHex(genesisHash), found: toHex(chain.genesisHash) },
  });
}

function receiptText({ chainId }: ChainContext, verified: VerifiedReceipt): VerifiedReceiptText {
  return {
    receipt_id: toHex(verified.id),
    chain_id: chainId,
    client: formatAddress(verified.client),
    miner: formatAddress(verified.miner),
    due_uait: String(verified.dueUait),
    findings: verified.findings,
  };
}

function settlementText({ state, paidUait }: Agreement): NonNullable<SettledReceiptText['agreement']> {
  const refundedUait = state.name === 'closed' ? state.refundedUait : 0;
  return { state: state.name, paid_uait: String(paidUait), refunded_uait: String(refundedUait) };
}
