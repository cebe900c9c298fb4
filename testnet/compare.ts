/** Whether all running nodes of a cluster hold the same chain, asked over their RPC. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import { getJson } from './http.ts';

const SETTLE_MS = 20_000;
const POLL_MS = 50;

/** GET /rpc/head, as far as it is used here. */
export interface Head {
  readonly height: number;
  readonly hash: string;
  readonly state_root: string;
}

export interface Comparison {
  /** Highest height that all nodes have; 0 without one. */
  readonly height: number;
  /** A block's id covers its parent's, so equal ids at one height mean equal blocks, and states, at all below. */
  readonly equal: boolean;
}

/**
 * Compares the nodes' blocks at the height that all have, once their heads agree or after a while.
 *
 * @param chainId the default chain when absent
 */
export async function compareNodes(cluster: Cluster, settleMs = SETTLE_MS, chainId?: string): Promise<Comparison> {
  const of = chainId === undefined ? '' : `?chain_id=${chainId}`;
  const urls = cluster.read().nodes.flatMap(({ rpc, state }) => (state === 'running' ? [rpc] : []));
  const deadline = performance.now() + settleMs;
  for (;;) {
    const heads = await Promise.all(urls.map((url) => getJson<Head>(`${url}/rpc/head${of}`)));
    const heights = heads.map((head) => head?.height ?? 0);
    const lowest = Math.min(...heights);
    if (lowest === Math.max(...heights) || performance.now() > deadline) {
      if (lowest === 0) return { height: 0, equal: Math.max(...heights) === 0 };
      const blocks = await Promise.all(urls.map((url) => getJson<Head>(`${url}/rpc/blocks/${lowest}${of}`)));
      const distinct = new Set(blocks.map((block) => (block ? `${block.hash} ${block.state_root}` : 'none')));
      return { height: lowest, equal: distinct.size === 1 && !distinct.has('none') };
    }
    await sleep(POLL_MS);
  }
}
