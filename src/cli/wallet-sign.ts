/** `aitbc wallet sign`, `verify` and `login`: what an account says, and that it said it. */
import { fromHex, toHex } from '../bytes.ts';
import { addressOf, formatAddress, parseAddress } from '../chain/address.ts';
import type { ChainContext } from '../chain/signing.ts';
import { NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import { chainOfStatus } from '../sdk/build.ts';
import { MAX_LOGIN_CHARACTERS, parseLogin, signLogin } from '../sdk/login.ts';
import {
  MAX_MESSAGE_BYTES,
  MAX_MESSAGE_FILE_CHARACTERS,
  parseSignedMessage,
  signedMessageToJson,
  signMessage,
  verifyMessage,
} from '../sdk/message.ts';
import type { Context } from './context.ts';
import { requireMeantChain } from './deliver.ts';
import { readChain } from './genesis-file.ts';
import { fields, printable } from './output.ts';
import { confirm } from './prompt.ts';
import type { KeyOptions } from './signer.ts';
import { chooseKey, chooseKeyOf } from './signer.ts';
import { readSmallText } from './small-file.ts';

export interface SignOptions extends KeyOptions {
  readonly file?: string;
}

export async function sign(context: Context, given: string | undefined, options: SignOptions): Promise<void> {
  if ((given === undefined) === (options.file === undefined)) {
    throw new NodeError('USAGE', 'give the message, or --file FILE', { hint: 'aitbc wallet sign "hello" --from NAME' });
  }
  const message = given ?? (await readSmallText(options.file ?? '-', MAX_MESSAGE_BYTES, 'a message', 'USAGE'));
  const chain = await chainToSignFor(context);
  const key = await chooseKey(context, options, chain.chainId);
  context.out.note(`${key.address} signs, for ${chain.chainId}: ${printable(message.slice(0, 1000))}`);
  const signed = signedMessageToJson(nativeCrypto, signMessage(chain, await key.unlock(), message));
  context.out.data(signed, JSON.stringify(signed, null, 2));
}

export async function verify(context: Context, path: string, wanted: string | undefined): Promise<void> {
  const text = await readSmallText(path, MAX_MESSAGE_FILE_CHARACTERS, 'a signed message', 'USAGE');
  const signed = parseSignedMessage(nativeCrypto, text);
  await requireMeantChain(context, signed.chain);
  const address = verifyMessage(nativeCrypto, signed);
  if (wanted !== undefined && formatAddress(parseAddress(wanted)) !== address) {
    throw new NodeError('BAD_SIGNATURE', `it was signed by ${address}, not by ${wanted}`, { data: { address } });
  }
  const { chain, message } = signed;
  context.out.data(
    { valid: true, address, chain_id: chain.chainId, genesis_hash: toHex(chain.genesisHash), message },
    fields([
      ['signed by', address],
      ['for', `${chain.chainId}, genesis ${toHex(chain.genesisHash)}`],
      ['message', printable(message)],
    ]),
  );
}

export async function login(context: Context, path: string, options: KeyOptions): Promise<void> {
  const text = (await readSmallText(path, MAX_LOGIN_CHARACTERS, 'a login text', 'USAGE')).replace(/\n$/, '');
  const { domain, address, statement, chainId, expiresAtMs } = parseLogin(text);
  const chain = await chainToSignFor(context, chainId);
  const key = await chooseKeyOf(context, options, address, chainId);
  context.out.note(
    fields([
      ['site', domain],
      ...(statement === '' ? [] : [['it says', statement] as const]),
      ['account', address],
      ['chain', chainId],
      ['until', new Date(expiresAtMs).toISOString()],
    ]),
  );
  if (!(await confirm(`Log in to ${domain}?`, context.options.yes))) throw new NodeError('USAGE', 'not signed');
  const { publicKey, signature } = signLogin(nativeCrypto, chain, await key.unlock(), text, Date.now());
  const signer = formatAddress(addressOf(nativeCrypto, publicKey));
  const document = { message: text, address: signer, public_key: toHex(publicKey), signature: toHex(signature) };
  context.out.data(document, JSON.stringify(document, null, 2));
}

/** That of --chain and --genesis-hash, else the one whose genesis is in this home, else that of the node. */
async function chainToSignFor(context: Context, wanted?: string): Promise<ChainContext> {
  const { chain: given, genesisHash } = context.options;
  const id = wanted ?? given;
  if (id !== undefined && genesisHash !== undefined && /^[0-9a-f]{64}$/.test(genesisHash)) {
    const chain = { chainId: id, genesisHash: fromHex(genesisHash, 32) };
    await requireMeantChain(context, chain);
    return chain;
  }
  const { genesis, chainId } = context.layout(id);
  const own = await readChain(genesis, chainId);
  const chain = own ?? chainOfStatus(await context.client(id).status()).chain;
  await requireMeantChain(context, chain);
  if (id === undefined || chain.chainId === id) return chain;
  throw new NodeError('WRONG_CHAIN', `the node is of ${chain.chainId}, not of ${id}: nothing was signed`, {
    hint: `give --rpc of a node of ${id}, or --chain ${id} and --genesis-hash HASH`,
  });
}
