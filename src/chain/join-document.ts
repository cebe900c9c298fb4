/**
 * Join documents: what a node needs to become part of a network, signed by the validators of its genesis. The genesis is
 * bound by its hash, which is part of all sign bytes; sites, addresses and dates are the signed fields. Nothing in it is secret.
 *
 * A document proves what a genesis says of itself. That the genesis is that of the network meant, only its hash tells, known
 * from elsewhere: whoever makes a genesis of his own can sign a document for it.
 */
import type { PublicKey, Signature } from '../bytes.ts';
import { bytesKey, equalBytes, toHex } from '../bytes.ts';
import type { ErrorData } from '../errors.ts';
import { NodeError } from '../errors.ts';
import type { Crypto, Signer } from './crypto/types.ts';
import type { Genesis } from './genesis.ts';
import { genesisHead } from './light.ts';
import type { Json } from './modules/types.ts';
import type { ChainContext } from './signing.ts';
import { signBytesWriter } from './signing.ts';
import type { ValidatorSet } from './validator-set.ts';
import { findValidator, hasQuorum, MAX_VALIDATORS } from './validator-set.ts';

export const MAX_SITES = 64;
/** Over all sites: what a node may be told to stay connected with, with room for peers of its own. */
export const MAX_JOIN_PEERS = 128;
export const MAX_JOIN_RPC_URLS = 64;
/** Of a multiaddr or URL. */
export const MAX_JOIN_ADDRESS_CHARACTERS = 255;
/** Two years: addresses do not last for ever. */
export const MAX_JOIN_VALIDITY_MS = 731 * 24 * 60 * 60 * 1000;
/** How far the clock of whoever issued it may be ahead of ours. */
export const MAX_JOIN_CLOCK_DRIFT_MS = 10 * 60 * 1000;

/** One place with nodes of the network. */
export interface Site {
  /** 1 to 32 characters of a-z, 0-9 and "-". */
  readonly name: string;
  /** Multiaddrs that end in /p2p/<peer id>. */
  readonly peers: readonly string[];
  /** http or https URLs of nodes, without a slash at the end. */
  readonly rpc: readonly string[];
}

export interface JoinSignature {
  readonly publicKey: PublicKey;
  readonly signature: Signature;
}

export interface JoinDocument {
  readonly chain: ChainContext;
  readonly issuedAtMs: number;
  readonly validUntilMs: number;
  readonly sites: readonly Site[];
  /** The source of the genesis; null when it is too large, and asked from the nodes of the document. */
  readonly genesis: Json | null;
  readonly signatures: readonly JoinSignature[];
}

export interface JoinSigners {
  readonly names: readonly string[];
  /** Of those who signed. */
  readonly power: number;
  /** All validators of the genesis. */
  readonly set: ValidatorSet;
}

/** `form` of the document, `signature` that does not hold, too little power (`quorum`), or not now (`early`, `expired`). */
export type JoinFault = 'form' | 'signature' | 'quorum' | 'early' | 'expired';

const SITE_NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
const PEER = /^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/[^/\s]+(?:\/[^/\s]+)*\/p2p\/[1-9A-HJ-NP-Za-km-z]+$/;

export function isSiteName(name: string): boolean {
  return SITE_NAME.test(name);
}

/** A multiaddr that ends in a peer id. */
export function isPeerAddress(text: string): boolean {
  return isAddressText(text) && PEER.test(text);
}

/** An http or https URL without password, query and fragment, written as the URL standard has it, without a slash at the end. */
export function isRpcUrl(text: string): boolean {
  if (!isAddressText(text) || !/^https?:\/\//.test(text) || !URL.canParse(text)) return false;
  const { href, username, password, search, hash } = new URL(text);
  return href.replace(/\/$/, '') === text && `${username}${password}${search}${hash}` === '';
}

function isAddressText(text: string): boolean {
  return text.length <= MAX_JOIN_ADDRESS_CHARACTERS && /^[\x21-\x7e]+$/.test(text);
}

/** @throws NodeError BAD_JOIN_DOCUMENT, `data.reason` "form" */
export function checkJoinDocument({ issuedAtMs, validUntilMs, sites, signatures }: JoinDocument): void {
  const validityMs = validUntilMs - issuedAtMs;
  if (!(validityMs > 0 && validityMs <= MAX_JOIN_VALIDITY_MS)) throw fault('form', 'its dates are out of order');
  const peers = sites.flatMap((site) => site.peers);
  const urls = sites.flatMap((site) => site.rpc);
  if (sites.length > MAX_SITES || peers.length > MAX_JOIN_PEERS || urls.length > MAX_JOIN_RPC_URLS) {
    throw fault('form', 'it names more sites, peers or URLs than a document may');
  }
  const names = sites.map(({ name }) => name);
  if (!names.every(isSiteName) || new Set(names).size !== names.length) {
    throw fault('form', 'the names of its sites are not different ones of a-z, 0-9 and "-"');
  }
  if (peers.length === 0) throw fault('form', 'it names no peer');
  if (!peers.every(isPeerAddress)) throw fault('form', 'a peer in it is no multiaddr that ends in /p2p/<peer id>');
  if (!urls.every(isRpcUrl)) throw fault('form', 'an RPC address in it is no plain http or https URL');
  const keys = new Set(signatures.map(({ publicKey }) => bytesKey(publicKey)));
  if (signatures.length > MAX_VALIDATORS || keys.size !== signatures.length) {
    throw fault('form', 'it holds too many signatures, or two of one key');
  }
}

/** @throws NodeError BAD_JOIN_DOCUMENT, `data.reason` "form" */
export function joinDocumentSignBytes(document: JoinDocument): Uint8Array {
  checkJoinDocument(document);
  const { chain, issuedAtMs, validUntilMs, sites } = document;
  const writer = signBytesWriter('join-document', chain, 1024).u64(issuedAtMs).u64(validUntilMs).u8(sites.length);
  for (const { name, peers, rpc } of sites) {
    writer.ascii8(name).u8(peers.length);
    for (const peer of peers) writer.ascii8(peer);
    writer.u8(rpc.length);
    for (const url of rpc) writer.ascii8(url);
  }
  return writer.finish();
}

/** The document with one signature more, or with this key's anew. @throws NodeError BAD_JOIN_DOCUMENT */
export function signJoinDocument(document: JoinDocument, signer: Signer): JoinDocument {
  const signature = signer.sign(joinDocumentSignBytes(document));
  const others = document.signatures.filter(({ publicKey }) => !equalBytes(publicKey, signer.publicKey));
  return { ...document, signatures: [...others, { publicKey: signer.publicKey, signature }] };
}

/**
 * Who of the genesis' validators signed the document, every signature verified.
 *
 * @throws NodeError BAD_JOIN_DOCUMENT for a form or signature that does not hold; WRONG_GENESIS
 */
export function joinDocumentSigners(crypto: Crypto, genesis: Genesis, document: JoinDocument): JoinSigners {
  const { chainId, genesisHash } = genesis.chain;
  if (document.chain.chainId !== chainId || !equalBytes(document.chain.genesisHash, genesisHash)) {
    throw new NodeError('WRONG_GENESIS', 'the join document is for another genesis', {
      data: { expected: toHex(genesisHash), found: toHex(document.chain.genesisHash) },
      hint: 'ask for the document of this network',
    });
  }
  const bytes = joinDocumentSignBytes(document);
  const set = genesisHead(crypto, genesis).nextValidators;
  const signers = document.signatures.map(({ publicKey, signature }) => {
    const validator = findValidator(set, publicKey);
    if (!validator) throw fault('signature', 'it is signed by a key that is no validator of its genesis');
    if (crypto.verify(bytes, signature, publicKey)) return validator;
    throw fault('signature', `the signature of ${validator.name} does not hold: something in it was changed`);
  });
  return {
    names: signers.map(({ name }) => name),
    power: signers.reduce((sum, { power }) => sum + power, 0),
    set,
  };
}

/**
 * Whether a document may be relied on: signed by 3·power >= 2·total of the genesis, and at this time.
 *
 * @throws NodeError BAD_JOIN_DOCUMENT, `data.reason` being a {@link JoinFault}; WRONG_GENESIS
 */
export function verifyJoinDocument(
  crypto: Crypto,
  genesis: Genesis,
  document: JoinDocument,
  nowMs: number,
): JoinSigners {
  const signers = joinDocumentSigners(crypto, genesis, document);
  const { power, set } = signers;
  if (!hasQuorum(set, power)) {
    throw fault(
      'quorum',
      `it is signed by ${power} of ${set.totalPower} of the power, and two thirds are needed`,
      { power, totalPower: set.totalPower },
      'have more of the validators sign it: aitbc network sign FILE',
    );
  }
  const { issuedAtMs, validUntilMs } = document;
  if (validUntilMs <= nowMs) {
    throw fault('expired', 'it has expired', { validUntilMs }, 'ask the operators of the network for a new one');
  }
  if (issuedAtMs > nowMs + MAX_JOIN_CLOCK_DRIFT_MS) {
    throw fault(
      'early',
      'it was issued in the future',
      { issuedAtMs },
      'set the clock of this machine, then try again',
    );
  }
  return signers;
}

function fault(reason: JoinFault, why: string, data: ErrorData = {}, hint?: string): NodeError {
  return new NodeError('BAD_JOIN_DOCUMENT', `the join document cannot be relied on: ${why}`, {
    data: { reason, ...data },
    hint: hint ?? 'take it again from the operators of the network, and compare the hash of the genesis with theirs',
  });
}
