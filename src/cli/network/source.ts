/** Join documents from where people have them: a file, a URL, a peer; read up to a bound and believed only when verified. */
import { equalBytes, fromHex, toHex } from '../../bytes.ts';
import type { Genesis } from '../../chain/genesis.ts';
import type { JoinDocument, JoinSigners } from '../../chain/join-document.ts';
import { joinDocumentSigners, verifyJoinDocument } from '../../chain/join-document.ts';
import { MAX_JOIN_DOCUMENT_CHARACTERS, parseJoinDocument } from '../../chain/join-document-json.ts';
import type { Json } from '../../chain/modules/types.ts';
import { isNodeError, NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { createClient } from '../../sdk/client.ts';
import { checkGenesis } from '../../sdk/verify.ts';
import { readSmallText } from '../small-file.ts';

/** Path at which a node serves its document. */
const DOCUMENT_PATH = '/rpc/join';
/** Nodes asked for a genesis that the document does not hold. */
const MAX_ASKED = 8;

export interface LoadedNetwork {
  readonly document: JoinDocument;
  readonly genesis: Genesis;
  readonly genesisJson: Json;
  readonly signers: JoinSigners;
}

export interface LoadOptions {
  readonly timeoutMs: number;
  /** Of several chains of one node. */
  readonly chainId?: string | undefined;
  /** Hex: the genesis that is meant. */
  readonly genesisHash?: string | undefined;
  /** For a document that holds none; null when there is none here either. */
  readonly localGenesis?: (chainId: string) => Promise<Json | null>;
}

/** @throws NodeError BAD_JOIN_DOCUMENT, WRONG_GENESIS, WRONG_CHAIN, TOO_LARGE, UNREACHABLE, TIMEOUT, NOT_FOUND, USAGE */
export async function loadNetwork(source: string, options: LoadOptions, nowMs: number): Promise<LoadedNetwork> {
  const network = await loadUnverified(source, options);
  return { ...network, signers: verifyJoinDocument(nativeCrypto, network.genesis, network.document, nowMs) };
}

/** The same while the document is being signed: the signatures in it hold, however few, and dates are not looked at. */
export async function loadDraft(source: string, options: LoadOptions): Promise<LoadedNetwork> {
  const network = await loadUnverified(source, options);
  return { ...network, signers: joinDocumentSigners(nativeCrypto, network.genesis, network.document) };
}

async function loadUnverified(source: string, options: LoadOptions): Promise<Omit<LoadedNetwork, 'signers'>> {
  const document = parseJoinDocument(await readSource(source, options));
  const { chainId, genesisHash } = document.chain;
  if (options.chainId !== undefined && options.chainId !== chainId) {
    throw new NodeError('WRONG_CHAIN', `the join document is for ${chainId}, not for ${options.chainId}`);
  }
  const pinned = options.genesisHash === undefined ? genesisHash : hashOf(options.genesisHash);
  if (!equalBytes(pinned, genesisHash)) {
    throw new NodeError('WRONG_GENESIS', `the join document is for another network of the name ${chainId}`, {
      data: { expected: toHex(pinned), found: toHex(genesisHash) },
      hint: 'take the document from elsewhere: this one does not lead to the network you mean',
    });
  }
  const genesisJson =
    document.genesis ?? (await options.localGenesis?.(chainId)) ?? (await askGenesis(document, options.timeoutMs));
  const genesis = checkGenesis(nativeCrypto, genesisJson, genesisHash);
  return { document, genesis, genesisJson };
}

function hashOf(text: string): Uint8Array {
  if (/^[0-9a-f]{64}$/.test(text)) return fromHex(text, 32);
  throw new NodeError('USAGE', '--genesis-hash takes 64 hex digits');
}

async function readSource(source: string, { timeoutMs, chainId, genesisHash }: LoadOptions): Promise<string> {
  if (/^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\//.test(source)) {
    if (chainId === undefined || genesisHash === undefined) {
      throw new NodeError('USAGE', 'a peer is asked about the one network that is meant', {
        hint: 'give both: --chain ID --genesis-hash HASH',
      });
    }
    const { askPeer } = await import('./ask-peer.ts');
    return askPeer(source, { chainId, genesisHash: hashOf(genesisHash) }, timeoutMs);
  }
  if (!/^https?:\/\//i.test(source))
    return readSmallText(source, MAX_JOIN_DOCUMENT_CHARACTERS, 'a join document', 'NOT_FOUND');
  if (!URL.canParse(source)) throw new NodeError('USAGE', `${source} is no URL`);
  const url = new URL(source);
  if (url.pathname === '/' && url.search === '') {
    url.pathname = DOCUMENT_PATH;
    if (chainId !== undefined) url.searchParams.set('chain_id', chainId);
  }
  return fetchText(url, timeoutMs);
}

/** A redirect is not followed: it would say where the document comes from in place of the user. */
async function fetchText(url: URL, timeoutMs: number): Promise<string> {
  let response: Response;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      // An abandoned iteration cancels the body.
      if (bytes > MAX_JOIN_DOCUMENT_CHARACTERS) break;
      chunks.push(chunk);
    }
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === 'TimeoutError';
    throw new NodeError(isLate ? 'TIMEOUT' : 'UNREACHABLE', `cannot get ${url.href}`, {
      data: { url: url.href },
      hint: isLate
        ? 'try again, or with a longer --timeout'
        : 'check the address; another node of the network serves the same',
      cause: error,
    });
  }
  if (bytes > MAX_JOIN_DOCUMENT_CHARACTERS) {
    throw new NodeError('TOO_LARGE', `what ${url.href} answers is too large to be a join document`, {
      data: { limit: MAX_JOIN_DOCUMENT_CHARACTERS },
    });
  }
  if (response.status >= 300 && response.status < 400) {
    throw new NodeError('UNREACHABLE', `${url.href} leads elsewhere, which is not followed`, {
      data: { url: url.href, status: response.status },
      hint: 'give the address it leads to, if you trust it',
    });
  }
  if (response.status !== 200) {
    throw new NodeError('NOT_FOUND', `there is no join document at ${url.href} (HTTP ${response.status})`, {
      data: { url: url.href, status: response.status },
      hint: 'ask the operators of the network for its address; a node serves one when join.json lies beside its genesis',
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** From the nodes of the document, in their order: the hash tells which one is right. */
async function askGenesis({ chain, sites }: JoinDocument, timeoutMs: number): Promise<Json> {
  const urls = sites.flatMap(({ rpc }) => rpc).slice(0, MAX_ASKED);
  const faults: string[] = [];
  for (const url of urls) {
    try {
      const { genesis } = await createClient({ url, chainId: chain.chainId, timeoutMs }).genesis();
      checkGenesis(nativeCrypto, genesis, chain.genesisHash);
      return genesis;
    } catch (error) {
      if (!isNodeError(error)) throw error;
      faults.push(`${url}: ${error.message}`);
    }
  }
  throw new NodeError(
    'UNREACHABLE',
    `no node of the document gave its genesis. ${faults.join('; ') || 'It names none.'}`,
    {
      data: { genesis_hash: toHex(chain.genesisHash) },
      hint: 'get the genesis file from the operators: aitbc init --genesis FILE, then join again',
    },
  );
}
