/**
 * A cluster of node processes on this machine. Its truth is on disk (testnet.json and each node's process file), so that
 * a launcher, actions from other terminals, benchmarks and tests can work on one cluster one after the other.
 */
import type { ChildProcess } from 'node:child_process';
import { toHex } from '../src/bytes.ts';
import { publicKeyOf } from '../src/chain/crypto/pure.ts';
import { NodeError } from '../src/errors.ts';
import type { ClusterOptions, Placement } from './create.ts';
import { addNode, createCluster, nodePorts, placed } from './create.ts';
import { getJson } from './http.ts';
import { nodeLayout, readSeed } from './layout.ts';
import { logTail } from './log-file.ts';
import { becomeLauncher, launcherOf, resignLauncher, withLock } from './lock.ts';
import type { Manifest, ManifestNode, NodeState } from './manifest.ts';
import { readManifest, writeManifest } from './manifest.ts';
import type { Member, MemberRef } from './members.ts';
import {
  ALIVE,
  findMember,
  findNode,
  isMiner,
  isUp,
  members,
  refresh,
  withEnded,
  withMembers,
  withStates,
} from './members.ts';
import { openGateway, withModels } from './miners.ts';
import type { ChildOrders } from './node-process.ts';
import { describeExit, exitStatus, killNode, runningProcess, startNode, stopNode, waitGone } from './node-process.ts';
import { HOST, requireFree } from './ports.ts';
import { signalProcess } from './processes.ts';
import type { Watched } from './readiness.ts';
import { untilAnswers, untilOffered } from './readiness.ts';
import { checkSame } from './same-cluster.ts';
import { minerPorts } from './settings.ts';

export const READY_MS = 60_000;
/** A launcher in another terminal sees within this time that its cluster is down, and ends. */
const LAUNCHER_END_MS = 3000;

export class Cluster {
  readonly dataDir: string;
  /** For tests: what processes are told that start from now on, by their names. */
  orders: (name: string) => ChildOrders = () => ({});
  #manifest: Manifest;
  /** Only nodes that this process started: their exit is seen at once, with its code. */
  readonly #children = new Map<string, ChildProcess>();

  private constructor(dataDir: string, manifest: Manifest) {
    this.dataDir = dataDir;
    this.#manifest = manifest;
  }

  /** Makes the cluster, or takes up the one in the folder. @throws NodeError DATA_FOLDER when that is another one */
  static async open(options: ClusterOptions): Promise<Cluster> {
    return withLock(options.dataDir, async () => {
      const saved = readManifest(options.dataDir);
      const manifest = saved ? checkSame(saved, options) : await createCluster(options);
      return new Cluster(options.dataDir, refresh(manifest));
    });
  }

  /** @throws NodeError CLUSTER_DOWN unless a cluster runs here */
  static attach(dataDir: string): Cluster {
    const saved = readManifest(dataDir);
    const manifest = saved && refresh(saved);
    if (!manifest || !isUp(manifest)) {
      throw new NodeError('CLUSTER_DOWN', `no cluster runs in ${dataDir}`, {
        data: { dataDir },
        hint: 'start one: npm run testnet -- --nodes 3',
      });
    }
    return new Cluster(dataDir, manifest);
  }

  get manifest(): Manifest {
    return this.#manifest;
  }

  /** The manifest as it is on disk, with processes that ended by themselves marked as failed. */
  read(): Manifest {
    const saved = readManifest(this.dataDir);
    if (saved) this.#manifest = refresh(saved);
    return this.#manifest;
  }

  /** @throws NodeError UNKNOWN_NODE */
  node(index: number): ManifestNode {
    return findNode(this.#manifest, index);
  }

  /**
   * Starts every node that does not run, all at once.
   *
   * @param tethered the nodes end with this process, also when it is killed
   * @throws NodeError DATA_LOCKED | PORT_IN_USE
   */
  async start(tethered: boolean): Promise<void> {
    await this.#update(async (manifest) => {
      const all = members(manifest);
      if (isUp(manifest) && all.some(({ pid }) => pid !== null)) {
        throw this.#runsAlready();
      }
      await requireFree(all.flatMap((member) => this.#ports(member)));
      if (tethered) becomeLauncher(this.dataDir);
      return this.#spawn(manifest, all);
    });
  }

  /**
   * Waits until every node that should run reports a quorum, and, without `refs`, every miner's offer is seen.
   *
   * @throws NodeError of the first that ends before, or TIMEOUT
   */
  async waitReady(refs?: readonly MemberRef[], timeoutMs = READY_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    await this.#waitFor('/readyz', refs, timeoutMs);
    if (refs || !this.#manifest.miners?.some(({ state }) => state === 'running')) return;
    const [models, gateway] = await Promise.all([
      untilOffered(this.#watched(), this.#manifest, deadline),
      openGateway(this.#manifest),
    ]);
    await this.#update((manifest) => Promise.resolve({ ...withModels(manifest, models), ...(gateway && { gateway }) }));
  }

  async kill(refs: readonly MemberRef[]): Promise<void> {
    await this.#update(async (manifest) => {
      const found = refs.map((ref) => findMember(manifest, ref));
      const names = found.map(({ name }) => name);
      // The state is on disk before the process ends, so that nobody reports a crash.
      this.#write(withStates(manifest, names, 'killed'));
      const ids = found.map((member) => runningProcess(member, manifest.chain_id)).filter((id) => id !== undefined);
      for (const id of ids) signalProcess(id, 'SIGKILL');
      await Promise.all(ids.map(killNode));
      return withEnded(manifest, names, 'killed');
    });
  }

  /** Stops them if they run and starts them; returns when their RPC answers. */
  async restart(refs: readonly MemberRef[]): Promise<void> {
    await this.#update(async (manifest) => {
      const found = refs.map((ref) => findMember(manifest, ref));
      const stopped = withStates(
        manifest,
        found.map(({ name }) => name),
        'stopped',
      );
      this.#write(stopped);
      await this.#stop(found);
      await requireFree(found.flatMap((member) => this.#ports(member)));
      return this.#spawn(stopped, found);
    });
    await this.#waitFor('/livez', refs, READY_MS);
  }

  /** @throws NodeError CONFLICT when it does not run */
  async pause(ref: MemberRef): Promise<void> {
    await this.#signal(ref, 'SIGSTOP', 'paused');
  }

  /** @throws NodeError CONFLICT when it does not run */
  async resume(ref: MemberRef): Promise<void> {
    await this.#signal(ref, 'SIGCONT', 'running');
  }

  /** Starts a further node, which follows the chain until it is voted in. Returns its index. */
  async add(): Promise<number> {
    await this.#update(async (manifest) => {
      const next = await addNode(this.dataDir, manifest);
      const added = findNode(next, next.nodes.length);
      await requireFree(nodePorts(added));
      return this.#spawn(next, [added]);
    });
    const index = this.#manifest.nodes.length;
    await this.#waitFor('/livez', [index], READY_MS);
    return index;
  }

  /**
   * Gives nodes another address, by their index. What they are told of each other is for `writePeers`.
   *
   * @throws NodeError DATA_LOCKED when one of them runs
   */
  async place(placements: ReadonlyMap<number, Placement>): Promise<void> {
    await this.#update((manifest) => {
      const running = manifest.nodes.find(({ index, pid }) => placements.has(index) && pid !== null);
      if (running) throw this.#runsAlready();
      const nodes = manifest.nodes.map((node) => {
        const placement = placements.get(node.index);
        return placement ? placed(node, placement) : node;
      });
      return Promise.resolve({ ...manifest, nodes });
    });
  }

  /** Stops all, miners first, who have clients to tell; the data stays and can be started again. */
  async down(): Promise<void> {
    await this.#update(async (manifest) => {
      const all = members(manifest);
      const names = all.map(({ name }) => name);
      this.#write(withStates(manifest, names, 'stopped'));
      await this.#stop(manifest.miners ?? []);
      await this.#stop(manifest.nodes);
      return withEnded(manifest, names, 'stopped');
    });
    resignLauncher(this.dataDir);
    const launcher = launcherOf(this.dataDir);
    if (launcher) await waitGone(launcher, LAUNCHER_END_MS);
  }

  /** Ends every process at once, without asking. */
  async abort(): Promise<void> {
    await this.kill(members(this.#manifest).map(({ name }) => name));
    resignLauncher(this.dataDir);
  }

  /** Takes the quorum from a node that answers: votes may have changed it. */
  async refreshQuorum(): Promise<void> {
    const answers = await Promise.all(
      this.#manifest.nodes
        .filter(({ state }) => state === 'running')
        .map(({ rpc }) => getJson<{ readonly height: number; readonly quorum: number }>(`${rpc}/rpc/status`)),
    );
    const newest = answers.filter((answer) => answer !== undefined).sort((a, b) => b.height - a.height)[0];
    if (!newest || newest.quorum === this.#manifest.quorum) return;
    await withLock(this.dataDir, () => {
      this.#write({ ...this.read(), quorum: newest.quorum });
      return Promise.resolve();
    });
  }

  /** How a node that is gone ended, in words. */
  epitaph(node: Member): string {
    return describeExit(exitStatus(node, this.#manifest.chain_id, this.#children.get(node.name)));
  }

  logTail(node: Member): string[] {
    return logTail(nodeLayout(node.home, this.#manifest.chain_id).log);
  }

  #spawn(manifest: Manifest, started: readonly Member[]): Manifest {
    const { chain_id: chainId } = manifest;
    const names = started.map(({ name }) => name);
    return withMembers(manifest, names, (member) => {
      const child = startNode(member, chainId, launcherOf(this.dataDir), this.orders(member.name));
      this.#children.set(member.name, child);
      const now = { pid: child.pid ?? null, state: 'starting' } as const;
      if (isMiner(member)) return now;
      // The key may have been rotated since.
      return { ...now, validator: toHex(publicKeyOf(readSeed(nodeLayout(member.home, chainId).validatorKey))) };
    });
  }

  #runsAlready(): NodeError {
    return new NodeError('DATA_LOCKED', `the cluster in ${this.dataDir} runs already`, {
      hint: 'use it, stop it with --down, or use another --data',
    });
  }

  async #stop(stopped: readonly Member[]): Promise<void> {
    const ids = stopped
      .map((member) => runningProcess(member, this.#manifest.chain_id))
      .filter((id) => id !== undefined);
    await Promise.all(ids.map(stopNode));
  }

  #ports(member: Member): number[] {
    // In a namespace of its own nobody else takes its ports.
    if (!isMiner(member)) return member.netns === undefined ? nodePorts(member) : [];
    const { p2p, rpc, metrics } = minerPorts(this.dataDir, member.index);
    return [p2p, rpc, metrics];
  }

  async #signal(ref: MemberRef, signal: 'SIGSTOP' | 'SIGCONT', state: NodeState): Promise<void> {
    await this.#update((manifest) => {
      const member = findMember(manifest, ref);
      const id = runningProcess(member, manifest.chain_id);
      if (!id || !signalProcess(id, signal)) {
        throw new NodeError('CONFLICT', `${member.name} does not run`, {
          hint: `npm run testnet -- --restart ${ref}`,
        });
      }
      return Promise.resolve(withStates(manifest, [member.name], state));
    });
  }

  async #waitFor(path: string, refs: readonly MemberRef[] | undefined, timeoutMs: number): Promise<void> {
    const all = members(this.#manifest).filter(({ state }) => ALIVE.has(state));
    const wanted = refs?.map((ref) => findMember(this.#manifest, ref)) ?? all;
    const deadline = performance.now() + timeoutMs;
    await Promise.all(wanted.map((member) => untilAnswers(this.#watched(), member, path, deadline)));
    const names = wanted.map(({ name }) => name);
    await this.#update((manifest) => {
      const starting = members(manifest).filter(({ name, state }) => state === 'starting' && names.includes(name));
      return Promise.resolve(
        withStates(
          manifest,
          starting.map(({ name }) => name),
          'running',
        ),
      );
    });
  }

  /** What waits need to know of this cluster: see readiness.ts. */
  #watched(): Watched {
    return {
      chainId: this.#manifest.chain_id,
      rpcOf: (member) =>
        isMiner(member) ? `http://${HOST}:${minerPorts(this.dataDir, member.index).rpc}` : member.rpc,
      logOf: (member) => this.logTail(member),
      exitOf: (member) => exitStatus(member, this.#manifest.chain_id, this.#children.get(member.name)),
    };
  }

  async #update(change: (manifest: Manifest) => Promise<Manifest>): Promise<void> {
    await withLock(this.dataDir, async () => {
      this.#write(await change(this.read()));
    });
  }

  #write(manifest: Manifest): void {
    this.#manifest = manifest;
    writeManifest(this.dataDir, manifest);
  }
}
