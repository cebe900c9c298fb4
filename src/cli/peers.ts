/** `aitbc peers`: who this node is connected with, and how well. */
import type { Command } from 'commander';
import type { PeerResponse, PeersResponse } from '../sdk/types.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { printable, shortHash, table } from './output.ts';

const HEAD = ['NAME', 'PEER', 'PATH', 'RTT', 'HEAD', 'CLOCK', 'SCORE', 'AGENT', 'ADDRESS'];

export function register(program: Command): void {
  program
    .command('peers')
    .description('connected nodes: name, path, round-trip time and head of each')
    .action(async (_options: object, command: Command) => {
      await showPeers(createContext(command));
    });
}

export async function showPeers(context: Context): Promise<void> {
  const answer = await context.client().peers();
  context.out.data(answer, printable(peersTable(answer)));
}

/** Validators by name first, then the others; those refused for their genesis follow in sentences. */
function peersTable({ peers, refused }: PeersResponse): string {
  const rows = [...peers].sort((a, b) => compare(a.name, b.name)).map(row);
  const lines = [rows.length === 0 ? 'No peers.' : table(HEAD, rows)];
  for (const { peer_id, address, their_genesis } of refused) {
    lines.push(`Refused: ${peer_id} at ${address} has another genesis of this name, ${shortHash(their_genesis)}`);
  }
  return lines.join('\n');
}

function row(peer: PeerResponse): (string | number | null)[] {
  const { peer_id, name, path, direction, rtt_ms, height, clock_offset_ms: offset, score, agent, addresses } = peer;
  const way = `${path} ${direction === 'outbound' ? 'out' : 'in'}`;
  const rtt = rtt_ms === null ? null : `${rtt_ms < 10 ? rtt_ms.toFixed(1) : Math.round(rtt_ms)} ms`;
  const clock = offset === null ? null : `${offset > 0 ? '+' : ''}${Math.round(offset)} ms`;
  return [name, peer_id, way, rtt, height, clock, Math.round(score), agent, addresses[0] ?? null];
}

/** Those without a name last. */
function compare(a: string | null, b: string | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  return b === null ? -1 : a < b ? -1 : 1;
}
