/** A signed transaction on its way: sent, waited for, proven where answers are checked, and its end reported. */
import { equalBytes, keyHex, toHex } from '../bytes.ts';
import { isDevnet } from '../chain/genesis.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Transaction } from '../chain/tx.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Client } from '../sdk/client.ts';
import type { StatusResponse, TransactionResponse } from '../sdk/types.ts';
import { chainOfStatus } from '../sdk/build.ts';
import type { Context } from './context.ts';
import { readChain } from './genesis-file.ts';
import { transactionAnswer } from './reads.ts';
import type { Verification } from './verification.ts';

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
 * @param isAsync returns once the node has taken it
 * @throws NodeError TX_REJECTED | TIMEOUT | what the node refuses it for
 */
export async function deliver(
  context: Context,
  client: Client,
  verification: Verification | null,
  tx: Transaction,
  isAsync: boolean,
): Promise<void> {
  const result = await sendAndWait(context, client, tx, isAsync);
  report(context, verification ? await verified(context, verification, tx, result) : result);
}

/**
 * A node may name any chain; a signature is made for, and sent to, the one that is meant: that of --chain, with the genesis
 * of --genesis-hash or of this home. Development chains come and go under one name, so a home's genesis binds only others.
 *
 * @throws NodeError WRONG_CHAIN | WRONG_GENESIS
 */
export async function requireMeantChain(context: Context, chain: ChainContext): Promise<void> {
  const { chain: wanted, genesisHash: given } = context.options;
  if (wanted !== undefined && wanted !== chain.chainId) {
    throw new NodeError('WRONG_CHAIN', `this is for ${chain.chainId}, not for ${wanted}: nothing was signed or sent`, {
      data: { expected: wanted, found: chain.chainId },
      hint: `give --chain ${chain.chainId} if that is what you mean`,
    });
  }
  const found = toHex(chain.genesisHash);
  const { genesis: path } = context.layout(chain.chainId);
  const own = given === undefined && !isDevnet(chain.chainId) ? await readChain(path, chain.chainId) : null;
  const expected = given ?? (own ? toHex(own.genesisHash) : found);
  if (expected !== found) throw wrongGenesis(expected, found);
}

/** What was signed for one chain is not sent to another of the same name. @throws NodeError WRONG_CHAIN | WRONG_GENESIS */
export function requireChainOfNode(chain: ChainContext, status: StatusResponse): void {
  const { chain: node } = chainOfStatus(status);
  if (node.chainId !== chain.chainId) {
    throw new NodeError(
      'WRONG_CHAIN',
      `it is signed for ${chain.chainId}, and the node is of ${node.chainId}: not sent`,
      {
        data: { expected: chain.chainId, found: node.chainId },
        hint: `give --rpc of a node of ${chain.chainId}`,
      },
    );
  }
  if (equalBytes(node.genesisHash, chain.genesisHash)) return;
  throw wrongGenesis(toHex(chain.genesisHash), toHex(node.genesisHash));
}

/** A signature for a chain that the node named would be valid there. @throws NodeError WRONG_GENESIS */
export function requireSameChain({ client }: Verification, chain: ChainContext): void {
  const { chainId, genesisHash } = client.rules.chain;
  if (chain.chainId === chainId && equalBytes(chain.genesisHash, genesisHash)) return;
  throw wrongGenesis(toHex(genesisHash), toHex(chain.genesisHash));
}

function wrongGenesis(expected: string, found: string): NodeError {
  return new NodeError('WRONG_GENESIS', 'this is another network under the same name: nothing was signed or sent', {
    data: { expected, found },
    hint: 'ask another node with --rpc, or give the genesis of the network that is meant: --genesis-hash HASH',
  });
}

async function sendAndWait(
  context: Context,
  client: Client,
  tx: Transaction,
  isAsync: boolean,
): Promise<TransactionResponse> {
  const hash = keyHex(tx.key);
  try {
    const sent = await client.sendTransaction(tx.bytes, isAsync ? 'async' : 'sync');
    if (isAsync || sent.status === 'final') return sent;
    context.out.note(`sent ${hash}, waiting until it is final`);
    return await client.waitForTransaction(hash, { timeoutMs: context.timeoutMs });
  } catch (error) {
    if (!isNodeError(error)) throw error;
    if (error.code === 'TIMEOUT') {
      print(context, { hash, status: 'pending', height: null, code: null });
      if (error.data['hash'] !== hash) throw unanswered(hash, error);
    } else if (error.kind.exit === 7) print(context, { hash, status: 'rejected', height: null, code: error.code });
    throw error;
  }
}

/** It was sent, and may have been taken. */
function unanswered(hash: string, cause: NodeError): NodeError {
  return new NodeError('TIMEOUT', 'the node did not say in time whether it took the transaction; it may become final', {
    data: { hash },
    hint: `ask later: aitbc chain tx ${hash}`,
    cause,
  });
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

/** Prints, and throws when it is no success. @throws NodeError TX_REJECTED */
export function report(context: Context, { hash, status, height, code, code_name, reason }: TransactionResponse): void {
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
