/**
 * Logins by signature (src/sdk/login.ts), from this side: a nonce to sign, and a session for who signed it. A nonce says
 * by itself what it is for and until when, under a key of this process, so that asking for many costs no memory and voids
 * nobody's; only those that were used are remembered, until they would have expired.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Crypto } from '../../chain/crypto/types.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { SignedLogin } from '../../sdk/login.ts';
import { formatLogin, parseLogin, verifyLogin } from '../../sdk/login.ts';
import { newKey } from './key-text.ts';
import type { SessionPrincipal } from './principal.ts';

export const NONCE_MS = 300_000;
export const SESSION_MS = 86_400_000;
const DEFAULT_LIMITS: LoginLimits = { sessions: 10_000, accountSessions: 10, usedNonces: 50_000 };

const RANDOM_BYTES = 8;
const TIME_BYTES = 6;
const MAC_BYTES = 16;
const NONCE_FORM = new RegExp(`^[0-9a-f]{${(RANDOM_BYTES + TIME_BYTES + MAC_BYTES) * 2}}$`);

export interface LoginLimits {
  /** Beyond, the one that was not used for longest ends. */
  readonly sessions: number;
  /** Of one account; likewise. */
  readonly accountSessions: number;
  /** Logins of 300 s; beyond, nobody logs in for a while. */
  readonly usedNonces: number;
}

/** What a login is for. */
export interface LoginPlace {
  /** Host of the request that asked for the nonce. */
  readonly domain: string;
  readonly chainId: string;
  readonly address: string;
}

export interface Session {
  readonly hash: string;
  readonly expiresAtMs: number;
  readonly principal: SessionPrincipal;
}

export class Logins {
  readonly #clock: Clock;
  readonly #limits: LoginLimits;
  readonly #macKey = randomBytes(32);
  /** With the time after which they would not be taken anyway, in the order of their use. */
  readonly #used = new Map<string, number>();
  /** Used last comes last. */
  readonly #sessions = new Map<string, Session>();

  constructor(clock: Clock, limits = DEFAULT_LIMITS) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** @returns the text to be signed, and the nonce in it @throws NodeError UNAUTHENTICATED for a place that has not its form */
  challenge(place: LoginPlace): { readonly nonce: string; readonly text: string; readonly expiresAtMs: number } {
    const issuedAtMs = this.#clock.now();
    const expiresAtMs = issuedAtMs + NONCE_MS;
    const head = Buffer.alloc(RANDOM_BYTES + TIME_BYTES);
    randomBytes(RANDOM_BYTES).copy(head);
    head.writeUIntBE(expiresAtMs, RANDOM_BYTES, TIME_BYTES);
    const nonce = head.toString('hex') + this.#mac(head, place).toString('hex');
    const statement = 'Log in to this node.';
    const text = formatLogin({ ...place, statement, uri: uriOf(place.domain), nonce, issuedAtMs, expiresAtMs });
    return { nonce, text, expiresAtMs };
  }

  /** @throws NodeError UNAUTHENTICATED with `data.reason` | RATE_LIMITED */
  logIn(
    login: SignedLogin,
    { crypto, chain }: { readonly crypto: Crypto; readonly chain: ChainContext },
  ): { readonly token: string; readonly session: Session } {
    const nowMs = this.#clock.now();
    const { nonce, domain, address, chainId } = parseLogin(login.text);
    this.#takeNonce(nonce, { domain, address, chainId }, nowMs);
    verifyLogin(login, { crypto, chain, domain, nonce, nowMs });
    this.#used.set(nonce, nowMs + NONCE_MS);
    return this.#open(address, chainId, nowMs);
  }

  /** Null when it never was, or is over. */
  find(id: string): Session | null {
    const session = this.#sessions.get(id);
    if (!session) return null;
    this.#sessions.delete(id);
    if (this.#clock.now() >= session.expiresAtMs) return null;
    this.#sessions.set(id, session);
    return session;
  }

  has(id: string): boolean {
    return (this.#sessions.get(id)?.expiresAtMs ?? 0) > this.#clock.now();
  }

  end(id: string): void {
    this.#sessions.delete(id);
  }

  #open(address: string, chainId: string, nowMs: number): { token: string; session: Session } {
    const { id, text, hash } = newKey('s');
    const scopes = ['read', 'submit', 'jobs'] as const;
    const principal: SessionPrincipal = { kind: 'session', id, address, chainId, scopes };
    const session = { hash, expiresAtMs: nowMs + SESSION_MS, principal };
    const { sessions: most, accountSessions } = this.#limits;
    const own = [...this.#sessions].filter(([, held]) => held.principal.address === address);
    const inTheWay = own.length >= accountSessions ? own : this.#sessions.size >= most ? this.#sessions : [];
    for (const [oldest] of inTheWay) {
      this.#sessions.delete(oldest);
      break;
    }
    this.#sessions.set(id, session);
    return { token: text, session };
  }

  /** One of ours, for this place, in time, and not used. */
  #takeNonce(nonce: string, place: LoginPlace, nowMs: number): void {
    const bytes = NONCE_FORM.test(nonce)
      ? Buffer.from(nonce, 'hex')
      : Buffer.alloc(RANDOM_BYTES + TIME_BYTES + MAC_BYTES);
    const head = bytes.subarray(0, RANDOM_BYTES + TIME_BYTES);
    const isOurs = timingSafeEqual(bytes.subarray(head.length), this.#mac(head, place));
    const isInTime = nowMs < head.readUIntBE(RANDOM_BYTES, TIME_BYTES);
    for (const [used, untilMs] of this.#used) {
      if (untilMs > nowMs) break;
      this.#used.delete(used);
    }
    if (!isOurs || !isInTime || this.#used.has(nonce)) {
      throw new NodeError('UNAUTHENTICATED', 'the nonce of this login is not one of ours, is too old, or was used', {
        data: { reason: 'nonce' },
        hint: 'ask for another one: POST /v1/auth/nonce',
      });
    }
    if (this.#used.size < this.#limits.usedNonces) return;
    throw new NodeError('RATE_LIMITED', 'too many log in at this moment', {
      data: { retry_after_s: 60 },
      hint: 'try again in a minute',
    });
  }

  #mac(head: Buffer, { domain, address, chainId }: LoginPlace): Buffer {
    const mac = createHmac('sha256', this.#macKey)
      .update(head)
      .update(JSON.stringify([domain, address, chainId]));
    return mac.digest().subarray(0, MAC_BYTES);
  }
}

/** Of the scheme whose usual port is not written out in the domain. */
function uriOf(domain: string): string {
  return new URL(`http://${domain}`).host === domain ? `http://${domain}/` : `https://${domain}/`;
}
