/**
 * Which Host a request may name. A page of a stranger can point its own name at 127.0.0.1 (DNS rebinding) and then read
 * what a local server answers; it cannot make a browser send another name than its own.
 */
import { isIP } from 'node:net';

/** Addresses pass: to rebind, a name is needed. */
export function isAllowedHost(header: string | undefined, names: ReadonlySet<string>): boolean {
  const host = hostOf(header ?? '');
  return isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost') || names.has(host);
}

function hostOf(header: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+))(?::\d{1,5})?$/.exec(header);
  return (match?.[1] ?? match?.[2] ?? '').toLowerCase();
}
