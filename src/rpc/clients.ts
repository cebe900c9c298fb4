/**
 * Who asks. A client is an address, or for IPv6 the 64 bits that one household has; behind a proxy that the operator
 * named, the address the proxy tells. Programs of this machine are not limited: whoever runs one can do worse.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';

export interface Client {
  /** Equal for the same client; never shown, logged or used as a label. */
  readonly key: string;
  /** A program of this machine: no limit for each client holds for it. */
  readonly isLocal: boolean;
  /** Of the API key it asks with, wherever that is used from. */
  readonly quota?: { readonly id: string; readonly perMinute: number };
}

/** What is known of who asks. */
export interface Asker {
  /** As the socket has it, or as a trusted proxy tells it; undefined when the socket is gone already. */
  readonly address: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** The address is told by a proxy that the operator named. */
  readonly isRelayed?: boolean;
}

/** Nobody on this machine sends these by itself: a proxy does, for others. */
const OF_PROXIES = ['forwarded', 'x-forwarded-for', 'x-real-ip'] as const;

/** Everyone behind a proxy on this machine that the configuration does not name: they cannot be told apart. */
export const UNNAMED_PROXY: Client = { key: 'proxy', isLocal: false };
const LOCAL: Client = { key: 'local', isLocal: true };

export function clientOf({ address = '', headers, isRelayed = false }: Asker): Client {
  if (isRelayed || !isLoopback(address)) return { key: addressKey(address), isLocal: false };
  return OF_PROXIES.some((name) => headers[name] !== undefined) ? UNNAMED_PROXY : LOCAL;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

export function isLoopback(address: string): boolean {
  const { family, text } = plainAddress(address);
  return family !== 0 && loopback.check(text, family === 4 ? 'ipv4' : 'ipv6');
}

/** An IPv4 address, the first four groups of an IPv6 one; what is neither is one client. */
export function addressKey(address: string): string {
  const { family, text } = plainAddress(address);
  if (family === 4) return text;
  if (family === 0) return 'unknown';
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
  const all = [...front, ...Array.from({ length: zeros }, () => '0'), ...back];
  return all.slice(0, 4).join(':');
}

/** One spelling for each address: zones and the IPv6 form of IPv4 are gone. */
function plainAddress(address: string): { readonly family: 0 | 4 | 6; readonly text: string } {
  const bare = address.replace(/%.*$/, '');
  if (isIP(bare) === 4) return { family: 4, text: bare };
  if (isIP(bare) !== 6) return { family: 0, text: '' };
  // As the URL standard writes it: lower case, shortest form, no dots.
  const text = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text);
  if (!mapped) return { family: 6, text };
  const [high, low] = [mapped[1], mapped[2]].map((group) => parseInt(group ?? '', 16)) as [number, number];
  return { family: 4, text: [high >> 8, high & 255, low >> 8, low & 255].join('.') };
}

/** Counts what each client holds open, and remembers nobody who holds nothing. */
export class OpenCounts {
  readonly #counts = new Map<string, number>();
  readonly #limit: number;

  /** @param limit for each client */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Clients that hold something. */
  get size(): number {
    return this.#counts.size;
  }

  hasRoom({ key, isLocal }: Client): boolean {
    return isLocal || (this.#counts.get(key) ?? 0) < this.#limit;
  }

  open({ key }: Client): void {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  close({ key }: Client): void {
    const left = (this.#counts.get(key) ?? 0) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}
