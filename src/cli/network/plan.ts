/** The validators of a new network and where they stand, from options or from a file of sites. */
import { isIP } from 'node:net';
import { isRpcUrl, isSiteName, MAX_JOIN_PEERS } from '../../chain/join-document.ts';
import { checkKeys, jsonArray, jsonInteger, jsonObject, jsonString } from '../../chain/json.ts';
import type { Json } from '../../chain/modules/types.ts';
import { isNodeError, NodeError } from '../../errors.ts';

/** The layout without any option: survives the loss of any one site. */
export const DEFAULT_LAYOUT = 'at1=1,aitbc1=1,ns3=1';
/** As many as a join document has room for: each is a peer in it. */
export const MAX_NODES = MAX_JOIN_PEERS;
export const MAX_SITES_FILE_BYTES = 64 * 1024;

/** Ports of the first node of a site; each further one has those ten higher. */
const PORTS = { p2p: 8005, rpc: 8006, metrics: 9464 };
const STRIDE = 10;

export interface SitePlan {
  readonly name: string;
  readonly validators: number;
  /** Host name or address, with or without a port; the name of the site when absent. */
  readonly host?: string;
  /** Under which its nodes are asked over HTTP. */
  readonly rpc: readonly string[];
}

export interface NodePlan {
  /** e.g. at1-1 */
  readonly name: string;
  readonly site: string;
  /** Multiaddr without peer id. */
  readonly address: string;
  readonly ports: { readonly p2p: number; readonly rpc: number; readonly metrics: number };
}

/** `at1=1,aitbc1=1,ns3=1` @throws NodeError USAGE */
export function parseLayout(text: string): SitePlan[] {
  const sites = text.split(',').map((part) => {
    const [, name = '', count = ''] = /^([^=]+)=(\d{1,3})$/.exec(part.trim()) ?? [];
    return { name, validators: Number(count), rpc: [] };
  });
  return checkedSites(sites, 'name each site with its number of validators, as in --validators at1=1,aitbc1=1,ns3=1');
}

/** `{sites:[{name,host?,validators?,rpc?}],links?}` @throws NodeError USAGE */
export function parseSitesFile(text: string, path: string): SitePlan[] {
  const hint = 'testnet/sites.json shows the form: {"sites":[{"name":"at1","host":"at1.aitbc.example"}]}';
  try {
    const json = jsonObject(JSON.parse(text) as Json, 'sites file');
    // How far they are apart matters to local clusters only.
    checkKeys(json, ['sites'], ['links']);
    const sites = jsonArray(json['sites'], 'sites').map((item, i) => {
      const entry = jsonObject(item, `sites/${i}`);
      checkKeys(entry, ['name'], ['host', 'validators', 'rpc']);
      const { host, validators = 1, rpc = [] } = entry;
      return {
        name: jsonString(entry['name'], 'name'),
        validators: jsonInteger(validators, 'validators', MAX_NODES),
        ...(host !== undefined && { host: jsonString(host, 'host') }),
        rpc: jsonArray(rpc, 'rpc').map((url) => jsonString(url, 'rpc')),
      };
    });
    return checkedSites(sites, hint);
  } catch (error) {
    if (isNodeError(error) && error.code === 'USAGE') throw error;
    throw new NodeError('USAGE', `${path} is no file of sites: ${isNodeError(error) ? error.message : 'not JSON'}`, {
      hint,
      cause: error,
    });
  }
}

/** @param urls `at1=https://at1.example`, each a site with a URL of its nodes @throws NodeError USAGE */
export function withRpcUrls(sites: readonly SitePlan[], urls: readonly string[]): SitePlan[] {
  const given = urls.map((text) => splitNamed(text, '--rpc-url'));
  const stray = given.find(({ name }) => !sites.some((site) => site.name === name));
  if (stray) throw new NodeError('USAGE', `--rpc-url names ${stray.name}, which is none of the sites`);
  const planned = sites.map((site) => {
    const own = given.flatMap(({ name, value }) => (name === site.name ? [value.replace(/\/$/, '')] : []));
    return { ...site, rpc: [...site.rpc, ...own] };
  });
  const wrong = planned.flatMap(({ rpc }) => rpc).find((url) => !isRpcUrl(url));
  if (wrong === undefined) return planned;
  throw new NodeError('USAGE', `${wrong} is no plain http or https URL`, {
    hint: 'e.g. --rpc-url at1=https://at1.example',
  });
}

/** @param hosts `at1=HOST[:PORT]`, of a site or of one node of it @throws NodeError USAGE */
export function planNodes(sites: readonly SitePlan[], hosts: readonly string[]): NodePlan[] {
  const given = new Map(hosts.map((text) => splitNamed(text, '--host')).map(({ name, value }) => [name, value]));
  const nodes = sites.flatMap(({ name: site, validators, host = site }) =>
    Array.from({ length: validators }, (_, i): NodePlan => {
      const name = `${site}-${i + 1}`;
      const own = given.get(name);
      const { host: at, port } = splitHost(own ?? given.get(site) ?? host);
      const shift = STRIDE * i;
      const p2p = own === undefined || port === null ? (port ?? PORTS.p2p) + shift : port;
      const ports = { p2p, rpc: PORTS.rpc + shift, metrics: PORTS.metrics + shift };
      return { name, site, address: `${hostMultiaddr(at)}/tcp/${p2p}`, ports };
    }),
  );
  const known = new Set([...sites.map(({ name }) => name), ...nodes.map(({ name }) => name)]);
  const stray = [...given.keys()].find((name) => !known.has(name));
  if (stray !== undefined) throw new NodeError('USAGE', `--host names ${stray}, which is no site and no node of one`);
  const addresses = nodes.map(({ address }) => address);
  const twice = addresses.find((address, i) => addresses.indexOf(address) !== i);
  if (twice !== undefined) throw new NodeError('USAGE', `two nodes have the address ${twice}`);
  return nodes;
}

/** `HOST[:PORT]` as a multiaddr without peer id. @throws NodeError USAGE */
export function multiaddrOf(text: string): string {
  const { host, port } = splitHost(text);
  return `${hostMultiaddr(host)}/tcp/${port ?? PORTS.p2p}`;
}

function checkedSites(sites: readonly SitePlan[], hint: string): SitePlan[] {
  const names = sites.map(({ name }) => name);
  const count = sites.reduce((all, { validators }) => all + validators, 0);
  const wrong =
    names.length === 0 || !names.every((name) => isSiteName(name) && name.length <= 28)
      ? 'a site has a name of 1 to 28 characters of a-z, 0-9 and "-"'
      : new Set(names).size !== names.length
        ? 'a site is named twice'
        : sites.some(({ validators }) => validators === 0) || count > MAX_NODES
          ? `a network has 1 to ${MAX_NODES} validators, and each site at least one`
          : null;
  if (wrong === null) return [...sites];
  throw new NodeError('USAGE', wrong, { hint });
}

function splitNamed(text: string, option: string): { name: string; value: string } {
  const [, name, value] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return { name, value };
  throw new NodeError('USAGE', `${option} takes NAME=VALUE`, { hint: `e.g. ${option} at1=at1.example` });
}

function splitHost(text: string): { host: string; port: number | null } {
  const [, six, plain, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = six ?? plain;
  const number = port === undefined ? null : Number(port);
  if (host !== undefined && (number === null || (number > 0 && number <= 65_535))) return { host, port: number };
  throw new NodeError('USAGE', `${text} is no HOST or HOST:PORT`, {
    hint: 'a name such as at1.example:8005, or an address; IPv6 in brackets',
  });
}

function hostMultiaddr(host: string): string {
  const version = isIP(host);
  if (version !== 0) return `/ip${version}/${host}`;
  if (/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(host)) return `/dns/${host}`;
  throw new NodeError('USAGE', `${host} is no host name and no address`);
}
