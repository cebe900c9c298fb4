/**
 * Options of one node: local, never agreed with others (those are src/chain/params.ts, part of genesis). A value comes
 * from a flag, else AITBC_* in the environment, else config.toml, else the default, and an unknown name is refused
 * wherever it stands, with the nearest known one.
 */
import { parse as parseToml, TomlError } from 'smol-toml';
import type { ConfigPath, HostPort, Option, Value } from './config/options.ts';
import { OPTIONS, parseHostPort, PATHS } from './config/options.ts';
import { fromHex } from './bytes.ts';
import { NodeError } from './errors.ts';

export interface NodeConfig {
  /** Shown to people; at most 32 printable characters. */
  readonly name: string;
  /** Ids; the first is the default one. */
  readonly chains: readonly string[];
  readonly p2p: {
    /** Multiaddrs. */
    readonly listen: readonly string[];
    /** Multiaddrs with peer id, to which connections are kept. */
    readonly peers: readonly string[];
    /** Multiaddrs told to others instead of those listened on. */
    readonly announce: readonly string[];
    readonly mdns: boolean;
    readonly relay: 'off' | 'known' | 'open';
    /** Multiaddrs with peer id, or `peers`. */
    readonly relays: readonly string[];
    /** Of an open relay. */
    readonly relayStrangers: number;
    readonly relayCircuit: { readonly seconds: number; readonly bytes: number };
  };
  readonly rpc: {
    readonly listen: HostPort;
    /** Host names besides the loopback ones under which requests are answered. */
    readonly hosts: readonly string[];
    /** Other origins whose pages may ask. */
    readonly corsOrigins: readonly string[];
    /** Addresses and networks whose X-Forwarded-For is believed. */
    readonly trustedProxies: readonly string[];
    /** A second, for each client; 0 for no limit. */
    readonly rates: { readonly read: number; readonly heavy: number; readonly write: number };
    readonly requireApiKey: boolean;
  };
  readonly faucet: {
    /** Empty: none. */
    readonly keyFile: string;
    readonly amountUait: number;
    /** Between two payments to one address. */
    readonly waitMs: number;
  };
  readonly market: {
    /** For a UTC day, on this machine and chains of development; 0: none. */
    readonly keylessBudgetUait: number;
    /** Absolute; empty: none. Of the account that pays for jobs: a plain key, on chains of development. */
    readonly keyFile: string;
    /** Absolute; empty: none. The same as a wallet file, and the file with its password. */
    readonly wallet: string;
    readonly passwordFile: string;
    readonly maxPriceUait: number;
    readonly startMs: number;
    readonly executionMs: number;
    /** Of the jobs of deterministic kinds, those that are done again here. */
    readonly replayPercent: number;
  };
  readonly admin: {
    /** Absolute, or `off`; empty: in the data folder. */
    readonly socket: string;
  };
  readonly metrics: { readonly listen: HostPort | null; readonly compat: boolean };
  readonly log: { readonly level: string; readonly format: 'json' | 'pretty' | 'auto' };
  readonly mempool: { readonly maxTxs: number; readonly maxBytes: number; readonly journal: boolean };
  readonly consensus: {
    readonly proposeMs: number;
    readonly proposeDeltaMs: number;
    readonly voteMs: number;
    readonly voteDeltaMs: number;
    readonly capMs: number;
    readonly sign: boolean;
    /** By flag only: sign above this height although the sign guard is missing or older than the blocks. */
    readonly signAbove: number | null;
  };
  readonly store: {
    readonly stateCacheEntries: number;
    readonly encrypt: 'on' | 'off' | 'auto';
    /** Absolute; empty: the usual places. */
    readonly encryptionKeyFile: string;
    /** 0: all. */
    readonly retainBlocks: number;
    /** Less free disk space than this is told as a fault. */
    readonly minFreeBytes: number;
  };
  readonly snapshot: {
    readonly interval: number;
    readonly keep: number;
    readonly sync: 'auto' | 'always' | 'off';
    /** Believed in place of the genesis; null: the genesis. */
    readonly trusted: { readonly height: number; readonly hash: Uint8Array } | null;
  };
  readonly miner: MinerConfig;
}

export interface MinerConfig {
  readonly enabled: boolean;
  /** Absolute; empty: in the folder of the chain. */
  readonly keyFile: string;
  readonly name: string;
  readonly slots: number;
  /** 0: the least that the chain asks for. */
  readonly stakeUait: number;
  readonly prices: readonly string[];
  readonly region: string;
  /** Empty: as found. */
  readonly gpus: readonly string[];
  /** Absolute; empty: in the data folder. */
  readonly models: string;
  /** URLs; empty: as found on this machine. */
  readonly ollama: readonly string[];
  readonly openai: readonly string[];
}

/** Values by path, e.g. `{ 'rpc.listen': '127.0.0.1:8006' }`, in the form that config.toml has. */
export type ConfigValues = Readonly<Record<string, unknown>>;

export interface ConfigSources {
  readonly flags?: ConfigValues;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Content of config.toml. */
  readonly fileText?: string;
}

const UAIT_PER_AIT = 1_000_000;

/** Names of the replaced system's documents. */
const ALIASES: Readonly<Record<string, ConfigPath>> = {
  compute_enabled: 'miner.enabled',
  stake_amount: 'miner.stake_amount',
  gpu_devices: 'miner.gpu_devices',
  'p2p.external': 'p2p.announce',
};

/** Names of the environment that are not options. */
const OTHER_ENV: ReadonlySet<string> = new Set(['AITBC_API_KEY_FILE', 'AITBC_HOME', 'AITBC_RPC', 'AITBC_WALLET_DIR']);

export interface Setting {
  readonly path: ConfigPath;
  readonly value: Value;
  readonly origin: 'flag' | 'env' | 'file' | 'default';
}

/** @throws NodeError CONFIG naming the option, where it stands, and what is expected */
export function loadConfig(sources: ConfigSources = {}): NodeConfig {
  return assemble(new Map(resolveSettings(sources).map(({ path, value }) => [path, value])));
}

/** Every option with its value and where that came from, in the order of config.toml. @throws NodeError CONFIG */
export function resolveSettings(sources: ConfigSources = {}): Setting[] {
  const settings = new Map<ConfigPath, Setting>(
    PATHS.map((path) => [path, { path, value: OPTIONS[path].value, origin: 'default' }]),
  );
  const take = (given: ReadonlyMap<ConfigPath, unknown>, origin: Setting['origin'], where: string): void => {
    for (const [path, value] of given) settings.set(path, { path, value: checked(path, value, where), origin });
  };
  take(fromFile(sources.fileText ?? ''), 'file', 'config.toml');
  take(fromEnv(sources.env ?? {}), 'env', 'the environment');
  take(fromFlags(sources.flags ?? {}), 'flag', 'the command line');
  return [...settings.values()];
}

/** config.toml with every option explained; those that differ from their default are set, the others commented out. */
export function renderConfigToml(overrides: ConfigValues = {}): string {
  const given = new Map<ConfigPath, Value>();
  for (const [path, value] of fromFlags(overrides)) given.set(path, checked(path, value, 'the command line'));
  const lines = ['# Options of this node. Precedence: flag, AITBC_* in the environment, this file, default.'];
  let section = '';
  for (const path of PATHS) {
    const option: Option = OPTIONS[path];
    if (option.flagOnly) continue;
    const [head, key] = splitPath(path);
    if (head !== section) lines.push('', `[${head}]`);
    section = head;
    const value = given.get(path);
    lines.push(
      `# ${option.help}`,
      `${value === undefined ? '# ' : ''}${key} = ${JSON.stringify(value ?? option.value)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function assemble(values: ReadonlyMap<ConfigPath, Value>): NodeConfig {
  const text = (path: ConfigPath): string => values.get(path) as string;
  const number = (path: ConfigPath): number => values.get(path) as number;
  const flag = (path: ConfigPath): boolean => values.get(path) as boolean;
  const list = (path: ConfigPath): readonly string[] => values.get(path) as readonly string[];
  return {
    name: text('name'),
    chains: list('chains'),
    p2p: {
      listen: list('p2p.listen'),
      peers: list('p2p.peers'),
      announce: list('p2p.announce'),
      mdns: flag('p2p.mdns'),
      relay: text('p2p.relay') as NodeConfig['p2p']['relay'],
      relays: list('p2p.relays'),
      relayStrangers: number('p2p.relay_strangers'),
      relayCircuit: { seconds: number('p2p.relay_circuit_s'), bytes: number('p2p.relay_circuit_mib') * 1024 * 1024 },
    },
    rpc: {
      listen: parseHostPort(text('rpc.listen')),
      hosts: list('rpc.hosts'),
      corsOrigins: list('rpc.cors_origins'),
      trustedProxies: list('rpc.trusted_proxies'),
      rates: {
        read: number('rpc.reads_per_s'),
        heavy: number('rpc.heavy_reads_per_s'),
        write: number('rpc.writes_per_s'),
      },
      requireApiKey: flag('rpc.require_api_key'),
    },
    faucet: {
      keyFile: text('faucet.key_file'),
      amountUait: number('faucet.amount_uait'),
      waitMs: number('faucet.wait_s') * 1000,
    },
    market: {
      keylessBudgetUait: number('market.keyless_budget_uait'),
      keyFile: text('market.key_file'),
      wallet: text('market.wallet'),
      passwordFile: text('market.password_file'),
      maxPriceUait: number('market.max_price_uait'),
      startMs: number('market.start_ms'),
      executionMs: number('market.execution_ms'),
      replayPercent: number('market.replay_percent'),
    },
    admin: { socket: text('admin.socket') },
    metrics: {
      listen: text('metrics.listen') === 'off' ? null : parseHostPort(text('metrics.listen')),
      compat: flag('metrics.compat'),
    },
    log: { level: text('log.level'), format: text('log.format') as NodeConfig['log']['format'] },
    mempool: {
      maxTxs: number('mempool.max_txs'),
      maxBytes: number('mempool.max_bytes'),
      journal: flag('mempool.journal'),
    },
    consensus: {
      proposeMs: number('consensus.propose_ms'),
      proposeDeltaMs: number('consensus.propose_delta_ms'),
      voteMs: number('consensus.vote_ms'),
      voteDeltaMs: number('consensus.vote_delta_ms'),
      capMs: number('consensus.cap_ms'),
      sign: flag('consensus.sign'),
      signAbove: values.get('consensus.sign_above') as number | null,
    },
    store: {
      stateCacheEntries: number('store.state_cache_entries'),
      retainBlocks: number('store.retain_blocks'),
      minFreeBytes: number('store.min_free_mib') * 1024 * 1024,
      encrypt: text('store.encrypt') as NodeConfig['store']['encrypt'],
      encryptionKeyFile: text('store.encryption_key_file'),
    },
    snapshot: {
      interval: number('snapshot.interval'),
      keep: number('snapshot.keep'),
      sync: text('snapshot.sync') as NodeConfig['snapshot']['sync'],
      trusted: trustedBlock(number('snapshot.trust_height'), text('snapshot.trust_hash')),
    },
    miner: {
      enabled: flag('miner.enabled'),
      keyFile: text('miner.key_file'),
      name: text('miner.name') || text('name'),
      slots: number('miner.slots'),
      stakeUait: number('miner.stake_amount') * UAIT_PER_AIT,
      prices: list('miner.prices'),
      region: text('miner.region'),
      gpus: list('miner.gpu_devices'),
      models: text('miner.models'),
      ollama: list('miner.ollama'),
      openai: list('miner.openai'),
    },
  };
}

function trustedBlock(height: number, hash: string): NodeConfig['snapshot']['trusted'] {
  if (height > 0 && hash !== '') return { height, hash: fromHex(hash, 32) };
  if (height === 0 && hash === '') return null;
  throw new NodeError('CONFIG', 'a block to believe is told by both, snapshot.trust_height and snapshot.trust_hash', {
    hint: 'take both from someone you trust, or none of them',
  });
}

// Sources

function fromFile(text: string): Map<ConfigPath, unknown> {
  let root: Record<string, unknown>;
  try {
    root = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    throw new NodeError('CONFIG', `config.toml, line ${error.line}: ${error.message.split('\n')[0] ?? ''}`, {
      data: { line: error.line, column: error.column },
      hint: 'strings need quotes, sections brackets; `aitbc init` in an empty folder writes a file to compare with',
    });
  }
  const found = new Map<ConfigPath, unknown>();
  for (const [key, value] of Object.entries(root)) {
    if (isTable(value)) {
      for (const [inner, leaf] of Object.entries(value)) found.set(knownPath(`${key}.${inner}`, 'config.toml'), leaf);
    } else {
      found.set(knownPath(key, 'config.toml'), value);
    }
  }
  refuseFlagOnly(found, 'config.toml');
  return found;
}

function fromEnv(env: Readonly<Record<string, string | undefined>>): Map<ConfigPath, unknown> {
  const byName = new Map(PATHS.map((path) => [envName(path), path]));
  for (const [name, path] of Object.entries(ALIASES))
    byName.set(`AITBC_${name.toUpperCase().replaceAll('.', '_')}`, path);
  const found = new Map<ConfigPath, unknown>();
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('AITBC_') || OTHER_ENV.has(name) || text === undefined) continue;
    const path = byName.get(name);
    if (!path) throw unknownName(name, 'the environment', [...byName.keys(), ...OTHER_ENV]);
    found.set(path, fromText(path, text));
  }
  refuseFlagOnly(found, 'the environment');
  return found;
}

function fromFlags(flags: ConfigValues): Map<ConfigPath, unknown> {
  const found = new Map<ConfigPath, unknown>();
  for (const [path, value] of Object.entries(flags)) {
    if (value !== undefined) found.set(knownPath(path, 'the command line'), value);
  }
  return found;
}

export function envName(path: ConfigPath): string {
  return `AITBC_${path.toUpperCase().replaceAll('.', '_')}`;
}

/** Lists are JSON, or one value alone. What does not parse is left as text and refused by its check. */
function fromText(path: ConfigPath, text: string): unknown {
  switch (OPTIONS[path].kind) {
    case 'text':
      return text;
    case 'integer':
      return /^\d{1,15}$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'list':
      if (!text.startsWith('[')) return text === '' ? [] : [text];
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function splitPath(path: ConfigPath): [section: string, key: string] {
  const dot = path.indexOf('.');
  return dot < 0 ? ['', path] : [path.slice(0, dot), path.slice(dot + 1)];
}

// Checks

function checked(path: ConfigPath, value: unknown, where: string): Value {
  const option: Option = OPTIONS[path];
  const wrong = wrongKind(option.kind, value) ?? option.check?.(value as never) ?? null;
  if (wrong === null) return value as Value;
  throw new NodeError('CONFIG', `${path} in ${where} must be ${wrong}`, {
    data: { option: path, where },
    ...(!option.flagOnly && { hint: `the default is ${JSON.stringify(option.value)}` }),
  });
}

function wrongKind(kind: Option['kind'], value: unknown): string | null {
  switch (kind) {
    case 'text':
      return typeof value === 'string' ? null : 'text in quotes';
    case 'integer':
      return Number.isSafeInteger(value) ? null : 'a whole number';
    case 'boolean':
      return typeof value === 'boolean' ? null : 'true or false';
    case 'list':
      return Array.isArray(value) && value.length <= 256 && value.every((item) => typeof item === 'string')
        ? null
        : 'a list of at most 256 texts';
  }
}

function refuseFlagOnly(found: ReadonlyMap<ConfigPath, unknown>, where: string): void {
  for (const path of found.keys()) {
    const option: Option = OPTIONS[path];
    if (!option.flagOnly) continue;
    const flag = path.slice(path.indexOf('.') + 1).replaceAll('_', '-');
    throw new NodeError('CONFIG', `${path} in ${where}: this is decided for one start only`, {
      data: { option: path, where },
      hint: `give --${flag} to \`aitbc start\``,
    });
  }
}

function knownPath(path: string, where: string): ConfigPath {
  const alias = Object.hasOwn(ALIASES, path) ? ALIASES[path] : undefined;
  if (alias !== undefined) return alias;
  if (Object.hasOwn(OPTIONS, path)) return path as ConfigPath;
  throw unknownName(path, where, PATHS);
}

function unknownName(name: string, where: string, known: readonly string[]): NodeError {
  return new NodeError('CONFIG', `unknown option ${name.slice(0, 80)} in ${where}`, {
    data: { option: name.slice(0, 80), where },
    hint: `did you mean ${nearest(name.slice(0, 80), known)}?`,
  });
}

function nearest(name: string, known: readonly string[]): string {
  const ranked = known.map((candidate) => ({ candidate, distance: editDistance(name, candidate) }));
  ranked.sort((a, b) => a.distance - b.distance);
  return ranked[0]?.candidate ?? '';
}

/** Optimal string alignment: insertions, deletions, changes and swaps of neighbours, by rows. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? (beforeLast[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    beforeLast = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
