/** Ports of a cluster's nodes: fixed by --base-port, or free ones that are kept for later starts. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { BLOCKED_PORTS } from '../src/config/blocked-ports.ts';
import { NodeError } from '../src/errors.ts';

export interface NodePorts {
  readonly p2p: number;
  readonly rpc: number;
  readonly metrics: number;
}

export const HOST = '127.0.0.1';

/** Ports between the nodes of a cluster with a base port. */
const STRIDE = 10;
const PORTS_A_NODE = 3;
/** Above all that `fetch`, and with it whatever asks a node, refuses to dial. */
const LOWEST_FREE = Math.max(...BLOCKED_PORTS) + 1;
const HIGHEST_PORT = 65_535;

/** Node `index` (from 1) of a cluster with a base port: P2P, then RPC, then metrics. @throws NodeError USAGE */
export function portsFromBase(basePort: number, index: number): NodePorts {
  const p2p = basePort + STRIDE * (index - 1);
  if (basePort < 1 || p2p + PORTS_A_NODE - 1 > HIGHEST_PORT) {
    throw new NodeError('USAGE', `--base-port ${basePort} leaves no room for node ${index}`, {
      hint: `choose a base port from 1024 to ${HIGHEST_PORT - STRIDE * index}`,
    });
  }
  const ports = { p2p, rpc: p2p + 1, metrics: p2p + 2 };
  const refused = [ports.rpc, ports.metrics].find((port) => BLOCKED_PORTS.has(port));
  if (refused !== undefined) {
    throw new NodeError('USAGE', `--base-port ${basePort} gives node ${index} port ${refused}, which fetch refuses`, {
      hint: `choose a base port from ${LOWEST_FREE} up`,
    });
  }
  return ports;
}

/** Three ports that nobody listens on. @throws NodeError PORT_IN_USE when none is found */
export async function freePorts(taken: ReadonlySet<number>): Promise<NodePorts> {
  const found: number[] = [];
  const limit = lowestOutgoingPort();
  for (let attempt = 0; attempt < 1000 && found.length < PORTS_A_NODE; attempt++) {
    const port = randomInt(LOWEST_FREE, limit);
    if (!taken.has(port) && !found.includes(port) && (await isFree(port))) found.push(port);
  }
  const [p2p, rpc, metrics] = found;
  if (p2p === undefined || rpc === undefined || metrics === undefined) {
    throw new NodeError('PORT_IN_USE', 'found no free ports', { hint: 'stop other clusters, or give --base-port' });
  }
  return { p2p, rpc, metrics };
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: HOST, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/** @throws NodeError PORT_IN_USE naming every port of `ports` that somebody listens on */
export async function requireFree(ports: readonly number[]): Promise<void> {
  const free = await Promise.all(ports.map(isFree));
  const used = ports.filter((_, i) => free[i] === false);
  if (used.length === 0) return;
  throw new NodeError('PORT_IN_USE', `in use on ${HOST}: port ${used.join(', ')}`, {
    data: { ports: used.join(',') },
    hint: 'stop the program that listens there, or use another --base-port or --data',
  });
}

/**
 * The system draws the ports of outgoing connections from above this one. A node that is down must find its port free
 * again, so none of that range is used.
 */
function lowestOutgoingPort(): number {
  try {
    const low = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
    if (low > LOWEST_FREE + 1000) return low;
  } catch {
    // Not Linux.
  }
  return 32_768;
}
