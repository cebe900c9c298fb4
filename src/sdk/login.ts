/**
 * Login by signature, in the shape of EIP-4361: a text that names the site, the account, the chain, a nonce of the site
 * and an expiry, so that what is signed for one site, chain or moment logs in at no other. Its sign bytes are a kind of their
 * own. The site makes the nonce, keeps it by an id of its own (never by account), and takes it once.
 */
import type { PublicKey, Signature } from '../bytes.ts';
import { toHex, utf8 } from '../bytes.ts';
import { addressOf, formatAddress, parseAddress } from '../chain/address.ts';
import type { Crypto, Hasher, Signer } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { signBytesWriter } from '../chain/signing.ts';
import { NodeError } from '../errors.ts';

export const MAX_LOGIN_CHARACTERS = 2048;
/** Between issue and expiry. */
export const MAX_LOGIN_LIFETIME_MS = 3_600_000;
/** How far the clocks of site and account may differ. */
const MAX_CLOCK_DRIFT_MS = 60_000;

export interface LoginRequest {
  /** Host, with port when it is not the usual one. */
  readonly domain: string;
  readonly address: string;
  /** One line for people; empty for none. */
  readonly statement: string;
  /** What is logged in to; of the same domain. */
  readonly uri: string;
  readonly chainId: string;
  /** 8 to 64 letters and digits. */
  readonly nonce: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

export interface SignedLogin {
  readonly text: string;
  readonly publicKey: PublicKey;
  readonly signature: Signature;
}

/** What a site holds a login against. */
export interface LoginExpectation {
  readonly crypto: Crypto;
  readonly chain: ChainContext;
  readonly domain: string;
  readonly nonce: string;
  readonly nowMs: number;
}

export type LoginFault = 'form' | 'domain' | 'nonce' | 'chain' | 'address' | 'expired' | 'early' | 'signature';

/** 128 bits. */
export function loginNonce(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

/** @throws NodeError UNAUTHENTICATED, `data.reason` "form", when a value has not its form */
export function formatLogin(request: LoginRequest): string {
  checkForm(request);
  const { domain, address, statement, uri, chainId, nonce, issuedAtMs, expiresAtMs } = request;
  return [
    `${domain} wants you to sign in with your AITBC account:`,
    address,
    '',
    ...(statement === '' ? [] : [statement, '']),
    `URI: ${uri}`,
    'Version: 1',
    `Chain ID: ${chainId}`,
    `Nonce: ${nonce}`,
    `Issued At: ${new Date(issuedAtMs).toISOString()}`,
    `Expiration Time: ${new Date(expiresAtMs).toISOString()}`,
  ].join('\n');
}

const TEXT = new RegExp(
  [
    '^(?<domain>[^ \\n]+) wants you to sign in with your AITBC account:',
    '(?<address>[^\\n]+)',
    '',
    '(?:(?<statement>[^\\n]+)\\n\\nURI|URI): (?<uri>[^\\n]+)',
    'Version: 1',
    'Chain ID: (?<chainId>[^\\n]+)',
    'Nonce: (?<nonce>[^\\n]+)',
    'Issued At: (?<issuedAt>[^\\n]+)',
    'Expiration Time: (?<expiresAt>[^\\n]+)$',
  ].join('\\n'),
);

/** Takes the one form that {@link formatLogin} writes. @throws NodeError UNAUTHENTICATED, `data.reason` "form" */
export function parseLogin(text: string): LoginRequest {
  if (text.length > MAX_LOGIN_CHARACTERS) throw fault('form', 'the text is too long to be a login');
  const groups = TEXT.exec(text)?.groups;
  if (!groups) throw fault('form', 'the text is not a login in the form of EIP-4361');
  const { domain = '', address = '', statement = '', uri = '', chainId = '', nonce = '' } = groups;
  const [issuedAtMs, expiresAtMs] = [Date.parse(groups['issuedAt'] ?? ''), Date.parse(groups['expiresAt'] ?? '')];
  const request = { domain, address, statement, uri, chainId, nonce, issuedAtMs, expiresAtMs };
  if (formatLogin(request) !== text) throw fault('form', 'the text is not a login in its one form');
  return request;
}

/** What the account's side checks before it signs. @throws NodeError UNAUTHENTICATED */
export function signLogin(
  hasher: Hasher,
  chain: ChainContext,
  signer: Signer,
  text: string,
  nowMs: number,
): SignedLogin {
  const request = parseLogin(text);
  checkAccount(hasher, chain, request, signer.publicKey);
  checkTime(request, nowMs);
  return { text, publicKey: signer.publicKey, signature: signer.sign(loginSignBytes(chain, text)) };
}

/** @throws NodeError UNAUTHENTICATED, `data.reason` being a {@link LoginFault} @returns who logs in to what */
export function verifyLogin(login: SignedLogin, expected: LoginExpectation): LoginRequest {
  const { crypto, chain, domain, nonce, nowMs } = expected;
  const request = parseLogin(login.text);
  if (request.domain !== domain) throw fault('domain', `the login is for ${request.domain}, not for ${domain}`);
  if (request.nonce !== nonce) throw fault('nonce', 'the login has another nonce than the one asked for');
  checkAccount(crypto, chain, request, login.publicKey);
  checkTime(request, nowMs);
  if (crypto.verify(loginSignBytes(chain, login.text), login.signature, login.publicKey)) return request;
  throw fault('signature', 'the signature of the login does not verify');
}

function checkForm(request: LoginRequest): void {
  const { domain, address, statement, uri, chainId, nonce, issuedAtMs, expiresAtMs } = request;
  if (!isDomain(domain)) throw fault('form', 'the domain is not a host, with or without a port');
  if (!URL.canParse(uri) || new URL(uri).host !== domain || !/^[\x21-\x7e]+$/.test(uri)) {
    throw fault('form', 'the URI is not one of the domain');
  }
  if (!isAddress(address)) throw fault('form', 'the address is none, or not in lower case');
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(statement) || statement.trim() !== statement) {
    throw fault('form', 'the statement is not one line of plain text');
  }
  if (!/^[a-z0-9][a-z0-9-]{2,31}$/.test(chainId)) throw fault('form', 'the chain id is none');
  if (!/^[A-Za-z0-9]{8,64}$/.test(nonce)) throw fault('form', 'the nonce is not 8 to 64 letters and digits');
  const lifetimeMs = expiresAtMs - issuedAtMs;
  if (!(Math.abs(issuedAtMs) < 2 ** 50 && lifetimeMs > 0 && lifetimeMs <= MAX_LOGIN_LIFETIME_MS)) {
    throw fault('form', `a login expires after its issue, by ${MAX_LOGIN_LIFETIME_MS / 60_000} minutes at most`);
  }
}

/** A host as URLs write it, so that no two spellings look alike. */
function isDomain(domain: string): boolean {
  const url = `https://${domain}`;
  return URL.canParse(url) && (new URL(url).host === domain || new URL(`http://${domain}`).host === domain);
}

function isAddress(text: string): boolean {
  try {
    return formatAddress(parseAddress(text)) === text;
  } catch {
    return false;
  }
}

function checkAccount(hasher: Hasher, chain: ChainContext, { chainId, address }: LoginRequest, key: PublicKey): void {
  if (chainId !== chain.chainId) throw fault('chain', `the login is for ${chainId}, not for ${chain.chainId}`);
  const own = formatAddress(addressOf(hasher, key));
  if (own !== address) throw fault('address', `the login is for ${address}, and the key is of ${own}`);
}

function checkTime({ issuedAtMs, expiresAtMs }: LoginRequest, nowMs: number): void {
  if (nowMs >= expiresAtMs) throw fault('expired', `the login expired at ${new Date(expiresAtMs).toISOString()}`);
  if (nowMs + MAX_CLOCK_DRIFT_MS < issuedAtMs) throw fault('early', 'the login was issued in the future');
}

function loginSignBytes(chain: ChainContext, text: string): Uint8Array {
  const bytes = utf8(text);
  return signBytesWriter('login', chain, 128 + bytes.length)
    .bytes32(bytes)
    .finish();
}

function fault(reason: LoginFault, message: string): NodeError {
  return new NodeError('UNAUTHENTICATED', message, { data: { reason }, hint: 'ask the site for a new login text' });
}
