/** The processes of a cluster, validators and miners alike: found, changed and judged in its manifest. */
import { NodeError } from '../src/errors.ts';
import type { Manifest, ManifestMiner, ManifestNode, NodeState } from './manifest.ts';
import { runningProcess } from './node-process.ts';

export type Member = ManifestNode | ManifestMiner;

/** Index of a validator, or a name: n2, m1. */
export type MemberRef = number | string;

/** States in which a process is expected. */
export const ALIVE: ReadonlySet<NodeState> = new Set<NodeState>(['starting', 'running', 'paused']);

export function members({ nodes, miners = [] }: Manifest): Member[] {
  return [...nodes, ...miners];
}

/** @throws NodeError UNKNOWN_NODE */
export function findMember(manifest: Manifest, ref: MemberRef): Member {
  const found = members(manifest).find(({ name }) => name === nameOf(ref));
  if (found) return found;
  const { nodes, miners = [] } = manifest;
  throw new NodeError('UNKNOWN_NODE', `there is no node ${ref}`, {
    data: { node: ref },
    hint: `nodes are 1 to ${nodes.length}${miners.length > 0 ? `, miners m1 to m${miners.length}` : ''}`,
  });
}

/** @throws NodeError UNKNOWN_NODE */
export function findNode(manifest: Manifest, index: number): ManifestNode {
  const member = findMember(manifest, index);
  if ('rpc' in member) return member;
  throw new NodeError('UNKNOWN_NODE', `${member.name} is a miner`);
}

export function isMiner(member: Member): member is ManifestMiner {
  return !('rpc' in member);
}

function nameOf(ref: MemberRef): string {
  return typeof ref === 'number' ? `n${ref}` : ref;
}

/** Those named, changed; the others as they are. */
export function withMembers(
  manifest: Manifest,
  names: readonly string[],
  change: (member: Member) => Pick<Member, 'pid' | 'state'> & Partial<Pick<ManifestNode, 'validator'>>,
): Manifest {
  const nodes = manifest.nodes.map((node) => (names.includes(node.name) ? { ...node, ...change(node) } : node));
  const { miners } = manifest;
  if (!miners) return { ...manifest, nodes };
  const changed = miners.map((miner) => {
    if (!names.includes(miner.name)) return miner;
    const { pid, state } = change(miner);
    return { ...miner, pid, state };
  });
  return { ...manifest, nodes, miners: changed };
}

export function withStates(manifest: Manifest, names: readonly string[], state: NodeState): Manifest {
  return withMembers(manifest, names, ({ pid }) => ({ pid, state }));
}

/** In that state, and without process. */
export function withEnded(manifest: Manifest, names: readonly string[], state: NodeState): Manifest {
  return withMembers(manifest, names, () => ({ pid: null, state }));
}

/** States as they are: a process that should run and does not has failed. */
export function refresh(manifest: Manifest): Manifest {
  const names = members(manifest).map(({ name }) => name);
  return withMembers(manifest, names, (member) => {
    const id = runningProcess(member, manifest.chain_id);
    if (id) return { pid: id.pid, state: ALIVE.has(member.state) ? member.state : 'running' };
    return { pid: null, state: ALIVE.has(member.state) ? 'failed' : member.state };
  });
}

/** Up: some process runs, or was killed by request only, so that it can be restarted. */
export function isUp(manifest: Manifest): boolean {
  return members(manifest).some(({ pid, state }) => pid !== null || state === 'killed');
}
