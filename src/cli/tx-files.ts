/** A transfer made on one machine, signed on another and sent from a third. */
import { fromHex, toHex } from '../bytes.ts';
import { addressOf, formatAddress } from '../chain/address.ts';
import type { JsonObject } from '../chain/modules/types.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import type { SigningContext } from '../sdk/build.ts';
import { chainOfStatus, DEFAULT_VALIDITY_BLOCKS } from '../sdk/build.ts';
import type { TransactionFile } from '../sdk/transaction-file.ts';
import {
  checkSignature,
  MAX_TRANSACTION_FILE_BYTES,
  parseTransactionFile,
  signTransactionFile,
  transactionFileToJson,
  unsignedSigner,
} from '../sdk/transaction-file.ts';
import { parseAmount } from './amount.ts';
import type { Context } from './context.ts';
import { deliver, report, requireChainOfNode, requireMeantChain, requireSameChain } from './deliver.ts';
import { readGenesisFile } from './genesis-file.ts';
import { confirm } from './prompt.ts';
import { readTransaction } from './reads.ts';
import { transferDraft } from './transfer.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKeyOf, chooseWallet } from './signer.ts';
import { readSmallText } from './small-file.ts';
import { printTransactionFile, transactionLines } from './transaction-text.ts';
import { startVerification } from './verification.ts';

export interface BuildOptions {
  readonly from?: string;
  readonly publicKey?: string;
  readonly memo?: string;
  readonly fee?: string;
  readonly nonce?: number;
  readonly validUntil?: number;
}

export async function build(context: Context, to: string, amount: string, options: BuildOptions): Promise<void> {
  const draft = await transferDraft(context, to, amount, options.memo);
  const { publicKey, address } = await payer(context, options);
  const { chain, params, height } = (await chainOfHome(context, options)) ?? (await chainOfNode(context));
  await requireMeantChain(context, chain);
  const nonce = options.nonce ?? (await context.client(chain.chainId).nonce(address)).next_nonce;
  const validUntilHeight = options.validUntil ?? height + DEFAULT_VALIDITY_BLOCKS;
  const signing: SigningContext = { hasher: nativeCrypto, chain, params, signer: unsignedSigner(publicKey) };
  const transaction = draft.build(signing, {
    nonce,
    validUntilHeight,
    ...(options.fee !== undefined && { feeUait: parseAmount(options.fee) }),
  });
  printTransactionFile(context, { chain, transaction, isSigned: false });
}

async function payer(context: Context, options: BuildOptions): Promise<{ publicKey: Uint8Array; address: string }> {
  if (options.publicKey === undefined) return chooseWallet(context, options.from);
  if (options.from !== undefined) throw new NodeError('USAGE', 'give --from or --public-key, not both');
  if (!/^[0-9a-f]{64}$/.test(options.publicKey)) {
    throw new NodeError('USAGE', '--public-key takes 64 hex digits', { hint: 'aitbc wallet show prints them' });
  }
  const publicKey = fromHex(options.publicKey, 32);
  return { publicKey, address: formatAddress(addressOf(nativeCrypto, publicKey)) };
}

type KnownChain = Pick<SigningContext, 'chain' | 'params'> & { readonly height: number };

/** With nonce and last height given, the genesis of this home says the rest: no node is asked. */
async function chainOfHome(context: Context, { nonce, validUntil }: BuildOptions): Promise<KnownChain | null> {
  if (nonce === undefined || validUntil === undefined) return null;
  const { genesis: path, chainId } = context.layout();
  const genesis = await readGenesisFile(path, chainId);
  return genesis && { chain: genesis.chain, params: genesis.params, height: 0 };
}

async function chainOfNode(context: Context): Promise<KnownChain> {
  const status = await context.status();
  return { ...chainOfStatus(status), height: status.height };
}

export async function sign(context: Context, path: string, options: KeyOptions): Promise<void> {
  const file = await read(path);
  const { chain, transaction, isSigned } = file;
  if (isSigned) context.out.note('It is signed already; it will be signed anew.');
  await requireMeantChain(context, chain);
  context.out.note(transactionLines(file).join('\n'));
  const key = await chooseKeyOf(context, options, formatAddress(transaction.senderAddress), chain.chainId);
  if (!(await confirm(`Sign this for ${chain.chainId}?`, context.options.yes))) {
    throw new NodeError('USAGE', 'not signed');
  }
  printTransactionFile(context, signTransactionFile(nativeCrypto, file, await key.unlock()));
}

export async function broadcast(context: Context, path: string, isAsync: boolean): Promise<void> {
  const file = await read(path);
  const { chain, transaction } = file;
  checkSignature(nativeCrypto, file);
  await requireMeantChain(context, chain);
  const client = context.client(chain.chainId);
  requireChainOfNode(chain, await client.status());
  const verification = await startVerification(context);
  if (verification) requireSameChain(verification, chain);
  context.out.note(transactionLines(file).join('\n'));
  await deliver(context, client, verification, transaction, isAsync);
}

export async function decode(context: Context, path: string): Promise<void> {
  const file = await read(path);
  const signature = signatureState(file);
  const document: JsonObject = { ...transactionFileToJson(file), signature_state: signature };
  const lines = [...transactionLines(file), `signature  ${signature}`];
  context.out.data(
    document,
    [...lines, ...(file.isSigned ? [`hash       ${toHex(file.transaction.id)}`] : [])].join('\n'),
  );
}

export async function wait(context: Context, hash: string): Promise<void> {
  await context.client().waitForTransaction(hash, { timeoutMs: context.timeoutMs });
  report(context, await readTransaction(context, hash));
}

function signatureState(file: TransactionFile): 'none' | 'valid' | 'invalid' {
  if (!file.isSigned) return 'none';
  try {
    checkSignature(nativeCrypto, file);
    return 'valid';
  } catch (error) {
    if (isNodeError(error) && error.code === 'BAD_SIGNATURE') return 'invalid';
    throw error;
  }
}

async function read(path: string): Promise<TransactionFile> {
  const text = await readSmallText(path, MAX_TRANSACTION_FILE_BYTES, 'a transaction file', 'USAGE');
  return parseTransactionFile(nativeCrypto, text);
}
