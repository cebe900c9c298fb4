/** A market for one run of the command line: node, chain, key and rows put together. */
import { join } from 'node:path';
import { addressOf, formatAddress } from '../../chain/address.ts';
import { isDevnet } from '../../chain/genesis.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { NodeError } from '../../errors.ts';
import { nopLogger } from '../../log.ts';
import { createNativeSigner, nativeCrypto } from '../../native/crypto.ts';
import { nativeSealing } from '../../native/sealing.ts';
import { chainOfStatus } from '../../sdk/build.ts';
import { createMarket } from '../../sdk/market.ts';
import type { Market } from '../../sdk/market.ts';
import { connectRelay } from '../../sdk/market-relay.ts';
import { createMarketReads } from '../../sdk/market-reads.ts';
import { ensurePrivateFolder } from '../../store/files.ts';
import { lockFolder } from '../../store/folder-lock.ts';
import type { BlobShelf } from '../../compute/blobs/shelf.ts';
import type { Rows } from '../../compute/coordinator/ports.ts';
import type { Context } from '../context.ts';
import { requireMeantChain, requireSameChain } from '../deliver.ts';
import { listWallets, readDefault } from '../keystore-files.ts';
import type { Key, KeyOptions } from '../signer.ts';
import { chooseKey } from '../signer.ts';
import { startVerification } from '../verification.ts';

/** Someone waits: a miner that has room again is to be seen soon. */
const OFFERS_MS = 1000;
const TURN_POLL_MS = 20;
const MAX_TURN_WAIT_MS = 20_000;

export interface Payer {
  readonly context: Context;
  readonly chain: ChainContext;
  /** Address that pays. */
  readonly address: string;
  /** @throws NodeError INSUFFICIENT_FUNDS when it has nothing */
  requireFunds(): Promise<void>;
  /** @param rows of one run */
  open(rows: Rows, shelf: BlobShelf): Promise<Market>;
}

/** Node and key of the options, or those that are near. @throws NodeError UNREACHABLE | USAGE | WRONG_GENESIS | … */
export async function findPayer(context: Context, options: KeyOptions): Promise<Payer> {
  const status = await context.status();
  const [verification, key] = [await startVerification(context), await payingKey(context, options, status.chain_id)];
  const { chain, params } = chainOfStatus(status);
  if (verification) requireSameChain(verification, chain);
  await requireMeantChain(context, chain);
  const client = context.client(status.chain_id);
  const light = verification?.client ?? null;
  return {
    context,
    chain,
    address: key.address,
    requireFunds: async () => {
      const balanceUait = await createMarketReads(client, light).balanceUait(addressOf(nativeCrypto, key.publicKey));
      if (balanceUait === 0) throw noFunds(key.address, chain.chainId, context);
    },
    open: async (rows, shelf) => {
      const signer = await key.unlock();
      const miners = await connectRelay({ client, chain, crypto: nativeCrypto, pollMs: OFFERS_MS });
      try {
        const market = await createMarket({
          ...{ client, light, miners, rows, shelf, crypto: nativeCrypto, createSigner: createNativeSigner },
          sealing: nativeSealing,
          signing: { hasher: nativeCrypto, chain, params: verification?.genesis.params ?? params, signer },
          exclusive: () => takeAccount(context.home, formatAddress(addressOf(nativeCrypto, signer.publicKey))),
        });
        return {
          ...market,
          close: async () => {
            await market.close();
            miners.close();
          },
        };
      } catch (error) {
        miners.close();
        throw error;
      }
    },
  };
}

/** That of the options, else the wallet of this home, else on a development network its first account. */
async function payingKey(context: Context, options: KeyOptions, chainId: string): Promise<Key> {
  const isGiven = options.from !== undefined || options.keyFile !== undefined;
  const account = isGiven || !isDevnet(chainId) ? null : context.cluster()?.account;
  if (!account) return chooseKey(context, options, chainId);
  const { keystore } = context.layout(chainId);
  const [chosen, wallets] = await Promise.all([readDefault(keystore), listWallets(keystore, () => undefined)]);
  if (chosen !== null || wallets.length === 1) return chooseKey(context, options, chainId);
  context.out.note(`paid by the development account ${account.name}`);
  return chooseKey(context, { keyFile: account.keyFile }, chainId);
}

function noFunds(address: string, chainId: string, context: Context): NodeError {
  const faucet = `aitbc wallet faucet ${address} --rpc ${context.client().url}`;
  return new NodeError('INSUFFICIENT_FUNDS', `${address} has nothing to pay with on ${chainId}`, {
    data: { address },
    hint: isDevnet(chainId) ? faucet : `have AIT sent to ${address}`,
  });
}

/**
 * The account's turn over all processes of this home: see `createTurns`. A process that is gone has none.
 *
 * @throws NodeError TIMEOUT
 */
async function takeAccount(home: string, address: string): Promise<() => void> {
  const folder = join(home, 'jobs', 'accounts', address);
  await ensurePrivateFolder(folder);
  const end = performance.now() + MAX_TURN_WAIT_MS;
  for (;;) {
    try {
      const lock = await lockFolder(folder, nopLogger);
      return () => {
        // A lock that stays is one of a process that is gone, before long.
        lock.release().catch(() => undefined);
      };
    } catch (error) {
      if (!(error instanceof NodeError) || error.code !== 'DATA_LOCKED') throw error;
      if (performance.now() > end) {
        throw new NodeError(
          'TIMEOUT',
          `process ${String(error.data['pid'])} has not sent its transaction of ${address}`,
          {
            data: { address, pid: error.data['pid'] },
            hint: 'try again',
          },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, TURN_POLL_MS));
    }
  }
}
