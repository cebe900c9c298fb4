/** `aitbc wallet create` and `import`: a new wallet from words drawn now, or from words, key or wallet file of before. */
import { fromHex } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Keystore } from '../wallet/keystore.ts';
import {
  checkPassword,
  createKeystore,
  MAX_KEYSTORE_CHARACTERS,
  openKeystore,
  parseKeystore,
} from '../wallet/keystore.ts';
import {
  derivationPath,
  generateMnemonic,
  isPublicMnemonic,
  parseMnemonic,
  seedOfMnemonic,
} from '../wallet/mnemonic.ts';
import type { Context } from './context.ts';
import type { WalletFile } from './keystore-files.ts';
import { listWallets, readDefault, requireFreeName, writeWallet } from './keystore-files.ts';
import { fields } from './output.ts';
import { askHidden, readPassword, requireTerminal } from './prompt.ts';
import { readSmallText } from './small-file.ts';
import { walletDocument } from './wallet-document.ts';
import { handOverWords, requireWayForWords } from './words.ts';

/** Other texts in its place say nothing about a key. */
const DERIVATION_PATH = /^m(\/\d{1,10}'?){1,10}$/;

export interface ImportOptions {
  readonly account: number;
  readonly anyChain?: boolean;
  readonly newPasswordFile?: string;
}

export async function create(context: Context, name: string, wordsFile: string | undefined): Promise<void> {
  const { keystore: folder } = context.layout();
  requireFreeName(folder, name);
  requireWayForWords(wordsFile);
  const password = await newPassword(context, name);
  const mnemonic = generateMnemonic();
  const seed = await seedOfMnemonic(mnemonic);
  const keystore = await createKeystore({ name, seed, password, path: derivationPath(0) });
  await handOverWords(context, mnemonic, wordsFile);
  await finish(context, await writeWallet(folder, name, keystore));
}

/** What is taken in, and under which password. */
interface Source {
  readonly seed: Uint8Array;
  readonly path: string;
  readonly devnetOnly: boolean;
  /** Null: a new one is asked for. */
  readonly password: string | null;
}

export async function importWallet(
  context: Context,
  name: string,
  file: string | undefined,
  options: ImportOptions,
): Promise<void> {
  const { keystore: folder } = context.layout();
  requireFreeName(folder, name);
  const text = file === undefined ? await askForKey() : await readSmallText(file, MAX_KEYSTORE_CHARACTERS, 'a key');
  const source = await readSource(context, text.trim(), file ?? 'what was typed', options);
  const password = source.password ?? (await newPassword(context, name));
  const { seed, path, devnetOnly } = source;
  const keystore = await createKeystore({ name, seed, password, path, devnetOnly });
  seed.fill(0);
  await finish(context, await writeWallet(folder, name, keystore));
  if (devnetOnly) context.out.note('It signs for development chains only: others may know this key.');
}

async function askForKey(): Promise<string> {
  requireTerminal('words or a key are needed', 'give FILE, or - to read them from stdin');
  return askHidden('the words, or the key in hex');
}

/** @throws NodeError KEY_FILE | BAD_MNEMONIC | WRONG_PASSWORD | DEV_KEY */
async function readSource(context: Context, text: string, where: string, options: ImportOptions): Promise<Source> {
  if (text.startsWith('{')) {
    const keystore = await parseKeystore(text);
    return sourceOfKeystore(context, keystore, where, options);
  }
  if (/^(0x)?[0-9a-f]{64}$/i.test(text)) {
    const seed = fromHex(text.replace(/^0x/i, '').toLowerCase(), 32);
    return { seed, path: '', devnetOnly: options.anyChain !== true, password: null };
  }
  if (!/\s/.test(text)) {
    throw new NodeError('KEY_FILE', `${where} is neither words, nor a key in hex, nor a wallet file`, {
      hint: 'words are 12 to 24 of BIP-39, a key is 64 hex digits, a wallet file is EIP-2335 JSON',
    });
  }
  const phrase = parseMnemonic(text);
  const devnetOnly = isPublicMnemonic(phrase);
  if (devnetOnly && options.anyChain === true) {
    throw new NodeError('DEV_KEY', 'these words are publicly known: whoever reads documents has this key', {
      hint: 'without --any-chain they make a wallet for development chains; aitbc wallet create NAME draws words of your own',
    });
  }
  const { account } = options;
  const seed = await seedOfMnemonic(phrase, account);
  return { seed, path: derivationPath(account), devnetOnly, password: null };
}

async function sourceOfKeystore(
  context: Context,
  keystore: Keystore,
  where: string,
  options: ImportOptions,
): Promise<Source> {
  const old = await readPassword({ file: context.options.passwordFile, purpose: `password of ${where}` });
  const seed = await openKeystore(keystore, old);
  const { newPasswordFile: file } = options;
  const password = file === undefined ? keptPassword(old) : await readNewPassword(file, 'password of the new wallet');
  const path = DERIVATION_PATH.test(keystore.path) ? keystore.path : '';
  return { seed, path, devnetOnly: keystore.devnet_only === true, password };
}

/** The new wallet keeps the file's password, unless that is too short for a wallet of ours. */
function keptPassword(password: string): string {
  try {
    checkPassword(password);
    return password;
  } catch (error) {
    throw new NodeError('INVALID_PARAMS', 'the password of the file is too short for a wallet', {
      hint: 'give another one with --new-password-file FILE',
      cause: error,
    });
  }
}

function newPassword(context: Context, name: string): Promise<string> {
  const purpose = `password of the new wallet "${name}"`;
  return readPassword({ file: context.options.passwordFile, purpose, isNew: true });
}

function readNewPassword(file: string | undefined, purpose: string): Promise<string> {
  return readPassword({ file, option: '--new-password-file', purpose, isNew: true });
}

async function finish(context: Context, made: WalletFile): Promise<void> {
  const { keystore: folder } = context.layout();
  const document = walletDocument(made, await readDefault(folder));
  context.out.data(
    document,
    fields([
      ['name', document.name],
      ['address', document.address],
      ['file', document.path],
    ]),
  );
  const others = await listWallets(folder, () => undefined);
  const twin = others.find(({ name, address }) => name !== made.name && address === made.address);
  if (twin) context.out.note(`The wallet "${twin.name}" has the same key.`);
  context.out.note(
    `Keep a copy of the file and its password, or the words: without them what the account holds is lost.`,
  );
}
