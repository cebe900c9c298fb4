/** Asking a node what it does, as far as it answers. */
import { toNodeError } from '../../errors.ts';
import type { Client } from '../../sdk/client.ts';
import type { ChainFacts, Fault, NodeFacts } from './facts.ts';

/** @param client of the chain in question */
export async function probeNode(client: Client, chainId: string): Promise<NodeFacts> {
  try {
    const { chains } = await client.chains();
    const isRunning = chains.some(({ chain_id, state }) => chain_id === chainId && state === 'running');
    return { url: client.url, fault: null, chains, chain: isRunning ? await probeChain(client) : null };
  } catch (error) {
    return { url: client.url, fault: faultOf(error), chains: [], chain: null };
  }
}

async function probeChain(client: Client): Promise<ChainFacts> {
  const [status, consensus, peers, readiness] = await Promise.all([
    client.status(),
    client.consensus(),
    client.peers(),
    client.readiness(),
  ]);
  const head = status.height === 0 ? null : await client.head();
  return { status, consensus, peers, readiness, headTimeMs: head && Date.parse(head.timestamp) };
}

export function faultOf(error: unknown): Fault {
  const { code, message, hint } = toNodeError(error);
  return { code, message, hint: hint ?? null };
}
