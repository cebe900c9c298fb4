/** Wallets of a home as they are shown, and the choice of the one that signs. */
import { NodeError } from '../errors.ts';
import { isWalletName } from '../wallet/keystore.ts';
import { formatAit } from './amount.ts';
import type { Context } from './context.ts';
import type { WalletFile } from './keystore-files.ts';
import { listWallets, readDefault, readWallet, writeDefault } from './keystore-files.ts';
import { fields, printable, table } from './output.ts';
import { readAccounts } from './reads.ts';
import { chooseWallet } from './signer.ts';
import { walletDocument } from './wallet-document.ts';

const NONE = 'No wallets yet: aitbc wallet create NAME';

export async function list(context: Context): Promise<void> {
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

export async function show(context: Context, name: string | undefined): Promise<void> {
  const document = walletDocument(await chooseWallet(context, name), await readDefault(context.layout().keystore));
  context.out.data(
    document,
    fields([
      ['name', document.name],
      ['address', document.address],
      ['public key', document.public_key],
      ['file', document.path],
      ['derived by', document.derivation_path && printable(document.derivation_path)],
      ...(document.is_default ? [['default', 'yes'] as const] : []),
      ['signs for', document.devnet_only ? 'development chains only' : 'any chain'],
    ]),
  );
}

export async function use(context: Context, name: string): Promise<void> {
  const { keystore: folder } = context.layout();
  const { address } = await readWallet(folder, name);
  await writeDefault(folder, name);
  context.out.data({ name, address }, `${name} signs when --from is absent: ${address}`);
}

export async function balance(context: Context, who: string | undefined): Promise<void> {
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

/** Waits until the money is there. */
export async function faucet(context: Context, who: string | undefined): Promise<void> {
  const isAddress = who?.startsWith('ait1') === true;
  const address = isAddress ? who : (await chooseWallet(context, who)).address;
  const client = context.client();
  const { tx_hash: hash, amount_uait: amountUait } = await client.requestFaucet(address);
  context.out.note(`sent ${hash}, waiting until it is final`);
  const { height, status } = await client.waitForTransaction(hash, { timeoutMs: context.timeoutMs });
  if (status !== 'final')
    throw new NodeError('TX_REJECTED', 'the payment of the faucet was dropped', { data: { hash } });
  const result = { address, amount_uait: amountUait, hash, height };
  context.out.data(result, `${formatAit(amountUait)} for ${address}, final in block ${height ?? '?'}`);
}

function ownWallets(context: Context): Promise<WalletFile[]> {
  return listWallets(context.layout().keystore, (path, why) => {
    context.out.note(`left out ${path}: ${why}`);
  });
}
