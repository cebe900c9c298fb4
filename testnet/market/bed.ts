/** Three validators, a miner, and clients, with proxies on every way between them: what is killed and cut. */
import { readFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fetchOver } from '../../src/cli/admin-socket.ts';
import { homeLayout } from '../../src/config/home.ts';
import type { Cluster } from '../cluster.ts';
import { nodePorts } from '../create.ts';
import { getJson, probe } from '../http.ts';
import { writePrivate } from '../layout.ts';
import type { Random } from '../load/random.ts';
import { members } from '../members.ts';
import { offeredModels } from '../miners.ts';
import { runningProcess } from '../node-process.ts';
import type { ProcessId } from '../processes.ts';
import { ProxyLink } from '../proxy/link.ts';
import { NOWHERE, ProxyNetwork } from '../proxy/network.ts';
import { minerPorts } from '../settings.ts';
import { keepUnless, withTemporaryCluster } from '../temporary-cluster.ts';
import { waitUntil } from '../wait.ts';
import { CommandJob, WORK } from './command-job.ts';
import { DoorJob } from './door-job.ts';
import { KillOrders } from './kill-order.ts';
import type { Cut, Script } from './plan.ts';

const VALIDATORS = 3;
export const PAYER = 'alice';
export const MINER = 'm1';
/** Of the miner among those behind proxies. */
const MINER_PLACE = VALIDATORS + 1;
/** After every fault the market must be whole again within this time, by itself. */
const WHOLE_MS = 60_000;
/** So long without a write, nothing is under way any more. */
const QUIET_MS = 400;
const MAX_QUIET_MS = 40_000;

export type MarketJob = CommandJob | DoorJob;

interface MinerAnswer {
  readonly models: readonly { readonly kind: string; readonly bytes_per_second: number }[];
}

export class MarketBed {
  readonly cluster: Cluster;
  readonly orders: KillOrders;
  readonly #network: ProxyNetwork;
  readonly #door: ProxyLink;
  #jobs = 0;
  #job: MarketJob | null = null;

  constructor(cluster: Cluster, orders: KillOrders, network: ProxyNetwork, door: ProxyLink) {
    this.cluster = cluster;
    this.orders = orders;
    this.#network = network;
    this.#door = door;
  }

  get rpc(): string {
    return this.cluster.node(1).rpc;
  }

  /** Gives a job, and does not wait for it. */
  submit(script: Script): MarketJob {
    this.#job = script === 'command' ? this.#commandJob() : this.#doorJob();
    return this.#job;
  }

  process(name: string): ProcessId {
    const { chain_id: chainId } = this.cluster.manifest;
    const member = members(this.cluster.manifest).find((each) => each.name === name);
    const id = member && runningProcess(member, chainId);
    if (!id) throw new Error(`${name} does not run`);
    return id;
  }

  /** After somebody was killed: what a supervisor does. */
  async restart(name: string): Promise<void> {
    await this.cluster.kill([name]);
    await this.cluster.restart([name]);
  }

  async height(): Promise<number> {
    return (await getJson<{ readonly height: number }>(`${this.rpc}/rpc/head`))?.height ?? 0;
  }

  /** Waits until all serve and know the miner. @returns what is not as it should be */
  async whole(): Promise<string[]> {
    const { nodes, miners = [] } = this.cluster.read();
    const faults = members(this.cluster.manifest)
      .filter(({ state }) => state !== 'running')
      .map((member) => `${member.name} is ${member.state}: ${this.cluster.epitaph(member)}`);
    if (faults.length > 0) return faults;
    for (const { name, rpc } of nodes) {
      if (!(await waitUntil(async () => (await probe(`${rpc}/readyz`)) === 200, WHOLE_MS))) {
        faults.push(`${name} is not ready`);
      }
    }
    for (const { name, address } of miners) {
      const isOffered = async (): Promise<boolean> => (await offeredModels(this.rpc, address)).length > 0;
      if (!(await waitUntil(isOffered, WHOLE_MS))) faults.push(`n1 does not know the offer of ${name}`);
    }
    return faults;
  }

  /** Bytes a second of the work, by the miner's own measure; 0 before the first. */
  async pace(): Promise<number> {
    const { miners = [], chain_id: chainId } = this.cluster.manifest;
    const [{ home = '' } = {}] = miners;
    const ask = fetchOver(homeLayout(home, chainId).adminSocket);
    const answer = await ask('http://miner/api/miner', {}).catch(() => null);
    if (answer?.ok !== true) return 0;
    const { models } = (await answer.json()) as MinerAnswer;
    return Math.max(0, ...models.filter(({ kind }) => kind === WORK.kind).map((model) => model.bytes_per_second));
  }

  /** Waits until neither side of the market has anything left to write. */
  async quiet(): Promise<void> {
    const names = ['n1', MINER];
    for (const name of names) this.orders.count(name);
    let last = '';
    let sinceMs = performance.now();
    await waitUntil(() => {
      const now = names.map((name) => this.orders.counted(name)).join(' ');
      if (now !== last) sinceMs = performance.now();
      last = now;
      return performance.now() - sinceMs >= QUIET_MS;
    }, MAX_QUIET_MS);
    for (const name of names) this.orders.withdraw(name);
  }

  cut({ script, pair, mode }: Cut): void {
    const others = [2, 3];
    switch (pair) {
      case 'client-miner':
        this.#network.cut(1, MINER_PLACE, mode);
        return;
      case 'miner-validators':
        for (const place of [1, ...others]) this.#network.cut(place, MINER_PLACE, mode);
        return;
      case 'coordinator-validators':
        if (script === 'command') this.#door.setMode(mode);
        else for (const place of others) this.#network.cut(1, place, mode);
    }
  }

  heal(): void {
    this.#network.heal();
    this.#door.setMode('open');
  }

  async close(): Promise<void> {
    this.#job?.abort();
    await Promise.all([this.#network.close(), this.#door.close()]);
  }

  #commandJob(): CommandJob {
    const payer = this.cluster.manifest.accounts.find(({ name }) => name === PAYER);
    return new CommandJob({
      home: join(this.cluster.dataDir, 'clients', String(++this.#jobs)),
      rpc: `http://127.0.0.1:${this.#door.port}`,
      keyFile: payer?.key_file ?? '',
      killPoints: this.orders.prefix('client'),
    });
  }

  #doorJob(): DoorJob {
    const { gateway } = this.cluster.manifest;
    if (!gateway) throw new Error('the cluster has no gateway');
    return new DoorJob(gateway);
  }
}

export async function withMarketBed<T extends { readonly ok: boolean }>(
  random: Random,
  tell: (line: string) => void,
  use: (bed: MarketBed) => Promise<T>,
): Promise<T> {
  const config = { 'p2p.announce': [NOWHERE] };
  return withTemporaryCluster(
    { validators: VALIDATORS, miners: 1, config },
    async (cluster) => {
      const folder = join(cluster.dataDir, 'orders');
      mkdirSync(folder);
      const orders = new KillOrders(folder);
      cluster.orders = (name) => ({ killPoints: orders.prefix(name) });
      const network = await proxied(cluster, random);
      const [, rpcPort = 0] = nodePorts(cluster.node(1));
      const bed = new MarketBed(cluster, orders, network, await ProxyLink.open({ targetPort: rpcPort }, random));
      try {
        await cluster.start(true);
        await cluster.waitReady();
        return await use(bed);
      } finally {
        await bed.close();
      }
    },
    keepUnless(({ ok }) => ok, tell),
  );
}

/** Whom a member dials it finds through a proxy of its own, before it starts. */
async function proxied(cluster: Cluster, random: Random): Promise<ProxyNetwork> {
  const { nodes, miners = [], chain_id: chainId } = cluster.manifest;
  const [miner] = miners;
  if (!miner) throw new Error('the cluster has no miner');
  const listening = nodes.map((node) => ({ index: node.index, port: nodePorts(node)[0] ?? 0 }));
  const places = [...listening, { index: MINER_PLACE, port: minerPorts(cluster.dataDir, 1).p2p }];
  const network = await ProxyNetwork.open(places, random);
  for (const [place, { home }] of [...nodes, miner].entries()) {
    const path = homeLayout(home, chainId).config;
    let text = readFileSync(path, 'utf8');
    for (const { index, p2p } of nodes) {
      if (index === place + 1) continue;
      const [, , , , , , peerId] = p2p.split('/');
      text = text.replaceAll(p2p, `/ip4/127.0.0.1/tcp/${network.port(place + 1, index)}/p2p/${peerId ?? ''}`);
    }
    writePrivate(path, text);
  }
  return network;
}
