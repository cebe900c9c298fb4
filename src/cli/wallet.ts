/** `aitbc wallet`: keys under a password, kept in the home. */
import type { Command } from 'commander';
import { toHex } from '../bytes.ts';
import { createKeystore, isWalletName } from '../wallet/keystore.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import type { WalletFile } from './keystore-files.ts';
import { listWallets, readWallet, requireFreeName, writeWallet } from './keystore-files.ts';
import { fields, table } from './output.ts';
import { readPassword } from './prompt.ts';
import { readAccounts } from './reads.ts';

export function register(program: Command): void {
  const wallet = program.command('wallet').description('wallets of this home');
  wallet
    .command('create')
    .description('make a key under a password')
    .argument('<name>', 'a-z, 0-9, "_" and "-", up to 32 characters')
    .action(async (name: string, _options: object, command: Command) => {
      await create(createContext(command), name);
    });
  wallet
    .command('list')
    .description('names and addresses; needs no password')
    .action(async (_options: object, command: Command) => {
      await list(createContext(command));
    });
  wallet
    .command('balance')
    .description('what an account has, and its nonce')
    .argument('[wallet]', 'name of a wallet, or an address; all wallets when absent')
    .action(async (who: string | undefined, _options: object, command: Command) => {
      await balance(createContext(command), who);
    });
}

async function create(context: Context, name: string): Promise<void> {
  const { keystore: folder } = context.layout();
  await requireFreeName(folder, name);
  const password = await readPassword(context.options.passwordFile, `password of the new wallet "${name}"`, true);
  const made = await writeWallet(folder, name, await createKeystore({ name, password }));
  const { address, publicKey, path } = made;
  context.out.data(
    { name, address, public_key: toHex(publicKey), path },
    fields([
      ['name', name],
      ['address', address],
      ['file', path],
    ]),
  );
  context.out.note('Keep a copy of the file and the password: without both, what the account holds is lost.');
}

async function list(context: Context): Promise<void> {
  const wallets = await ownWallets(context);
  const rows = wallets.map(({ name, address, path }) => ({ name, address, path }));
  const text = table(
    ['NAME', 'ADDRESS'],
    rows.map(({ name, address }) => [name, address]),
  );
  context.out.data({ wallets: rows }, rows.length === 0 ? 'No wallets yet: aitbc wallet create NAME' : text);
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
    const text =
      rows.length === 0 ? 'No wallets yet: aitbc wallet create NAME' : table(['NAME', 'ADDRESS', 'BALANCE'], rows);
    context.out.data({ accounts }, text);
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
