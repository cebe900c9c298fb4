/** `aitbc validator show --card`: what this home brings to a network that is yet to be made. */
import { existsSync } from 'node:fs';
import { parseAddress } from '../../chain/address.ts';
import { cardToJson, signCard } from '../../chain/validator-card.ts';
import { NodeError } from '../../errors.ts';
import { createNativeSigner } from '../../native/crypto.ts';
import { readKeyFile } from '../../store/key-file.ts';
import type { Context } from '../context.ts';
import { peerIdOf } from '../peer-id.ts';
import { multiaddrOf } from './plan.ts';

export interface CardOptions {
  readonly name?: string;
  readonly site?: string;
  readonly operator?: string;
  readonly host?: readonly string[];
  readonly rpcUrl?: readonly string[];
  readonly power?: number;
}

export async function showCard(context: Context, options: CardOptions): Promise<void> {
  const { name, operator, host = [], rpcUrl = [], power = 1 } = options;
  if (name === undefined || operator === undefined || host.length === 0) {
    throw new NodeError('USAGE', 'a card needs --name, --operator and --host', {
      hint: 'e.g. aitbc validator show --card --chain ait-testnet --name at1-1 --operator ait1… --host at1.example:8005',
    });
  }
  const layout = context.layout();
  const key = async (path: string) => {
    if (existsSync(path)) return createNativeSigner(await readKeyFile(path));
    throw new NodeError('NOT_FOUND', `there is no key at ${path}`, {
      data: { path },
      hint: `make the home first: aitbc init --chain ${layout.chainId}`,
    });
  };
  const peerId = peerIdOf((await key(layout.nodeKey)).publicKey);
  const card = signCard(
    {
      chainId: layout.chainId,
      name,
      site: options.site ?? name.replace(/-\d+$/, ''),
      power,
      operator: parseAddress(operator),
      peers: host.map((text) => `${multiaddrOf(text)}/p2p/${peerId}`),
      rpc: rpcUrl.map((url) => url.replace(/\/$/, '')),
    },
    await key(layout.validatorKey),
  );
  const json = cardToJson(card);
  context.out.data(json, JSON.stringify(json));
  context.out.note('Put this into a file, and give it to whoever seals the network: aitbc network seal CARD…');
}
