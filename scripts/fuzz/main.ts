/** `npm run fuzz`: hostile requests to a real node; what it must bear all of them with. */
import { readFileSync } from 'node:fs';
import { toHex } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import { toNodeError } from '../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { getJson } from '../../testnet/http.ts';
import { accountKeyPath, nodeLayout, readSeed } from '../../testnet/layout.ts';
import { createRandom } from '../../testnet/load/random.ts';
import { submitCommit } from '../../testnet/load/rpc.ts';
import type { LoadAccount } from '../../testnet/load/transfers.ts';
import { nextTransfer } from '../../testnet/load/transfers.ts';
import { residentBytes } from '../../testnet/processes.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { FuzzArgs } from './args.ts';
import { parseFuzzArgs, USAGE } from './args.ts';
import type { OpenApi } from './requests.ts';
import { Requests } from './requests.ts';
import { Sender } from './sender.ts';
import { Values } from './values.ts';

const CONNECTIONS = 32;
/** The run is cut in so many parts; memory is compared between the end of the second and of the last. */
const PARTS = 10;
const GROWTH_BAR = 1.25;
const GROWTH_SLACK_BYTES = 48 * 2 ** 20;
/** Real transfers whose bytes are altered. */
const SAMPLES = 16;

interface Check {
  readonly what: string;
  readonly met: boolean;
  readonly measured: string;
}

async function fuzz(args: FuzzArgs, tell: (line: string) => void) {
  return withTemporaryCluster({ validators: 1 }, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    const { rpc, pid } = cluster.node(1);
    const account = sampleAccount(cluster);
    const before = await transfer(cluster, account);
    const sender = new Sender(rpc, CONNECTIONS);
    const requests = await requestsFor(cluster, account, args.seed);
    const startedAt = performance.now();
    const memory: number[] = [];
    for (let part = 0; part < PARTS; part++) {
      let left = Math.floor((args.requests * (part + 1)) / PARTS) - Math.floor((args.requests * part) / PARTS);
      const worker = async (): Promise<void> => {
        while (left-- > 0) await sender.send(requests.next());
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, worker));
      memory.push(residentBytes(pid ?? -1) ?? Infinity);
      const mib = Math.round((memory.at(-1) ?? 0) / 2 ** 20);
      tell(`  ${part + 1} of ${PARTS}: ${JSON.stringify(sender.statuses)}, ${mib} MiB`);
    }
    sender.close();
    const seconds = (performance.now() - startedAt) / 1000;
    const after = await transfer(cluster, account);
    const checks = judge({ cluster, sender, memory, before, after });
    for (const { what, request } of sender.failures) tell(`  ✗ ${what}: ${request}`);
    const perSecond = Math.round(args.requests / seconds);
    return { checks, figures: { requests: args.requests, requests_per_s: perSecond, statuses: sender.statuses } };
  });
}

function judge(run: {
  readonly cluster: Cluster;
  readonly sender: Sender;
  readonly memory: readonly number[];
  readonly before: boolean;
  readonly after: boolean;
}): Check[] {
  const { cluster, sender, memory } = run;
  const { home, pid } = cluster.node(1);
  const alive = residentBytes(pid ?? -1) !== undefined;
  const errors = readFileSync(nodeLayout(home, cluster.manifest.chain_id).log, 'utf8')
    .split('\n')
    .filter((line) => /"level":"?(error|fatal|50|60)"?|unhandled|uncaught/i.test(line));
  const [early = 0, late = Infinity] = [memory[1], memory.at(-1)];
  const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
  return [
    { what: 'the process that was started still runs', met: alive, measured: alive ? 'yes' : 'no' },
    {
      what: 'every HTTP request was answered, none with a fault of the node',
      met: sender.failed === 0,
      measured: `${sender.failed} not`,
    },
    { what: 'the log tells of no error', met: errors.length === 0, measured: errors[0]?.slice(0, 400) ?? 'none' },
    {
      what: 'memory is flat',
      met: late <= early * GROWTH_BAR + GROWTH_SLACK_BYTES,
      measured: `${mib(early)} MiB after a fifth, ${mib(late)} MiB at the end`,
    },
    {
      what: 'a transfer became final before and after',
      met: run.before && run.after,
      measured: `${run.before}, ${run.after}`,
    },
  ];
}

function sampleAccount(cluster: Cluster): LoadAccount {
  const signer = createNativeSigner(readSeed(accountKeyPath(cluster.dataDir, 'alice')));
  return { signer, address: addressOf(nativeCrypto, signer.publicKey), nonce: 0 };
}

/** The account's next transfer, to itself. A request may have sent one of the samples: then the next nonce is asked for. */
async function transfer(cluster: Cluster, account: LoadAccount): Promise<boolean> {
  const { rpc } = cluster.node(1);
  const { chain, params } = clusterGenesis(cluster.dataDir);
  const address = cluster.manifest.accounts.find(({ name }) => name === 'alice')?.address ?? '';
  const known = await getJson<{ nonce: number }>(`${rpc}/rpc/accounts/${address}`);
  account.nonce = known?.nonce ?? 0;
  const { final } = await submitCommit(rpc, toHex(nextTransfer(chain, params, account, account.address).bytes));
  return final;
}

async function requestsFor(cluster: Cluster, account: LoadAccount, seed: string): Promise<Requests> {
  const { rpc } = cluster.node(1);
  const { chain, params } = clusterGenesis(cluster.dataDir);
  const random = createRandom(`fuzz ${seed}`);
  const document = await getJson<OpenApi>(`${rpc}/openapi.json`);
  const discovered = await fetch(`${rpc}/rpc`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'rpc.discover' }),
  });
  const { result } = (await discovered.json()) as { result: { methods: { name: string }[] } };
  const samples = Array.from({ length: SAMPLES }, () => nextTransfer(chain, params, account, account.address));
  const head = await getJson<{ hash: string }>(`${rpc}/rpc/head`);
  const texts = [
    ...cluster.manifest.accounts.map(({ address }) => address),
    ...samples.slice(0, 4).map(({ id }) => toHex(id)),
    ...[cluster.manifest.chain_id, cluster.manifest.genesis_hash, head?.hash ?? '0', 'latest', 'hashes', '1'],
  ];
  const transactions = samples.map(({ bytes }) => toHex(bytes));
  const methods = [...result.methods.map(({ name }) => name), 'rpc.discover'];
  return new Requests(random, new Values(random, { texts, transactions }), document ?? { paths: {} }, methods);
}

async function main(argv: readonly string[]): Promise<number> {
  const args = parseFuzzArgs(argv);
  if (args.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const tell = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  tell(`fuzz · ${args.requests} requests, seed ${args.seed} · node ${process.version}`);
  const { checks, figures } = await fuzz(args, tell);
  for (const { what, met, measured } of checks) tell(`${met ? '✓' : '✗'} ${what}: ${measured}`);
  const ok = checks.every(({ met }) => met);
  tell(`  ${figures.requests_per_s} requests/s`);
  if (args.json) process.stdout.write(`${JSON.stringify({ ok, ...figures, checks })}\n`);
  return ok ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const error = toNodeError(thrown);
  process.stderr.write(`fuzz: ${error.message}${error.hint === undefined ? '' : `\n  ${error.hint}`}\n`);
  process.exitCode = error.code === 'USAGE' ? 2 : 1;
}
