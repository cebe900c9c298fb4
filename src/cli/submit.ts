/** The way of a command's transaction: fee and nonce, a question, signature, sending, waiting, result. */
import { equalBytes, toHex } from '../bytes.ts';
import type { Signer } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Transaction } from '../chain/tx.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import type { SigningContext, TxOptions } from '../sdk/build.ts';
import { chainOfStatus, DEFAULT_VALIDITY_BLOCKS } from '../sdk/build.ts';
import type { Client } from '../sdk/client.ts';
import type { StatusResponse, TransactionResponse } from '../sdk/types.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { confirm } from './prompt.ts';
import { transactionAnswer } from './reads.ts';
import type { Key } from './signer.ts';
import type { Verification } from './verification.ts';
import { startVerification } from './verification.ts';

export interface SubmitOptions {
  readonly fee?: string;
  readonly nonce?: number;
  readonly async?: boolean;
}

export interface Draft {
  /** Makes the transaction; called with a signer of zeros first, to learn its fee. */
  readonly build: (context: SigningContext, options: TxOptions) => Transaction;
  /** Lines that say what will happen. */
  readonly summary: readonly string[];
  /** What the sender's balance loses besides the fee. */
  readonly spendsUait: number;
}

/** What a sent transaction came to; the keys are a contract. */
export interface SendResult {
  readonly hash: string;
  readonly status: TransactionResponse['status'];
  readonly height: number | null;
  /** Number of the receipt (0: success), name of the error when rejected, null while pending. */
  readonly code: number | string | null;
}

/**
 * Prints the result, and throws after that when it is no success.
 *
 * @throws NodeError TX_REJECTED | TIMEOUT | what the node refuses it for
 */
export async function submit(
  context: Context,
  status: StatusResponse,
  key: Key,
  draft: Draft,
  options: SubmitOptions,
): Promise<void> {
  const client = context.client(status.chain_id);
  const verification = await startVerification(context);
  const { chain, params } = chainOfStatus(status);
  if (verification) requireSameChain(verification, chain);
  const [account, { next_nonce }] = await Promise.all([client.account(key.address), client.nonce(key.address)]);
  const txOptions: TxOptions = {
    nonce: options.nonce ?? next_nonce,
    validUntilHeight: status.height + DEFAULT_VALIDITY_BLOCKS,
    ...(options.fee !== undefined && { feeUait: parseAmount(options.fee) }),
  };
  const base = { hasher: nativeCrypto, chain, params };
  const { feeUait } = draft.build({ ...base, signer: NOBODY }, txOptions);
  const after = BigInt(account.balance_uait) - BigInt(draft.spendsUait) - BigInt(feeUait);
  context.out.note(
    [
      `chain    ${status.chain_id}`,
      `from     ${key.address}`,
      ...draft.summary,
      `fee      ${formatAit(feeUait)}`,
      `balance  ${formatAit(account.balance_uait)}, then ${formatAit(String(after))}`,
    ].join('\n'),
  );
  if (after < 0n) context.out.note('The balance does not cover this: the node will refuse it.');
  if (!(await confirm('Send this?', context.options.yes))) throw new NodeError('USAGE', 'not sent');
  const tx = draft.build({ ...base, signer: await key.unlock() }, txOptions);
  const result = await sendAndWait(context, client, tx, options.async === true);
  report(context, verification ? await verified(context, verification, tx, result) : result);
}

async function sendAndWait(
  context: Context,
  client: Client,
  tx: Transaction,
  async: boolean,
): Promise<TransactionResponse> {
  const hash = toHex(tx.id);
  try {
    const sent = await client.sendTransaction(tx.bytes, async ? 'async' : 'sync');
    if (async || sent.status === 'final') return sent;
    context.out.note(`sent ${hash}, waiting until it is final`);
    return await client.waitForTransaction(hash, { timeoutMs: context.timeoutMs });
  } catch (error) {
    if (isNodeError(error)) {
      const pending = error.code === 'TIMEOUT' && error.data['hash'] === hash;
      if (pending) print(context, { hash, status: 'pending', height: null, code: null });
      else if (error.kind.exit === 7) print(context, { hash, status: 'rejected', height: null, code: error.code });
    }
    throw error;
  }
}

/** A signature for a chain that the node named would be valid there. @throws NodeError WRONG_GENESIS */
function requireSameChain({ client }: Verification, chain: ChainContext): void {
  const { chainId, genesisHash } = client.rules.chain;
  if (chain.chainId === chainId && equalBytes(chain.genesisHash, genesisHash)) return;
  throw new NodeError(
    'WRONG_GENESIS',
    'the node is of another network than the genesis checked against: nothing was signed',
    {
      data: { expected: toHex(genesisHash), found: toHex(chain.genesisHash) },
      hint: 'ask another node, or give the genesis of the network that is meant',
    },
  );
}

/** The node's word that it is final is worth nothing without proof. */
async function verified(
  context: Context,
  verification: Verification,
  tx: Transaction,
  result: TransactionResponse,
): Promise<TransactionResponse> {
  if (result.status !== 'final') return result;
  try {
    const found = await verification.client.transaction(tx.id);
    if ('unproven' in found) return found.unproven;
    await verification.finish('transaction and receipt', found.block);
    return transactionAnswer(found);
  } catch (error) {
    print(context, { hash: result.hash, status: 'pending', height: null, code: null });
    throw error;
  }
}

function report(context: Context, { hash, status, height, code, code_name, reason }: TransactionResponse): void {
  print(context, { hash, status, height, code });
  if (status === 'rejected') {
    throw new NodeError('TX_REJECTED', `rejected: ${reason ?? 'unknown reason'}`, { data: { hash, code } });
  }
  if (status === 'final' && code !== 0) {
    throw new NodeError(
      'TX_REJECTED',
      `final, but it failed with ${code_name ?? 'an unknown code'}: only the fee was taken`,
      {
        data: { hash, code, height },
        hint: `aitbc chain tx ${hash}`,
      },
    );
  }
}

function print(context: Context, result: SendResult): void {
  const { hash, status, height } = result;
  context.out.data(result, status === 'final' ? `final in block ${height ?? '?'}: ${hash}` : `${status}: ${hash}`);
}

/** Signs nothing: for a transaction whose size only matters. */
const NOBODY: Signer = { publicKey: new Uint8Array(32), sign: () => new Uint8Array(64) };
