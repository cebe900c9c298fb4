/** `aitbc tx`: a transfer made on one machine, signed on another and sent from a third; and what became of it. */
import type { Command } from 'commander';
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
import { showTransaction } from './chain.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { deliver, report, requireChainOfNode, requireMeantChain, requireSameChain } from './deliver.ts';
import { readGenesisFile } from './genesis-file.ts';
import { positiveNumber, wholeNumber } from './options.ts';
import { confirm } from './prompt.ts';
import { readTransaction } from './reads.ts';
import { transferDraft } from './send.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKeyOf, chooseWallet } from './signer.ts';
import { readSmallText } from './small-file.ts';
import { transactionLines } from './transaction-text.ts';
import { startVerification } from './verification.ts';

const FILE = 'transaction file, "-" for stdin';

interface BuildOptions {
  readonly from?: string;
  readonly publicKey?: string;
  readonly memo?: string;
  readonly fee?: string;
  readonly nonce?: number;
  readonly validUntil?: number;
}

export function register(program: Command): void {
  const tx = program.command('tx').description('transactions between machines, and what became of them');
  tx.command('build')
    .description('write a transfer that is not signed yet, on stdout; asks a node for what is not given')
    .argument('<to>', 'address, or name of a wallet of this home')
    .argument('<amount>', '10, 10ait, 0.5 or 10000000uait')
    .option('--from <wallet>', 'wallet of this home that pays; no password is needed')
    .option('--public-key <hex>', 'key of the account that pays, when its wallet is elsewhere')
    .option('--memo <text>', 'for the receiver, public')
    .option('--fee <amount>', 'fee; the least one when absent')
    .option('--nonce <number>', 'nonce; the next free one when absent', wholeNumber)
    .option('--valid-until <height>', 'last block that may hold it', positiveNumber)
    .action(async (to: string, amount: string, options: BuildOptions, command: Command) => {
      await build(createContext(command), to, amount, options);
    });
  tx.command('sign')
    .description('show what a transaction does, ask, and write it signed on stdout; needs no node')
    .argument('<file>', FILE)
    .option('--from <wallet>', 'wallet that signs; the one of the address when absent')
    .option('--key-file <file>', 'wallet file, or on development chains a bare key file')
    .action(async (file: string, options: KeyOptions, command: Command) => {
      await sign(createContext(command), file, options);
    });
  tx.command('broadcast')
    .description('send a signed transaction, and wait until it is final')
    .argument('<file>', FILE)
    .option('--async', 'return once the node has taken it')
    .action(async (file: string, options: { readonly async?: boolean }, command: Command) => {
      await broadcast(createContext(command), file, options.async === true);
    });
  tx.command('decode')
    .description('show what a transaction does, and whether its signature holds')
    .argument('<file>', FILE)
    .action(async (file: string, _options: object, command: Command) => {
      await decode(createContext(command), file);
    });
  tx.command('status')
    .description('what became of a transaction')
    .argument('<hash>')
    .action(async (hash: string, _options: object, command: Command) => {
      await showTransaction(createContext(command), hash);
    });
  tx.command('wait')
    .description('wait until a transaction is final')
    .argument('<hash>')
    .action(async (hash: string, _options: object, command: Command) => {
      const context = createContext(command);
      await context.client().waitForTransaction(hash, { timeoutMs: context.timeoutMs });
      report(context, await readTransaction(context, hash));
    });
}

async function build(context: Context, to: string, amount: string, options: BuildOptions): Promise<void> {
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
  print(context, { chain, transaction, isSigned: false });
  context.out.note('Next, where the key is: aitbc tx sign FILE');
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

async function sign(context: Context, path: string, options: KeyOptions): Promise<void> {
  const file = await read(path);
  const { chain, transaction, isSigned } = file;
  if (isSigned) context.out.note('It is signed already; it will be signed anew.');
  await requireMeantChain(context, chain);
  context.out.note(transactionLines(file).join('\n'));
  const key = await chooseKeyOf(context, options, formatAddress(transaction.senderAddress), chain.chainId);
  if (!(await confirm(`Sign this for ${chain.chainId}?`, context.options.yes))) {
    throw new NodeError('USAGE', 'not signed');
  }
  print(context, signTransactionFile(nativeCrypto, file, await key.unlock()));
  context.out.note('Next, where a node can be reached: aitbc tx broadcast FILE');
}

async function broadcast(context: Context, path: string, isAsync: boolean): Promise<void> {
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

async function decode(context: Context, path: string): Promise<void> {
  const file = await read(path);
  const signature = signatureState(file);
  const document: JsonObject = { ...transactionFileToJson(file), signature_state: signature };
  const lines = [...transactionLines(file), `signature  ${signature}`];
  context.out.data(
    document,
    [...lines, ...(file.isSigned ? [`hash       ${toHex(file.transaction.id)}`] : [])].join('\n'),
  );
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

/** Readable either way: people look at such files before they sign. */
function print(context: Context, file: TransactionFile): void {
  const json = transactionFileToJson(file);
  context.out.data(json, JSON.stringify(json, null, 2));
}
