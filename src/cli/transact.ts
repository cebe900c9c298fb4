/** The way of a command's transaction: fee and nonce, a question, the signature, and then delivery. */
import type { Transaction } from '../chain/tx.ts';
import { NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import type { SigningContext, TxOptions } from '../sdk/build.ts';
import { chainOfStatus, DEFAULT_VALIDITY_BLOCKS } from '../sdk/build.ts';
import { unsignedSigner } from '../sdk/transaction-file.ts';
import type { StatusResponse } from '../sdk/types.ts';
import { formatAit, parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { deliver, requireMeantChain, requireSameChain } from './deliver.ts';
import { confirm } from './prompt.ts';
import type { Key } from './signer.ts';
import { printTransactionFile } from './transaction-text.ts';
import { startVerification } from './verification.ts';

export interface TransactOptions {
  readonly fee?: string;
  readonly nonce?: number;
  readonly async?: boolean;
  readonly unsigned?: boolean;
}

export interface Draft {
  /** Makes the transaction; called with a signer of zeros first, to learn its fee. */
  readonly build: (context: SigningContext, options: TxOptions) => Transaction;
  /** Lines that say what will happen. */
  readonly summary: readonly string[];
  /** What the sender's balance loses besides the fee. */
  readonly spendsUait: number;
}

/**
 * Prints the result, and throws after that when it is no success; with --unsigned, what is to be signed.
 *
 * @throws NodeError TX_REJECTED | TIMEOUT | what the node refuses it for
 */
export async function transact(
  context: Context,
  status: StatusResponse,
  key: Key,
  draft: Draft,
  options: TransactOptions,
): Promise<void> {
  const client = context.client(status.chain_id);
  const verification = await startVerification(context);
  const { chain, params: told } = chainOfStatus(status);
  const params = verification?.genesis.params ?? told;
  if (verification) requireSameChain(verification, chain);
  await requireMeantChain(context, chain);
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
  if (options.unsigned === true) {
    const transaction = draft.build({ ...base, signer: unsignedSigner(key.publicKey) }, txOptions);
    printTransactionFile(context, { chain, transaction, isSigned: false });
    return;
  }
  if (!(await confirm(`Send this on ${chain.chainId}?`, context.options.yes))) throw new NodeError('USAGE', 'not sent');
  const tx = draft.build({ ...base, signer: await key.unlock() }, txOptions);
  await deliver(context, client, verification, tx, options.async === true);
}

/** For a transaction whose size only matters. */
const NOBODY = unsignedSigner(new Uint8Array(32));
