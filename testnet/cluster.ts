/**
 * A cluster of node processes on this machine. Its truth is on disk (testnet.json and each node's process file), so that
 * a launcher, actions from other terminals, benchmarks and tests can work on one cluster one after the other.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../src/bytes.ts';
import { publicKeyOf } from '../src/chain/crypto/pure.ts';
import type { ErrorCode } from '../src/errors.ts';
import { NodeError } from '../src/errors.ts';
import type { ClusterOptions } from './create.ts';
import { addNode, chainIdsOf, createCluster, nodePorts } from './create.ts';
import { getJson, probe } from './http.ts';
import { nodeLayout, readSeed } from './layout.ts';
import { logTail } from './log-file.ts';
import { becomeLauncher, launcherOf, resignLauncher, withLock } from './lock.ts';
import type { Manifest, ManifestNode, NodeState } from './manifest.ts';
import { readManifest, writeManifest } from './manifest.ts';
import { describeExit, exitStatus, killNode, runningProcess, startNode, stopNode, waitGone } from './node-process.ts';
import { requireFree } from './ports.ts';
import { signalProcess } from './processes.ts';
import { readSettings } from './settings.ts';

export const READY_MS = 60_000;
const POLL_MS = 25;
/** A launcher in another terminal sees within this time that its cluster is down, and ends. */
const LAUNCHER_END_MS = 3000;

/** States in which a process is expected. */
const ALIVE: ReadonlySet<NodeState> = new Set<NodeState>(['starting', 'running', 'paused']);

export class Cluster {
  readonly dataDir: string;
  #manifest: Manifest;
  /** Only nodes that this process started: their exit is seen at once, with its code. */
  readonly #children = new Map<number, ChildProcess>();

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
      if (isUp(manifest) && manifest.nodes.some(({ pid }) => pid !== null)) {
        throw new NodeError('DATA_LOCKED', `the cluster in ${this.dataDir} runs already`, {
          hint: 'use it, stop it with --down, or use another --data',
        });
      }
      await requireFree(manifest.nodes.flatMap(nodePorts));
      if (tethered) becomeLauncher(this.dataDir);
      return manifest.nodes.map((node) => this.#spawn(node));
    });
  }

  /** Waits until every node that should run reports a quorum. @throws NodeError of the first that ends before, or TIMEOUT */
  async waitReady(indexes?: readonly number[], timeoutMs = READY_MS): Promise<void> {
    await this.#waitFor('/readyz', indexes, timeoutMs);
  }

  async kill(indexes: readonly number[]): Promise<void> {
    await this.#update(async (manifest) => {
      const nodes = indexes.map((index) => findNode(manifest, index));
      // The state is on disk before the process ends, so that nobody reports a crash.
      this.#write(withStates(manifest, indexes, 'killed'));
      const ids = nodes.map((node) => runningProcess(node, manifest.chain_id)).filter((id) => id !== undefined);
      for (const id of ids) signalProcess(id, 'SIGKILL');
      await Promise.all(ids.map(killNode));
      return withStates(manifest, indexes, 'killed').nodes.map((node) =>
        indexes.includes(node.index) ? { ...node, pid: null } : node,
      );
    });
  }

  /** Stops the nodes if they run and starts them; returns when their RPC answers. */
  async restart(indexes: readonly number[]): Promise<void> {
    await this.#update(async (manifest) => {
      const nodes = indexes.map((index) => findNode(manifest, index));
      this.#write(withStates(manifest, indexes, 'stopped'));
      await this.#stop(nodes);
      await requireFree(nodes.flatMap(nodePorts));
      return manifest.nodes.map((node) => (indexes.includes(node.index) ? this.#spawn(node) : node));
    });
    await this.#waitFor('/livez', indexes, READY_MS);
  }

  /** @throws NodeError CONFLICT when it does not run */
  async pause(index: number): Promise<void> {
    await this.#signal(index, 'SIGSTOP', 'paused');
  }

  /** @throws NodeError CONFLICT when it does not run */
  async resume(index: number): Promise<void> {
    await this.#signal(index, 'SIGCONT', 'running');
  }

  /** Starts a further node, which follows the chain until it is voted in. Returns its index. */
  async add(): Promise<number> {
    await this.#update(async (manifest) => {
      const next = await addNode(this.dataDir, manifest);
      const added = findNode(next, next.nodes.length);
      await requireFree(nodePorts(added));
      return [...manifest.nodes, this.#spawn(added)];
    });
    const index = this.#manifest.nodes.length;
    await this.#waitFor('/livez', [index], READY_MS);
    return index;
  }

  /** Stops all nodes; the data stays and can be started again. */
  async down(): Promise<void> {
    await this.#update(async (manifest) => {
      const all = manifest.nodes.map(({ index }) => index);
      this.#write(withStates(manifest, all, 'stopped'));
      await this.#stop(manifest.nodes);
      return withStates(manifest, all, 'stopped').nodes.map((node) => ({ ...node, pid: null }));
    });
    resignLauncher(this.dataDir);
    const launcher = launcherOf(this.dataDir);
    if (launcher) await waitGone(launcher, LAUNCHER_END_MS);
  }

  /** Ends every process at once, without asking. */
  async abort(): Promise<void> {
    await this.kill(this.#manifest.nodes.map(({ index }) => index));
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
  epitaph(node: ManifestNode): string {
    return describeExit(exitStatus(node, this.#manifest.chain_id, this.#children.get(node.index)));
  }

  logTail(node: ManifestNode): string[] {
    return logTail(nodeLayout(node.home, this.#manifest.chain_id).log);
  }

  #spawn(node: ManifestNode): ManifestNode {
    const { chain_id: chainId } = this.#manifest;
    const child = startNode(node, chainId, launcherOf(this.dataDir));
    this.#children.set(node.index, child);
    // The key may have been rotated since.
    const validator = toHex(publicKeyOf(readSeed(nodeLayout(node.home, chainId).validatorKey)));
    return { ...node, pid: child.pid ?? null, state: 'starting', validator };
  }

  async #stop(nodes: readonly ManifestNode[]): Promise<void> {
    const ids = nodes.map((node) => runningProcess(node, this.#manifest.chain_id)).filter((id) => id !== undefined);
    await Promise.all(ids.map(stopNode));
  }

  async #signal(index: number, signal: 'SIGSTOP' | 'SIGCONT', state: NodeState): Promise<void> {
    await this.#update((manifest) => {
      const node = findNode(manifest, index);
      const id = runningProcess(node, manifest.chain_id);
      if (!id || !signalProcess(id, signal)) {
        throw new NodeError('CONFLICT', `${node.name} does not run`, {
          hint: `npm run testnet -- --restart ${index}`,
        });
      }
      return Promise.resolve(withStates(manifest, [index], state).nodes);
    });
  }

  async #waitFor(path: string, indexes: readonly number[] | undefined, timeoutMs: number): Promise<void> {
    const wanted = this.#manifest.nodes.filter((node) => indexes?.includes(node.index) ?? ALIVE.has(node.state));
    const deadline = performance.now() + timeoutMs;
    await Promise.all(wanted.map((node) => this.#waitForNode(node, path, deadline)));
    await this.#update((manifest) =>
      Promise.resolve(
        manifest.nodes.map((node) =>
          node.state === 'starting' && wanted.some(({ index }) => index === node.index)
            ? { ...node, state: 'running' as const }
            : node,
        ),
      ),
    );
  }

  async #waitForNode(node: ManifestNode, path: string, deadline: number): Promise<void> {
    while ((await probe(node.rpc + path)) !== 200) {
      if (!runningProcess(node, this.#manifest.chain_id)) throw this.#exitError(node);
      if (performance.now() > deadline) {
        throw new NodeError('TIMEOUT', `${node.name} did not become ready`, {
          data: { log: this.logTail(node).join('\n') },
          hint: `read ${join(node.home, 'node.log')}; ask ${node.rpc}/readyz what is missing`,
        });
      }
      await sleep(POLL_MS);
    }
  }

  #exitError(node: ManifestNode): NodeError {
    const status = exitStatus(node, this.#manifest.chain_id, this.#children.get(node.index));
    return new NodeError(codeOfExit(status.code), `${node.name} ended: ${describeExit(status)}`, {
      data: { log: this.logTail(node).join('\n') },
      hint: `read ${join(node.home, 'node.log')}`,
    });
  }

  async #update(change: (manifest: Manifest) => Promise<ManifestNode[]>): Promise<void> {
    await withLock(this.dataDir, async () => {
      const manifest = this.read();
      this.#write({ ...manifest, nodes: await change(manifest) });
    });
  }

  #write(manifest: Manifest): void {
    this.#manifest = manifest;
    writeManifest(this.dataDir, manifest);
  }
}

function withStates(manifest: Manifest, indexes: readonly number[], state: NodeState): Manifest {
  return {
    ...manifest,
    nodes: manifest.nodes.map((node) => (indexes.includes(node.index) ? { ...node, state } : node)),
  };
}

function findNode(manifest: Manifest, index: number): ManifestNode {
  const node = manifest.nodes.find((candidate) => candidate.index === index);
  if (node) return node;
  throw new NodeError('UNKNOWN_NODE', `there is no node ${index}`, {
    data: { node: index },
    hint: `nodes are 1 to ${manifest.nodes.length}`,
  });
}

/** States as they are: a process that should run and does not has failed. */
function refresh(manifest: Manifest): Manifest {
  const nodes = manifest.nodes.map((node) => {
    const id = runningProcess(node, manifest.chain_id);
    if (id) return { ...node, pid: id.pid, state: ALIVE.has(node.state) ? node.state : ('running' as const) };
    return { ...node, pid: null, state: ALIVE.has(node.state) ? ('failed' as const) : node.state };
  });
  return { ...manifest, nodes };
}

/** Up: some process runs, or was killed by request only, so that it can be restarted. */
function isUp(manifest: Manifest): boolean {
  return manifest.nodes.some(({ pid, state }) => pid !== null || state === 'killed');
}

function checkSame(saved: Manifest, options: ClusterOptions): Manifest {
  const refuse = (what: string): never => {
    throw new NodeError('DATA_FOLDER', `${options.dataDir} holds another cluster: ${what}`, {
      hint: 'give the same options, use another --data, or remove the folder',
    });
  };
  const chainIds = chainIdsOf(saved).join(', ');
  const wanted = [options.chainId, ...(options.furtherChains ?? [])].join(', ');
  if (chainIds !== wanted) refuse(`its ${saved.further_chains ? 'chains are' : 'chain is'} ${chainIds}`);
  const settings = readSettings(options.dataDir);
  if (settings.validators !== options.validators) refuse(`it was made with --nodes ${settings.validators}`);
  if (options.basePort !== undefined && settings.basePort !== options.basePort) {
    refuse(settings.basePort === null ? 'its ports were drawn freely' : `its base port is ${settings.basePort}`);
  }
  return saved;
}

function codeOfExit(exit: number | null): ErrorCode {
  switch (exit) {
    case 3:
      return 'DATA_FOLDER';
    case 10:
      return 'GUARD';
    case 11:
      return 'CORRUPT';
    case 12:
      return 'STORAGE';
    default:
      return 'INTERNAL';
  }
}
