/** What every command starts from: the global options, the home folder, and the node to talk to. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { NodeConfig } from '../config.ts';
import { loadConfig } from '../config.ts';
import { homeLayout, resolveHome } from '../config/home.ts';
import type { HomeLayout } from '../config/home.ts';
import { NodeError } from '../errors.ts';
import type { Client } from '../sdk/client.ts';
import { createClient } from '../sdk/client.ts';
import type { StatusResponse } from '../sdk/types.ts';
import { fetchOver } from './admin-socket.ts';
import type { LocalCluster } from './local-clusters.ts';
import { clusterRoots, localClusters } from './local-clusters.ts';
import type { Output } from './output.ts';
import { createOutput } from './output.ts';

const DEFAULT_CHAIN = 'ait-devnet';
const DEFAULT_RPC = 'http://127.0.0.1:8006';

export interface GlobalOptions {
  readonly home?: string;
  readonly chain?: string;
  readonly rpc?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly timeout?: number;
  readonly passwordFile?: string;
  readonly walletDir?: string;
  readonly apiKeyFile?: string;
  /** undefined: as the node asked is one's own or not. */
  readonly verify?: boolean;
  readonly trust?: string;
  readonly genesisHash?: string;
  readonly witness?: readonly string[];
}

export interface Context {
  readonly options: GlobalOptions;
  readonly out: Output;
  readonly home: string;
  /** For one request, and for the wait until a transaction is final. */
  readonly timeoutMs: number;
  /** Of the chain given here, else on the command line, else in config.toml, else the default one. */
  layout(chainId?: string): HomeLayout & { readonly chainId: string };
  /** For the chain of --chain, else the one given, else the default one of the node. */
  client(chainId?: string, requestMs?: number): Client;
  /** For the node asked; undefined when none is given. @throws NodeError KEY_FILE */
  apiKey(): string | undefined;
  /** What only the operator may do: over the admin socket of this home. */
  operator(): Client;
  /** Of this home, or on this machine: its answers are believed. */
  isOwnNode(): boolean;
  /** The local cluster whose node is asked; null when it is none of such. */
  cluster(): LocalCluster | null;
  /** Of the chain of --chain, else of the default one of the node. @throws NodeError UNKNOWN_CHAIN | CHAIN_STOPPED */
  status(): Promise<StatusResponse>;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const REQUEST_TIMEOUT_MS = 10_000;

export function createContext(command: Command): Context {
  return contextOf(command.optsWithGlobals<GlobalOptions>());
}

/** @param roots folders of local clusters */
export function contextOf(given: GlobalOptions, roots: readonly string[] = clusterRoots()): Context {
  const rpc = given.rpc ?? (process.env['AITBC_RPC'] || undefined);
  const options = rpc === undefined ? given : { ...given, rpc };
  const home = resolveHome(options.home, process.env);
  const timeoutMs = options.timeout ?? DEFAULT_TIMEOUT_MS;
  let found: string | undefined;
  /** That of --rpc, else AITBC_RPC, else of this home, else of a local cluster that runs, else the usual address. */
  const url = (): string => (found ??= rpc ?? rpcOfHome(home) ?? runningCluster() ?? DEFAULT_RPC);
  const runningCluster = (): string | undefined => {
    const { chain } = options;
    const [running] = localClusters(roots).filter(({ chainId }) => chain === undefined || chain === chainId);
    const [first] = running?.rpcs ?? [];
    if (first !== undefined)
      context.out.note(`asking ${first}, of the local cluster that runs; --rpc names another node`);
    return first;
  };
  const context: Context = {
    options,
    out: createOutput(options.json === true),
    home,
    timeoutMs,
    layout: (given) => {
      const chainId = given ?? options.chain ?? homeConfig(home)?.chains[0] ?? DEFAULT_CHAIN;
      const layout = homeLayout(home, chainId);
      return { ...layout, keystore: walletFolder(options.walletDir) ?? layout.keystore, chainId };
    },
    client: (given, requestMs = REQUEST_TIMEOUT_MS) => {
      const chainId = options.chain ?? given;
      const limits = { timeoutMs: Math.min(timeoutMs, requestMs) };
      const apiKey = context.apiKey();
      const key = apiKey === undefined ? {} : { apiKey };
      return createClient({ url: url(), ...limits, ...key, ...(chainId !== undefined && { chainId }) });
    },
    apiKey: () => readApiKey(options.apiKeyFile ?? process.env['AITBC_API_KEY_FILE']),
    operator: () => {
      const { socket = '' } = homeConfig(home)?.admin ?? {};
      const path = socket.startsWith('/') ? socket : homeLayout(home, DEFAULT_CHAIN).adminSocket;
      return createClient({ url: 'http://localhost', timeoutMs, fetch: fetchOver(path) });
    },
    cluster: () => localClusters(roots).find(({ rpcs }) => rpcs.includes(url())) ?? null,
    isOwnNode: () => options.rpc === undefined || isLoopback(options.rpc),
    status: () => context.client().status(),
  };
  return context;
}

/** @throws NodeError KEY_FILE */
function readApiKey(path: string | undefined): string | undefined {
  if (!path) return undefined;
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new NodeError('KEY_FILE', `cannot read the API key: ${code ?? 'unknown'}`, {
      data: { path },
      hint: 'give --api-key-file of a file that holds it',
      cause: error,
    });
  }
  if (/^aitbc_[a-z0-9]+_[0-9a-f]{64}$/.test(text)) return text;
  throw new NodeError('KEY_FILE', 'the file holds no API key', {
    data: { path },
    hint: 'one line, as aitbc key create shows it: aitbc_…',
  });
}

/** Undefined: the usual place in the home. */
function walletFolder(flag: string | undefined): string | undefined {
  const given = flag ?? process.env['AITBC_WALLET_DIR'];
  return given ? resolve(given) : undefined;
}

export function isLoopback(url: string): boolean {
  const host = URL.canParse(url) ? new URL(url).hostname : '';
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Options of the node of this home; undefined when there is no config.toml. */
function homeConfig(home: string): NodeConfig | undefined {
  const text = readConfigText(home);
  return text === undefined ? undefined : loadConfig({ fileText: text, env: process.env });
}

/** Of the node of this home; undefined when there is no config.toml. */
function rpcOfHome(home: string): string | undefined {
  const config = homeConfig(home);
  if (!config) return undefined;
  const { host, port } = config.rpc.listen;
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** @returns undefined when there is none @throws NodeError CONFIG when it cannot be read */
export function readConfigText(home: string): string | undefined {
  const path = homeLayout(home, DEFAULT_CHAIN).config;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new NodeError('CONFIG', `cannot read ${path}: ${code ?? 'unknown'}`, { data: { path }, cause: error });
  }
}
