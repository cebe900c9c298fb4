/**
 * A peer that speaks the protocol and lies about blocks or chunks, in the place of a validator of a cluster: its key, its address
 * and its database, but what it serves is wrong. Arguments: the node's home, the chain, and the lie.
 */
import { readFileSync } from 'node:fs';
import type { EncodedBlock } from '../../protocols/messages.ts';
import type { ChainHandlers } from '../../protocols/network.ts';
import type { Hash } from '../../src/bytes.ts';
import type { Json } from '../../src/chain/modules/types.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { parseGenesis } from '../../src/chain/genesis.ts';
import { decodeCertificate, encodeCertificate } from '../../src/chain/votes.ts';
import { blocksOf, lightAnswer } from '../../src/chains/serving.ts';
import { systemClock } from '../../src/clock.ts';
import { Ledger } from '../../src/engine/ledger.ts';
import { NodeError } from '../../src/errors.ts';
import { nopLogger } from '../../src/log.ts';
import { nopRegister } from '../../src/metrics.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { createHost } from '../../src/net/host.ts';
import { openChainStore } from '../../src/store/chain-store.ts';
import { chainFolderOf } from '../../src/store/data-folder.ts';
import { Snapshots } from '../../src/store/snapshots.ts';
import type { ChainStore } from '../../src/store/types.ts';
import { nodeLayout, readSeed } from '../../testnet/layout.ts';
import { LIES } from './args.ts';
import { chainRules } from './chain-maker.ts';
import type { PeerLie } from './liar.ts';

/** How far a false height is above the true one. */
const FALSE_BLOCKS = 1_000_000;

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.with(at, (bytes.at(at) ?? 0) ^ 1);
}

/** The last byte of a block belongs to the signature of its last transaction. */
function tampered(lie: PeerLie, { block, certificate }: EncodedBlock): EncodedBlock {
  if (lie === 'transaction') return { block: flipped(block, -1), certificate };
  const decoded = decodeCertificate(certificate);
  const signatures = decoded.signatures.map((signature) => flipped(signature, -1));
  return { block, certificate: encodeCertificate({ ...decoded, signatures }) };
}

/** The true manifest with its proof, and of every second chunk a byte that is another. */
async function wrongChunks(
  folder: string,
  genesis: Genesis,
  store: ChainStore,
): Promise<Pick<ChainHandlers['requests'], 'blocks' | 'light' | 'snapshot' | 'chunk'>> {
  const ledger = await Ledger.open(chainRules(genesis), genesis, store);
  const snapshots = await Snapshots.open({
    ...{ folder, interval: 0, keep: 1, hasher: nativeCrypto, clock: systemClock },
    ...{ log: nopLogger, metrics: nopRegister },
  });
  const chunk = async (manifest: Hash, index: number): Promise<Uint8Array> => {
    const bytes = await snapshots.chunk(manifest, index);
    return index % 2 === 1 ? flipped(bytes, -1) : bytes;
  };
  return {
    blocks: (request) => Promise.resolve(blocksOf(store, request)),
    light: (request) => Promise.resolve(lightAnswer(ledger, request)),
    snapshot: ({ below }) => Promise.resolve(snapshots.manifestBelow(below)),
    chunk: ({ manifest, index }) => chunk(manifest, index),
  };
}

function lyingHandlers(lie: PeerLie, store: ChainStore, genesisHash: Uint8Array): ChainHandlers {
  const ignore = (): Promise<'NOT_READY'> => Promise.resolve('NOT_READY');
  const nothing = (): Promise<never> => Promise.reject(new NodeError('NOT_FOUND', 'this peer serves blocks alone'));
  return {
    gossip: { tx: ignore, proposal: ignore, vote: ignore, evidence: ignore, status: ignore, offer: ignore },
    requests: {
      status: () => {
        const head = store.head();
        if (!head) return Promise.reject(new NodeError('INTERNAL', 'a liar without blocks'));
        const { height, blockId, certificate } = head;
        const claimed = lie === 'height' ? height + FALSE_BLOCKS : height;
        return Promise.resolve({ genesisHash, baseHeight: 1, height: claimed, blockId, certificate });
      },
      blocks: (request) => {
        process.send?.('asked');
        if (lie === 'stall') return new Promise(() => undefined);
        const blocks = blocksOf(store, request);
        return Promise.resolve(lie === 'height' ? [] : blocks.map((each) => tampered(lie, each)));
      },
      txs: () => Promise.resolve([]),
      votes: () => Promise.resolve({ votes: [], proposals: [] }),
      light: nothing,
      snapshot: () => Promise.resolve(null),
      chunk: nothing,
      blob: nothing,
      quote: nothing,
      join: nothing,
    },
    onPeer: () => undefined,
    onPeerGone: () => undefined,
  };
}

async function main([home = '', chainId = '', listen = '', name = '']: readonly string[]): Promise<void> {
  const lies: readonly PeerLie[] = [...LIES, 'chunk'];
  const lie = lies.find((each) => each === name);
  if (!lie) throw new NodeError('USAGE', `a liar that does one of ${lies.join(', ')}`);
  const layout = nodeLayout(home, chainId);
  const genesis = parseGenesis(nativeCrypto, JSON.parse(readFileSync(layout.genesis, 'utf8')) as Json);
  const { genesisHash } = genesis.chain;
  const store = await openChainStore({ folder: layout.database, chainId, genesisHash, hasher: nativeCrypto });
  const host = await createHost({
    privateKeySeed: readSeed(layout.nodeKey),
    listen: [listen],
    hasher: nativeCrypto,
  });
  const handlers = lyingHandlers(lie, store, genesisHash);
  const { snapshotsFolder } = chainFolderOf(home, chainId);
  const wrong = lie === 'chunk' ? await wrongChunks(snapshotsFolder, genesis, store) : {};
  await host.addChain({
    chain: genesis.chain,
    handlers: { ...handlers, requests: { ...handlers.requests, ...wrong } },
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.('ready');
}

await main(process.argv.slice(2));
