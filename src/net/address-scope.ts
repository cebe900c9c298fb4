/** How near an address is, and which of those that others tell may be dialled. */
import { BlockList } from 'node:net';
import type { Multiaddr } from '@multiformats/multiaddr';
import { multiaddr } from '@multiformats/multiaddr';
import type { AddressScope, PeerId } from '../../protocols/network.ts';
import { isCircuit } from './addresses.ts';
import { ipOf } from './gater.ts';

/** From near to far. */
const SCOPES: readonly AddressScope[] = ['loopback', 'private', 'public'];

export function nearer(some: AddressScope, other: AddressScope): AddressScope {
  return SCOPES.indexOf(some) < SCOPES.indexOf(other) ? some : other;
}

type Family = 'ipv4' | 'ipv6';
const list = (...networks: readonly (readonly [address: string, bits: number, family: Family])[]): BlockList => {
  const made = new BlockList();
  for (const network of networks) made.addSubnet(...network);
  return made;
};

const LOOPBACK = list(['127.0.0.0', 8, 'ipv4'], ['::1', 128, 'ipv6']);
const PRIVATE = list(
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
);
/** Of one link, of several receivers, of no host, or another address in disguise. */
const NOWHERE = list(
  ['0.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
  ['64:ff9b::', 32, 'ipv6'],
  ['2001::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
);

/** @returns null for names, for addresses through a relay, and for those that lead nowhere */
export function scopeOf(address: Multiaddr): AddressScope | null {
  return isCircuit(address) ? null : scopeOfFirst(address);
}

/** Of a relay's own part, where the address leads through one. */
function scopeOfFirst(address: Multiaddr): AddressScope | null {
  const ip = ipOf(address);
  if (ip === '') return null;
  const family: Family = ip.includes(':') ? 'ipv6' : 'ipv4';
  if (LOOPBACK.check(ip, family)) return 'loopback';
  if (NOWHERE.check(ip, family)) return null;
  return PRIVATE.check(ip, family) ? 'private' : 'public';
}

/**
 * Those of a peer's addresses that are an IP address and TCP port, of the peer or of a relay to it, and no nearer than
 * where they were told.
 */
export function reachable(peer: PeerId, addresses: readonly string[], toldIn: AddressScope): Multiaddr[] {
  return addresses.flatMap((text) => {
    const address = parsed(text);
    if (!address) return [];
    const components = address.getComponents();
    const names = components.map(({ name }) => name);
    if (!FORMS.has(names.join('/').replace(/^ip[46]/, 'ip'))) return [];
    const isWhole = names.at(-1) === 'p2p';
    if (isWhole && components.at(-1)?.value !== peer) return [];
    const scope = scopeOfFirst(address);
    if (scope === null || SCOPES.indexOf(scope) < SCOPES.indexOf(toldIn)) return [];
    const whole = isWhole ? address : parsed(`${text}/p2p/${peer}`);
    return whole ? [whole] : [];
  });
}

const FORMS: ReadonlySet<string> = new Set([
  'ip/tcp',
  'ip/tcp/p2p',
  'ip/tcp/p2p/p2p-circuit',
  'ip/tcp/p2p/p2p-circuit/p2p',
]);

function parsed(text: string): Multiaddr | null {
  try {
    return multiaddr(text);
  } catch {
    return null;
  }
}
