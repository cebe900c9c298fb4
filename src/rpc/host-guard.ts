/**
 * Which Host a request may name. A page of a stranger can point its own name at 127.0.0.1 (DNS rebinding) and then read
 * what a local server answers; it cannot make a browser send another name than its own.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { NodeError } from '../errors.ts';

/** Addresses pass: to rebind, a name is needed. */
export function isAllowedHost(header: string | undefined, names: ReadonlySet<string>): boolean {
  const host = hostOf(header ?? '');
  return isIP(host) !== 0 || host === 'localhost' || host.endsWith('.localhost') || names.has(host);
}

/** Whose pages may ask. */
export interface PageOrigins {
  /** Host names of this server besides loopback ones. */
  readonly names: ReadonlySet<string>;
  /** Other origins as browsers write them, or `*` for all. */
  readonly others: ReadonlySet<string>;
}

/**
 * Which page may open a live connection: one of this server, or of the origins that may read its answers. WebSockets know
 * no same-origin rule, so that without this a page of a stranger could read what a local server tells.
 *
 * @param origin undefined when no page asks
 * @param host of the same request, allowed already
 */
function isAllowedOrigin(
  origin: string | undefined,
  host: string | undefined,
  { names, others }: PageOrigins,
): boolean {
  if (origin === undefined || others.has('*') || others.has(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  // A proxy may put another name in the Host header than the one the page has.
  return url.host === (host ?? '').toLowerCase() || names.has(url.hostname);
}

/** @throws NodeError FORBIDDEN unless `isAllowedOrigin` */
export function requireAllowedOrigin({ origin, host }: IncomingHttpHeaders, pages: PageOrigins): void {
  if (isAllowedOrigin(origin, host, pages)) return;
  throw new NodeError('FORBIDDEN', 'pages of other origins may not listen to this node', {
    data: { origin: (origin ?? '').slice(0, 100) },
    hint: 'serve the page from the address of the node, or add its origin to rpc.cors_origins of config.toml',
  });
}

function hostOf(header: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+))(?::\d{1,5})?$/.exec(header);
  return (match?.[1] ?? match?.[2] ?? '').toLowerCase();
}
