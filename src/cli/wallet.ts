/** `aitbc wallet`: keys under a password, kept in the home. */
import type { Command } from 'commander';
import { isWalletName } from '../wallet/keystore.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import type { WalletFile } from './keystore-files.ts';
import { listWallets, readDefault, readWallet, writeDefault } from './keystore-files.ts';
import { fields, table } from './output.ts';
import { readAccounts } from './reads.ts';
import { chooseWallet } from './signer.ts';
import { registerKeepVerbs } from './wallet-keep.ts';
import { registerMakeVerbs } from './wallet-make.ts';
import { registerSignVerbs } from './wallet-sign.ts';
import { walletDocument } from './wallet-document.ts';

const NONE = 'No wallets yet: aitbc wallet create NAME';

export function register(program: Command): void {
  const wallet = program.command('wallet').description('wallets: keys under a password, kept in the home');
  registerMakeVerbs(wallet);
  wallet
    .command('list')
    .description('names and addresses; needs no password')
    .action(async (_options: object, command: Command) => {
      await list(createContext(command));
    });
  wallet
    .command('show')
    .description('address, public key and file of a wallet; needs no password')
    .argument('[name]', 'the default wallet when absent')
    .action(async (name: string | undefined, _options: object, command: Command) => {
      await show(createContext(command), name);
    });
  wallet
    .command('use')
    .description('choose the wallet that signs when --from is absent')
    .argument('<name>')
    .action(async (name: string, _options: object, command: Command) => {
      await use(createContext(command), name);
    });
  wallet
    .command('balance')
    .description('what an account has, and its nonce')
    .argument('[wallet]', 'name of a wallet, or an address; all wallets when absent')
    .action(async (who: string | undefined, _options: object, command: Command) => {
      await balance(createContext(command), who);
    });
  registerKeepVerbs(wallet);
  registerSignVerbs(wallet);
}

async function list(context: Context): Promise<void> {
  const wallets = await ownWallets(context);
  const chosen = await readDefault(context.layout().keystore);
  const rows = wallets.map((wallet) => walletDocument(wallet, chosen));
  const text = table(
    ['NAME', 'ADDRESS', ''],
    rows.map(({ name, address, is_default, devnet_only }) => [
      name,
      address,
      [...(is_default ? ['default'] : []), ...(devnet_only ? ['development key'] : [])].join(', '),
    ]),
  );
  context.out.data({ wallets: rows }, rows.length === 0 ? NONE : text);
}

async function show(context: Context, name: string | undefined): Promise<void> {
  const document = walletDocument(await chooseWallet(context, name), await readDefault(context.layout().keystore));
  context.out.data(
    document,
    fields([
      ['name', document.name],
      ['address', document.address],
      ['public key', document.public_key],
      ['file', document.path],
      ['derived by', document.derivation_path],
      ...(document.is_default ? [['default', 'yes'] as const] : []),
      ['signs for', document.devnet_only ? 'development chains only' : 'any chain'],
    ]),
  );
}

async function use(context: Context, name: string): Promise<void> {
  const { keystore: folder } = context.layout();
  const { address } = await readWallet(folder, name);
  await writeDefault(folder, name);
  context.out.data({ name, address }, `${name} signs when --from is absent: ${address}`);
}

async function balance(context: Context, who: string | undefined): Promise<void> {
  if (who === undefined) {
    const wallets = await ownWallets(context);
    const read = await readAccounts(
      context,
      wallets.map(({ address }) => address),
    );
    const accounts = read.map((account, i) => ({ name: wallets[i]?.name ?? '', ...account }));
    const rows = accounts.map(({ name, address, balance_uait }) => [name, address, formatAit(balance_uait)]);
    context.out.data({ accounts }, rows.length === 0 ? NONE : table(['NAME', 'ADDRESS', 'BALANCE'], rows));
    return;
  }
  const { keystore } = context.layout();
  const isName = isWalletName(who) && !who.startsWith('ait1');
  const [account] = await readAccounts(context, [isName ? (await readWallet(keystore, who)).address : who]);
  if (!account) return;
  context.out.data(
    account,
    fields([
      ['address', account.address],
      ['balance', formatAit(account.balance_uait)],
      ['nonce', account.nonce],
      ['height', account.height],
    ]),
  );
}

function ownWallets(context: Context): Promise<WalletFile[]> {
  return listWallets(context.layout().keystore, (path, why) => {
    context.out.note(`left out ${path}: ${why}`);
  });
}
