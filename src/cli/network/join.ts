/** `aitbc join`: the work. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { toHex } from '../../bytes.ts';
import type { Site } from '../../chain/join-document.ts';
import type { Json } from '../../chain/modules/types.ts';
import { loadConfig } from '../../config.ts';
import { NodeError } from '../../errors.ts';
import { createNativeSigner } from '../../native/crypto.ts';
import type { RunningNode } from '../../node.ts';
import { createClient } from '../../sdk/client.ts';
import { readKeyFile } from '../../store/key-file.ts';
import { isLoopback } from '../context.ts';
import type { Context } from '../context.ts';
import { readChain } from '../genesis-file.ts';
import { describeFiles, makeHome } from '../home-files.ts';
import type { Home } from '../home-files.ts';
import type { HomeOptions } from '../home-options.ts';
import { configOf } from '../home-options.ts';
import { nodeSources } from '../node-options.ts';
import { shortHash } from '../output.ts';
import { peerIdOf } from '../peer-id.ts';
import { confirm } from '../prompt.ts';
import { endNode, watchSignals } from '../signals.ts';
import { describeNetwork, networkDocument } from './describe.ts';
import type { Synced } from './follow.ts';
import { createTeller, followUntilSynced } from './follow.ts';
import { homeDocumentBytes, jsonBytes } from './files.ts';
import type { LoadedNetwork } from './source.ts';
import { loadNetwork } from './source.ts';

export interface JoinOptions extends HomeOptions {
  readonly sync: boolean;
  readonly stay?: boolean;
}

/** Connections that a follower keeps by itself; gossip finds no more, and validators need not bear all of all followers. */
const FOLLOWER_PEERS = 8;

export async function joinNetwork(context: Context, source: string, options: JoinOptions): Promise<void> {
  const { genesisHash, chain: chainId } = context.options;
  const { timeoutMs } = context;
  const localGenesis = async (id: string): Promise<Json | null> => {
    const { genesis } = context.layout(id);
    return existsSync(genesis) ? (JSON.parse(await readFile(genesis, 'utf8')) as Json) : null;
  };
  const network = await loadNetwork(source, { timeoutMs, chainId, genesisHash, localGenesis }, Date.now());
  await requireMeant(context, source, network);
  const isValidator = await holdsValidatorKey(context, network);
  const home = await makeJoinedHome(context, network, options, isValidator);
  for (const line of describeFiles(home.files)) context.out.note(line);
  const document = { home: context.home, ...networkDocument(network), peer_id: home.peerId, files: home.files };
  if (!options.sync || isValidator) {
    context.out.data({ ...document, synced: false }, `Joined ${network.document.chain.chainId}; not synced yet`);
    context.out.note(`Next: aitbc start --home ${context.home}`);
    return;
  }
  await sync(context, network, options.stay === true, document);
}

/** The genesis is the one asked for, the one that is here, or the one that a person agrees to. */
async function requireMeant(context: Context, source: string, network: LoadedNetwork): Promise<void> {
  const { chainId, genesisHash } = network.genesis.chain;
  const { genesis: path } = context.layout(chainId);
  const there = await readChain(path, chainId);
  if (there && toHex(there.genesisHash) !== toHex(genesisHash)) {
    throw new NodeError('WRONG_GENESIS', `this home is of another network of the name ${chainId}`, {
      data: { path, expected: toHex(there.genesisHash), found: toHex(genesisHash) },
      hint: 'use another --home for the other network',
    });
  }
  context.out.note(describeNetwork(network));
  if (there || context.options.genesisHash !== undefined) return;
  if (/^http:/i.test(source) && !isLoopback(source)) {
    throw new NodeError('USAGE', 'over http anyone on the way can show you a network of his own', {
      hint: 'compare the genesis with someone you trust, and give it: --genesis-hash HASH; or use https',
    });
  }
  context.out.note('Whoever made this document made the genesis too: compare its hash with someone you trust.');
  if (await confirm('Is this the network you mean?', context.options.yes)) return;
  throw new NodeError('USAGE', 'cancelled: nothing was changed');
}

async function holdsValidatorKey(context: Context, { genesis, signers }: LoadedNetwork): Promise<boolean> {
  const { validatorKey } = context.layout(genesis.chain.chainId);
  if (!existsSync(validatorKey)) return false;
  const own = toHex(createNativeSigner(await readKeyFile(validatorKey)).publicKey);
  return signers.set.validators.some(({ publicKey }) => toHex(publicKey) === own);
}

async function makeJoinedHome(
  context: Context,
  { document, genesis, genesisJson }: LoadedNetwork,
  options: JoinOptions,
  isValidator: boolean,
): Promise<Home> {
  const { chainId, genesisHash } = genesis.chain;
  const { nodeKey } = context.layout(chainId);
  const self = existsSync(nodeKey) ? peerIdOf(createNativeSigner(await readKeyFile(nodeKey)).publicKey) : null;
  const others = document.sites.map((site) => ({
    ...site,
    peers: site.peers.filter((peer) => !peer.endsWith(`/p2p/${String(self)}`)),
  }));
  const chosen = choosePeers(others, isValidator ? Infinity : FOLLOWER_PEERS);
  return makeHome(context, {
    config: { ...configOf(options), 'p2p.peers': [...(options.peer ?? []), ...chosen] },
    genesis: { bytes: jsonBytes(genesisJson), chainId, hash: toHex(genesisHash) },
    joinDocument: homeDocumentBytes(document),
  });
}

/** Of each site in turn, drawn by lot within it. */
export function choosePeers(sites: readonly Site[], most: number): string[] {
  const drawn = sites.map(({ peers }) =>
    peers
      .map((peer) => ({ peer, lot: Math.random() }))
      .sort((a, b) => a.lot - b.lot)
      .map(({ peer }) => peer),
  );
  const rounds = Math.max(0, ...drawn.map(({ length }) => length));
  const inTurn = Array.from({ length: rounds }, (_, i) => drawn.flatMap((peers) => peers.slice(i, i + 1))).flat();
  return inTurn.slice(0, most);
}

async function sync(
  context: Context,
  { genesis }: LoadedNetwork,
  isStaying: boolean,
  document: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { chainId } = genesis.chain;
  const [{ createLogger }, { startNode }] = await Promise.all([import('../../log.ts'), import('../../node.ts')]);
  const sources = nodeSources(context, { sign: true });
  const config = loadConfig(isStaying ? sources : { ...sources, flags: { ...sources.flags, chains: [chainId] } });
  // What a person looks on is the progress; what goes wrong is told beside it.
  const log = createLogger({ level: 'warn', format: 'pretty', stream: process.stderr });
  const signals = watchSignals();
  const ended = new AbortController();
  let node: RunningNode;
  try {
    node = await startNode({ home: context.home, config, log });
  } finally {
    signals.started();
  }
  signals.onStop(() => {
    ended.abort();
  });
  const teller = createTeller(process.stderr);
  let synced: Synced | null;
  try {
    synced = await followUntilSynced({
      client: createClient({ url: node.rpcUrl, chainId }),
      patienceMs: isStaying ? null : context.timeoutMs,
      tell: (line) => {
        teller.tell(line);
      },
      ended: ended.signal,
    });
  } catch (error) {
    await node.stop();
    throw error;
  } finally {
    teller.end();
  }
  if (synced) {
    const { status, snapshotHeight, tookMs } = synced;
    context.out.data(
      {
        ...document,
        ...{ synced: true, height: status.height, hash: status.hash, snapshot_height: snapshotHeight },
        took_ms: Math.round(tookMs),
      },
      syncedSentence(synced),
    );
    context.out.note(isStaying ? `rpc ${node.rpcUrl}; Ctrl-C ends it` : `Next: aitbc start --home ${context.home}`);
  } else context.out.note('Not synced yet; what was fetched is kept. Next: aitbc start');
  if (synced && isStaying && !ended.signal.aborted) {
    await new Promise((resolve) => {
      ended.signal.addEventListener('abort', resolve, { once: true });
    });
  }
  await endNode(node);
}

/** e.g. "Synced: ait-testnet, block 5012 1f0c…9a21, in 3.1 s from the snapshot of height 5000; each step proven by certificates". */
function syncedSentence({ status, snapshotHeight, tookMs }: Synced): string {
  const { chain_id, height, hash } = status;
  const head = hash === null ? 'no block yet' : `block ${height} ${shortHash(hash)}`;
  const from = snapshotHeight === null ? '' : ` from the snapshot of height ${snapshotHeight}`;
  const proof = hash === null ? '' : ', verified by the certificates of its validators';
  return `Synced: ${chain_id}, ${head}, in ${(tookMs / 1000).toFixed(1)} s${from}${proof}`;
}
