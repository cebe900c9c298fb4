/** A cluster behind proxies, under load and watched: what the faults work on. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { JsonObject } from '../../src/chain/modules/types.ts';
import { NodeError } from '../../src/errors.ts';
import type { Audit } from '../audit.ts';
import { auditStores, readGuard, VoteBook } from '../audit.ts';
import type { Cluster } from '../cluster.ts';
import { nodePorts, writePeers } from '../create.ts';
import { clusterGenesis } from '../genesis.ts';
import { getJson } from '../http.ts';
import { loadSeedPath, readSeed } from '../layout.ts';
import { AcknowledgedLoad } from '../load/acknowledged.ts';
import type { Random } from '../load/random.ts';
import { createRandom } from '../load/random.ts';
import type { LoadAccount } from '../load/transfers.ts';
import { loadAccounts } from '../load/transfers.ts';
import { NOWHERE, ProxyNetwork } from '../proxy/network.ts';
import { quietCheck } from '../quiet-check.ts';
import { keepUnless, withTemporaryCluster } from '../temporary-cluster.ts';
import { waitUntil } from '../wait.ts';
import { HeightObserver } from './observer.ts';
import type { Scorecard } from './scorecard.ts';

const SENDERS = 300;
const POLL_MS = 10;
/** After every fault the cluster must be whole again within this time, by itself. */
const RECOVER_MS = 60_000;

export interface BedOptions {
  readonly nodes: number;
  readonly seed: string;
  readonly transfersPerSecond: number;
  readonly params?: JsonObject;
  /** What lies between the nodes, made before they start; proxies on the loopback when absent. */
  readonly connect?: (cluster: Cluster, random: Random) => Promise<BedNetwork>;
}

export interface BedNetwork {
  readonly network: ProxyNetwork;
  close(): Promise<void>;
}

export interface BedReport {
  readonly audit: Audit;
  readonly votesChecked: number;
  readonly doubleSigns: number;
  readonly acknowledged: number;
}

/** GET /rpc/status, as far as it is used here. */
interface Status {
  readonly height: number;
  readonly signing: boolean;
  readonly validators_reachable: number;
  readonly quorum: number;
  readonly params: { readonly min_block_interval_ms: number };
}

export class TestBed {
  readonly cluster: Cluster;
  readonly genesis: Genesis;
  readonly network: ProxyNetwork;
  readonly observer: HeightObserver;
  readonly load: AcknowledgedLoad;
  /** Not among the load's senders. */
  readonly account: LoadAccount;
  readonly random: Random;
  readonly card: Scorecard;
  readonly tell: (line: string) => void;
  readonly #book = new VoteBook();

  constructor(parts: {
    readonly cluster: Cluster;
    readonly network: ProxyNetwork;
    readonly options: BedOptions;
    readonly card: Scorecard;
    readonly tell: (line: string) => void;
  }) {
    const { cluster, options } = parts;
    this.cluster = cluster;
    this.network = parts.network;
    this.card = parts.card;
    this.tell = parts.tell;
    this.genesis = clusterGenesis(cluster.dataDir);
    this.random = createRandom(options.seed);
    const accounts = loadAccounts(readSeed(loadSeedPath(cluster.dataDir)), SENDERS + 1);
    this.account = accounts.pop() as LoadAccount;
    const rpcs = cluster.manifest.nodes.map(({ rpc }) => rpc);
    this.load = new AcknowledgedLoad(this.genesis, accounts, rpcs, createRandom(`${options.seed}/load`));
    this.observer = new HeightObserver(cluster.manifest.nodes);
  }

  get indexes(): number[] {
    return this.cluster.manifest.nodes.map(({ index }) => index);
  }

  get intervalMs(): number {
    return this.genesis.params.minBlockIntervalMs;
  }

  get quorum(): number {
    return this.cluster.manifest.quorum;
  }

  others(indexes: readonly number[]): number[] {
    return this.indexes.filter((index) => !indexes.includes(index));
  }

  rpc(index: number): string {
    return this.cluster.node(index).rpc;
  }

  status(index: number): Promise<Status | undefined> {
    return getJson<Status>(`${this.rpc(index)}/rpc/status`);
  }

  /** Waits for a commit, and then for a random part of the interval, so that faults strike at any phase of a height. */
  async someMoment(): Promise<void> {
    const height = this.observer.highest();
    await waitUntil(() => this.observer.highest() > height, RECOVER_MS, POLL_MS);
    await sleep(this.random.next() * this.intervalMs);
  }

  /** Who proposes next, by a node that runs. */
  async proposer(): Promise<{ readonly height: number; readonly index: number } | undefined> {
    for (const index of this.random.shuffle(this.indexes)) {
      const answer = await getJson<{ height: number; proposer: string | null }>(`${this.rpc(index)}/rpc/consensus`);
      const found = this.cluster.manifest.nodes.find(({ validator }) => validator === answer?.proposer);
      if (answer && found) return { height: answer.height, index: found.index };
    }
    return undefined;
  }

  /** Kills with SIGKILL and reads what the sign guards say. @returns when, by performance.now() */
  async kill(indexes: readonly number[]): Promise<number> {
    this.checkProcesses();
    const atMs = performance.now();
    await this.cluster.kill(indexes);
    for (const index of indexes) readGuard(this.cluster.node(index), this.cluster.manifest.chain_id, this.#book);
    return atMs;
  }

  /** @returns ms from the start of the process until it has the others' head and signs; Infinity when it does not */
  async restart(indexes: readonly number[]): Promise<number> {
    const startedAt = performance.now();
    await this.cluster.restart(indexes);
    const caughtUp = await Promise.all(indexes.map((index) => this.#isCaughtUp(index)));
    return caughtUp.every(Boolean) ? performance.now() - startedAt : Number.POSITIVE_INFINITY;
  }

  async #isCaughtUp(index: number): Promise<boolean> {
    return waitUntil(
      async () => {
        const height = this.observer.highest();
        const status = await this.status(index);
        return status?.signing === true && status.height >= height;
      },
      RECOVER_MS,
      POLL_MS,
    );
  }

  /**
   * Waits until every node has a block that no node had before, and signs.
   *
   * @returns ms since `sinceMs`; Infinity when it does not come
   */
  async converge(sinceMs: number): Promise<number> {
    const height = this.observer.highest();
    const all = await Promise.all(
      this.indexes.map((index) =>
        waitUntil(
          async () => this.observer.height(index) > height && (await this.status(index))?.signing === true,
          RECOVER_MS,
          POLL_MS,
        ),
      ),
    );
    return all.every(Boolean) ? performance.now() - sinceMs : Number.POSITIVE_INFINITY;
  }

  /** Waits until each of these nodes was seen to commit after a moment. */
  async committedAfter(indexes: readonly number[], atMs: number): Promise<boolean> {
    return waitUntil(
      () => indexes.every((index) => (this.observer.commits(index).at(-1)?.atMs ?? 0) > atMs),
      RECOVER_MS,
      POLL_MS,
    );
  }

  /** A process that ended by itself is a violation, whatever its exit code. */
  checkProcesses(): void {
    for (const node of this.cluster.read().nodes) {
      if (node.state === 'failed') this.card.violate(`${node.name} ended by itself: ${this.cluster.epitaph(node)}`);
    }
  }

  /** All nodes run, are connected, sign and have one head. @throws NodeError TIMEOUT when they do not come to that by themselves */
  async settle(): Promise<void> {
    this.checkProcesses();
    const took = await this.converge(performance.now());
    if (took === Number.POSITIVE_INFINITY) {
      throw new NodeError('TIMEOUT', `the cluster is not whole again after ${RECOVER_MS} ms`, {
        data: { heights: this.indexes.map((index) => this.observer.height(index)).join(', ') },
        hint: 'read the node.log of each node',
      });
    }
  }

  /** Stops load and cluster, and reads the folders. */
  async finish(loading: Promise<void>): Promise<BedReport> {
    this.load.stop();
    await loading;
    for (const fault of await quietCheck(this.cluster, this.genesis, this.account)) this.card.violate(fault);
    this.checkProcesses();
    await this.observer.stop();
    await this.cluster.down();
    const { nodes, chain_id: chainId } = this.cluster.manifest;
    for (const node of nodes) readGuard(node, chainId, this.#book);
    const audit = await auditStores(nodes, this.genesis, this.load.acknowledged, this.#book);
    for (const fault of audit.faults) this.card.violate(fault);
    for (const slot of this.#book.conflicts) this.card.violate(`double sign: ${slot}`);
    return {
      audit,
      votesChecked: this.#book.size,
      doubleSigns: this.#book.conflicts.length,
      acknowledged: this.load.acknowledged.size,
    };
  }
}

/** Makes a cluster whose nodes find each other only through proxies, starts it under load, and audits it in the end. */
export async function withTestBed(
  options: BedOptions,
  card: Scorecard,
  tell: (line: string) => void,
  use: (bed: TestBed) => Promise<void>,
): Promise<BedReport> {
  const clusterOptions = {
    validators: options.nodes,
    loadAccounts: SENDERS + 1,
    ...(options.params && { params: options.params }),
  };
  return withTemporaryCluster(
    clusterOptions,
    async (cluster) => {
      const connected = await (options.connect ?? direct)(cluster, createRandom(`${options.seed}/network`));
      const bed = new TestBed({ cluster, network: connected.network, options, card, tell });
      let loading: Promise<void> | undefined;
      try {
        await cluster.start(true);
        await cluster.waitReady();
        bed.observer.start();
        loading = bed.load.run(options.transfersPerSecond);
        await bed.settle();
        await use(bed);
        return await bed.finish(loading);
      } finally {
        bed.load.stop();
        await bed.observer.stop();
        // Before what is between them goes, so that nobody is left in a namespace.
        await cluster.abort();
        await connected.close();
      }
    },
    keepUnless(() => card.violations.length === 0, tell),
  );
}

async function direct(cluster: Cluster, random: Random): Promise<BedNetwork> {
  const network = await proxied(cluster, random);
  return { network, close: () => network.close() };
}

/** Puts a proxy on every way between two nodes, before they start. */
export async function proxied(cluster: Cluster, random: Random): Promise<ProxyNetwork> {
  const { nodes, chain_id: chainId } = cluster.manifest;
  const network = await ProxyNetwork.open(
    nodes.map((node) => ({ index: node.index, port: nodePorts(node)[0] ?? 0 })),
    random,
  );
  for (const node of nodes) {
    const peers = nodes
      .filter(({ index }) => index !== node.index)
      .map(({ index, peer_id: peerId }) => `/ip4/127.0.0.1/tcp/${network.port(node.index, index)}/p2p/${peerId}`);
    writePeers(node, [chainId], peers, [NOWHERE]);
  }
  return network;
}
