/** A lying peer as a process of its own, and what the node that met it did about it. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NodeError } from '../../src/errors.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { nodeLayout, REPOSITORY } from '../../testnet/layout.ts';
import type { Lie } from './args.ts';

/** Besides what the benchmark of catching up knows: `chunk` gives wrong chunks of the snapshot that its node had made. */
export type PeerLie = Lie | 'chunk';

export interface Liar {
  readonly peerId: string;
  /** How often it was asked for blocks. */
  asked(): number;
  /** Lines of a node's log that name it. */
  namedBy(home: string): { readonly message: string; readonly reason: string }[];
  stop(): Promise<void>;
}

/** Ends a validator of the cluster and puts a liar with its key and address in its place. */
export async function replaceByLiar(cluster: Cluster, index: number, lie: PeerLie): Promise<Liar> {
  const { home, p2p, peer_id: peerId } = cluster.node(index);
  const { chain_id: chainId } = cluster.manifest;
  await cluster.kill([index]);
  const listen = p2p.slice(0, p2p.indexOf('/p2p/'));
  const child = fork(join(REPOSITORY, 'scripts', 'bench', 'liar-process.ts'), [home, chainId, listen, lie], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit');
  const began = await Promise.race([once(child, 'message').then(() => true), gone.then(() => false)]);
  if (!began) throw new NodeError('INTERNAL', 'the lying peer did not start');
  let asked = 0;
  child.on('message', () => (asked += 1));
  return {
    peerId,
    asked: () => asked,
    namedBy: (of) => linesNaming(nodeLayout(of, chainId).log, peerId),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await gone;
    },
  };
}

function linesNaming(log: string, peerId: string): { message: string; reason: string }[] {
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes(peerId))
    .map((line) => JSON.parse(line) as { msg: string; peer?: string; reason?: string; code?: string })
    .filter(({ peer }) => peer === peerId)
    .map(({ msg, reason, code }) => ({ message: msg, reason: reason ?? code ?? '' }));
}
