/** Every option of a node: its kind, default with reason, check, and what people are told about it. */
import { isIP } from 'node:net';
import { MAX_CHAINS } from '../../protocols/hello.ts';
import { NodeError } from '../errors.ts';
import { parseLevelSpec } from '../log-level.ts';
import { BLOCKED_PORTS } from './blocked-ports.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export type Value = string | number | boolean | readonly string[] | null;

export interface Option {
  readonly kind: 'text' | 'integer' | 'boolean' | 'list';
  readonly value: Value;
  /** For people, in config.toml. */
  readonly help: string;
  readonly check?: (value: never) => string | null;
  /** Decisions for one start; refused in file and environment. */
  readonly flagOnly?: boolean;
}

const span = (value: number, help: string): Option => ({
  kind: 'integer',
  value,
  help,
  check: (ms: number) => (ms >= 1 && ms <= 600_000 ? null : 'from 1 to 600000'),
});

const count = (value: number, least: number, most: number, help: string): Option => ({
  kind: 'integer',
  value,
  help,
  check: (number: number) => (number >= least && number <= most ? null : `from ${least} to ${most}`),
});

/** Everything that can be set, in the order of config.toml. */
export const OPTIONS = {
  name: {
    kind: 'text',
    value: 'node',
    help: 'Shown to people in logs and status.',
    check: (name: string) => (/^[\x20-\x7e]{1,32}$/.test(name) ? null : '1 to 32 printable ASCII characters'),
  },
  chains: {
    kind: 'list',
    value: ['ait-devnet'],
    help: 'Ids of the chains to run, each with its genesis in chains/<id>/genesis.json. The first is the default one.',
    check: chainIds,
  },
  'p2p.listen': {
    kind: 'list',
    value: ['/ip4/0.0.0.0/tcp/8005'],
    help: 'Multiaddrs to listen on for other nodes.',
    check: multiaddrs,
  },
  'p2p.peers': {
    kind: 'list',
    value: [],
    help: 'Nodes to stay connected with, each a multiaddr that ends in /p2p/<peer id>. List the other validators.',
    check: namedPeers,
  },
  'p2p.announce': {
    kind: 'list',
    value: [],
    help: 'Multiaddrs to tell others, when they differ from those listened on (NAT, port forwarding, a DNS name).',
    check: multiaddrs,
  },
  'p2p.mdns': {
    kind: 'boolean',
    value: false,
    help: 'Finds nodes of the same chains on the local network, and is found there (multicast DNS).',
  },
  'p2p.relay': {
    kind: 'text',
    value: 'known',
    help: 'For whom this node relays: off, known (p2p.peers and validators, without limit) or open (strangers too, limited).',
    check: (service: string) => (['off', 'known', 'open'].includes(service) ? null : 'off, known or open'),
  },
  'p2p.relays': {
    kind: 'list',
    value: [],
    help: 'Relays through which others reach this node when they cannot connect to it: multiaddrs, or "peers" for p2p.peers.',
    check: (list: readonly string[]) => namedPeers(list.filter((relay) => relay !== 'peers')),
  },
  'p2p.relay_strangers': count(32, 0, 1_024, 'Strangers that an open relay serves at once.'),
  'p2p.relay_circuit_s': count(
    600,
    1,
    86_400,
    'Longest connection that an open relay carries for a stranger, in seconds.',
  ),
  'p2p.relay_circuit_mib': count(
    64,
    1,
    1_048_576,
    'Most that it carries for each of them, in MiB, both ways together.',
  ),
  'rpc.listen': {
    kind: 'text',
    value: '127.0.0.1:8006',
    help: 'Where HTTP is served. Loopback: put a reverse proxy in front before the world may reach it.',
    check: dialableHostPort,
  },
  'rpc.hosts': {
    kind: 'list',
    value: [],
    help: 'Host names besides loopback under which HTTP is answered (a guard against DNS rebinding).',
    check: (list: readonly string[]) =>
      list.every((name) => /^[a-z0-9.-]{1,253}$/.test(name)) ? null : 'lower-case host names without port',
  },
  'rpc.cors_origins': {
    kind: 'list',
    value: [],
    help: 'Origins besides its own whose pages may ask this node, such as https://app.example; "*" for all.',
    check: (list: readonly string[]) =>
      list.every(isOrigin) ? null : 'origins such as https://app.example:8443, in lower case and without path, or "*"',
  },
  'rpc.trusted_proxies': {
    kind: 'list',
    value: [],
    help: 'Reverse proxies, as addresses or networks (10.0.0.0/8), whose X-Forwarded-For tells the client.',
    check: (list: readonly string[]) => (list.every(isNetwork) ? null : 'addresses such as 127.0.0.1 or 10.0.0.0/8'),
  },
  'rpc.reads_per_s': count(60, 0, 1_000_000, 'Requests a second of each client off this machine; 0 for no limit.'),
  // A transaction's proof hashes every transaction of its block.
  'rpc.heavy_reads_per_s': count(10, 0, 1_000_000, 'Of them, proofs of transactions and long lists.'),
  'rpc.writes_per_s': count(10, 0, 1_000_000, 'Transactions a second of each client off this machine.'),
  // Reads are of public facts, and transactions are signed: what costs the node's money needs a key whatever this says.
  'rpc.require_api_key': {
    kind: 'boolean',
    value: false,
    help: 'Every request but those of health and documents needs an API key (aitbc key create), on this machine too.',
  },
  'admin.socket': {
    kind: 'text',
    value: '',
    help: 'Unix socket for the operator, or "off"; empty: run/admin.sock in the data folder. Its folder must have mode 0700.',
    check: (path: string) =>
      path === '' || path === 'off' || path.startsWith('/') ? null : 'an absolute path, or "off"',
  },
  'faucet.key_file': {
    kind: 'text',
    value: '',
    help: 'Key file of the account that gives money to whoever asks, on chains that end in -devnet; empty: none does.',
    check: absolutePath,
  },
  'faucet.amount_uait': count(100_000_000, 1, Number.MAX_SAFE_INTEGER, 'What it gives at once.'),
  'faucet.wait_s': count(3_600, 0, 31_536_000, 'Seconds until it gives to the same address again.'),
  // A try-out: enough for some jobs a day, and nothing where the money is worth something.
  'market.keyless_budget_uait': count(
    10_000_000,
    0,
    Number.MAX_SAFE_INTEGER,
    'What programs of this machine may spend of the wallet of the node on jobs without an API key, a UTC day, on chains that end in -devnet.',
  ),
  'market.wallet': {
    kind: 'text',
    value: '',
    help: 'Wallet file of the account that pays for jobs behind API keys; empty: this node has none done.',
    check: absolutePath,
  },
  'market.password_file': {
    kind: 'text',
    value: '',
    help: 'File with the password of that wallet; empty: the systemd credential aitbc-market-password.',
    check: absolutePath,
  },
  'market.key_file': {
    kind: 'text',
    value: '',
    help: 'In place of a wallet: a plain key file, on chains that end in -devnet.',
    check: absolutePath,
  },
  'market.max_price_uait': count(
    1_000_000,
    1,
    Number.MAX_SAFE_INTEGER,
    'What one job may cost at most, and does cost at most when it says nothing.',
  ),
  // Opening an agreement takes a block or two; a client that waits longer is better told so.
  'market.start_ms': span(30_000, 'How long clients that wait for an answer wait for a miner to begin.'),
  'market.execution_ms': span(120_000, 'Longest attempt of a miner at a job.'),
  'market.replay_percent': count(
    5,
    0,
    100,
    'Of the jobs of deterministic kinds (text.embed, wasm.run) that this node pays for, those that it does again to hold the result against.',
  ),
  'metrics.listen': {
    kind: 'text',
    value: '127.0.0.1:9464',
    help: 'Where /metrics is served for Prometheus, or "off".',
    check: (text: string) => (text === 'off' ? null : hostPort(text)),
  },
  'metrics.compat': {
    kind: 'boolean',
    value: true,
    help: 'Expose the names of the replaced system (blockchain_blocks_total, …) too.',
  },
  'log.level': {
    kind: 'text',
    value: 'info',
    help: 'error, warn, info, debug or silent; by module as in "info,net:debug".',
    check: levelSpec,
  },
  'log.format': {
    kind: 'text',
    value: 'auto',
    help: 'json, pretty, or auto: pretty on a terminal.',
    check: (text: string) => (['json', 'pretty', 'auto'].includes(text) ? null : 'json, pretty or auto'),
  },
  // Two full blocks of the devnet; some 10 s of a chain at full load.
  'mempool.max_txs': count(20_000, 1, 1_000_000, 'Pending transactions kept at most.'),
  'mempool.max_bytes': count(64 * 1024 * 1024, 65_536, 2 ** 32, 'Their size at most, in bytes.'),
  'mempool.journal': { kind: 'boolean', value: true, help: 'Keep pending transactions over a restart.' },
  // Round 0 on a LAN or between sites of one continent takes a fifth of these; each further round waits longer.
  'consensus.propose_ms': span(600, 'Waiting for a proposal in round 0; up to twice that while blocks take long.'),
  'consensus.propose_delta_ms': span(250, 'Added a round.'),
  'consensus.vote_ms': span(300, 'Waiting for the last votes of a step in round 0.'),
  'consensus.vote_delta_ms': span(250, 'Added a round.'),
  'consensus.cap_ms': span(10_000, 'No single wait is longer.'),
  'consensus.sign': { kind: 'boolean', value: true, help: 'false follows the chain without voting.' },
  'consensus.sign_above': {
    kind: 'integer',
    value: null,
    help: '',
    flagOnly: true,
    check: (height: number) => (height >= 0 ? null : 'a height'),
  },
  // At most 512 bytes each: 32 MiB.
  'store.state_cache_entries': count(65_536, 0, 100_000_000, 'State entries held in memory.'),
  'store.encrypt': {
    kind: 'text',
    value: 'auto',
    help: 'on, off, or auto: databases are encrypted on ait-mainnet. Decided when a database is made.',
    check: (text: string) => (['on', 'off', 'auto'].includes(text) ? null : 'on, off or auto'),
  },
  'store.encryption_key_file': {
    kind: 'text',
    value: '',
    help: 'Key of encrypted databases; empty: the systemd credential aitbc-store-key, else identity/store_key.',
    check: (path: string) => (path === '' || path.startsWith('/') ? null : 'an absolute path'),
  },
  // An archive by default: what every node has deleted is gone for all, and a new node could not replay the chain.
  'store.retain_blocks': count(
    0,
    0,
    1_000_000_000,
    'Newest blocks to keep; 0 keeps all. At least 256 and the evidence age of the chain stay.',
  ),
  // Compaction writes the database anew in parts, beside the old ones.
  'store.min_free_mib': count(1_024, 0, 2 ** 30, 'Free disk space in MiB below which `aitbc doctor` finds fault.'),
  // 1,000 blocks are 8 to 33 minutes of a busy chain; making one of a million accounts takes about one.
  'snapshot.interval': count(
    1_000,
    0,
    1_000_000_000,
    'Blocks between two snapshots of the state, for nodes that join; 0 makes none.',
  ),
  'snapshot.sync': {
    kind: 'text',
    value: 'auto',
    help: 'A node without blocks takes a snapshot from its peers: auto when they are far ahead (twice the interval), always, off.',
    check: (text: string) => (['auto', 'always', 'off'].includes(text) ? null : 'auto, always or off'),
  },
  'snapshot.trust_height': count(
    0,
    0,
    2 ** 48,
    'Height of a block of the default chain to believe in place of its genesis; 0 for none.',
  ),
  'snapshot.trust_hash': {
    kind: 'text',
    value: '',
    help: 'Hash of that block, from someone you trust.',
    check: (text: string) => (/^(?:[0-9a-f]{64})?$/.test(text) ? null : '64 characters of lower-case hex'),
  },
  'snapshot.keep': count(2, 1, 100, 'Snapshots kept; one in use by a node that joins must outlive its joining.'),
  'miner.enabled': {
    kind: 'boolean',
    value: false,
    help: 'Do work for others on the default chain, and be paid for it. `aitbc miner init` makes what it needs.',
  },
  'miner.key_file': {
    kind: 'text',
    value: '',
    help: 'Account that has the stake and is paid; empty: miner_key in the folder of the chain.',
    check: (path: string) => (path === '' || path.startsWith('/') ? null : 'an absolute path'),
  },
  'miner.name': {
    kind: 'text',
    value: '',
    help: 'Shown to people beside its offers; empty: the name of the node.',
    check: (name: string) => (/^[\x20-\x7e]{0,32}$/.test(name) ? null : 'at most 32 printable ASCII characters'),
  },
  // One at a time is what a CPU without GPU does well; back ends refuse more than they can.
  'miner.slots': count(2, 1, 1_024, 'Jobs at once.'),
  'miner.stake_amount': count(
    0,
    0,
    9_000_000_000,
    'AIT to hold at stake, put there from the balance as soon as it suffices; 0: the least that the chain asks for.',
  ),
  // A settlement costs its miner some 4,000 uait: the fixed price covers it.
  'miner.prices': {
    kind: 'list',
    value: ['* 10000 1000 20000'],
    help: 'KIND[:MODEL] FIXED INPUT OUTPUT: uait for a job, a KiB of input and a KiB of output; "*" for all other kinds.',
    check: (list: readonly string[]) =>
      list.every((line) => /^\S{1,161}(\s+\d{1,10}){3}$/.test(line))
        ? null
        : 'lines such as "llm.chat 10000 1000 20000": kind, then three whole numbers',
  },
  'miner.region': {
    kind: 'text',
    value: '',
    help: 'Where it is, for people and for clients that choose by it.',
    check: (text: string) => (/^[\x20-\x7e]{0,32}$/.test(text) ? null : 'at most 32 printable ASCII characters'),
  },
  'miner.gpu_devices': {
    kind: 'list',
    value: [],
    help: 'GPUs as told in offers; empty: what nvidia-smi finds.',
    check: (list: readonly string[]) =>
      list.length <= 8 && list.every((name) => /^[\x20-\x7e]{1,160}$/.test(name)) ? null : 'at most 8 names',
  },
  'miner.models': {
    kind: 'text',
    value: '',
    help: 'Folder with further GGUF models; empty: models in the data folder.',
    check: (path: string) => (path === '' || path.startsWith('/') ? null : 'an absolute path'),
  },
  'miner.ollama': {
    kind: 'list',
    value: [],
    help: 'URLs of Ollama servers; empty: those found on this machine.',
    check: urls,
  },
  'miner.openai': {
    kind: 'list',
    value: [],
    help: 'URLs of OpenAI-compatible servers; empty: those found on this machine.',
    check: urls,
  },
} as const satisfies Record<string, Option>;

export type ConfigPath = keyof typeof OPTIONS;

export const PATHS = Object.keys(OPTIONS) as ConfigPath[];

function chainIds(list: readonly string[]): string | null {
  const areIds = list.every((id) => /^[a-z0-9][a-z0-9-]{2,31}$/.test(id));
  return areIds && list.length >= 1 && list.length <= MAX_CHAINS && new Set(list).size === list.length
    ? null
    : `1 to ${MAX_CHAINS} different chain ids, each of 3 to 32 characters of a-z, 0-9 and "-"`;
}

function multiaddrs(list: readonly string[]): string | null {
  const form = /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr)\/[^/\s]+(\/[^/\s]+)*$/;
  return list.every((address) => address.length <= 512 && form.test(address))
    ? null
    : 'multiaddrs such as /ip4/127.0.0.1/tcp/8005';
}

function namedPeers(list: readonly string[]): string | null {
  const areNamed = list.every((address) => /\/p2p\/[1-9A-HJ-NP-Za-km-z]+$/.test(address));
  return multiaddrs(list) ?? (areNamed ? null : 'multiaddrs that end in /p2p/<peer id>');
}

function urls(list: readonly string[]): string | null {
  return list.length <= 16 && list.every((url) => /^https?:/.test(url) && URL.canParse(url))
    ? null
    : 'at most 16 URLs such as http://127.0.0.1:11434';
}

function isOrigin(text: string): boolean {
  return text === '*' || (/^https?:/.test(text) && URL.canParse(text) && new URL(text).origin === text);
}

function isNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  if (rest.length > 0 || most < 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= most);
}

function levelSpec(text: string): string | null {
  try {
    parseLevelSpec(text);
    return null;
  } catch {
    return 'error, warn, info, debug or silent, with modules as in "info,net:debug"';
  }
}

function absolutePath(path: string): string | null {
  return path === '' || path.startsWith('/') ? null : 'an absolute path';
}

function hostPort(text: string): string | null {
  const { host, port } = splitHostPort(text);
  return host !== '' && port >= 0 && port <= 65_535 ? null : 'HOST:PORT, e.g. 127.0.0.1:8006 or [::1]:8006';
}

function dialableHostPort(text: string): string | null {
  const { port } = splitHostPort(text);
  return BLOCKED_PORTS.has(port)
    ? `on a port that clients dial: browsers and fetch refuse port ${port}`
    : hostPort(text);
}

function splitHostPort(text: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  return { host: match?.[1] ?? match?.[2] ?? '', port: match?.[3] === undefined ? -1 : Number(match[3]) };
}

/** @throws NodeError CONFIG */
export function parseHostPort(text: string): HostPort {
  const wrong = hostPort(text);
  if (wrong !== null) throw new NodeError('CONFIG', `${text} is not ${wrong}`);
  return splitHostPort(text);
}
