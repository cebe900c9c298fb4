/** A node that catches up while a person looks on, until it says "Synced". */
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeError } from '../../errors.ts';
import type { Client } from '../../sdk/client.ts';
import type { PeersResponse, StatusResponse } from '../../sdk/types.ts';
import { sentence } from '../status.ts';

const POLL_MS = 200;
const TELL_EVERY_MS = 5_000;

export interface Synced {
  readonly status: StatusResponse;
  /** Height of the snapshot that a node without blocks began with; null when it fetched all. */
  readonly snapshotHeight: number | null;
  readonly tookMs: number;
}

export interface FollowOptions {
  readonly client: Client;
  /** Without any progress for so long it is given up; null: never. */
  readonly patienceMs: number | null;
  /** One line, which may replace the last one. */
  readonly tell: (line: string) => void;
  /** The user wants no more. */
  readonly ended: AbortSignal;
}

/** @returns null when it was ended @throws NodeError TIMEOUT without progress, UNREACHABLE */
export async function followUntilSynced({ client, patienceMs, tell, ended }: FollowOptions): Promise<Synced | null> {
  const beganAtMs = performance.now();
  let movedAtMs = beganAtMs;
  let last = '';
  let isNew: boolean | undefined;
  while (!ended.aborted) {
    const [status, peers] = await Promise.all([client.status(), client.peers()]);
    isNew ??= status.height === 0;
    const nowMs = performance.now();
    if (isSynced(status, peers)) {
      const snapshotHeight = isNew && status.base_height > 1 ? status.base_height : null;
      return { status, snapshotHeight, tookMs: nowMs - beganAtMs };
    }
    const place = progressOf(status);
    if (place !== last) movedAtMs = nowMs;
    last = place;
    tell(`${sentence(status)}; ${status.peers} connected`);
    if (patienceMs !== null && nowMs - movedAtMs > patienceMs) {
      throw new NodeError(
        'TIMEOUT',
        `not synced: nothing has moved for ${Math.round(patienceMs / 1000)} s (${sentence(status)})`,
        {
          data: { chain_id: status.chain_id, height: status.height, peers: status.peers },
          hint: 'what was fetched is kept. aitbc doctor says what is wrong; aitbc start goes on, or try again with a longer --timeout',
        },
      );
    }
    await sleep(POLL_MS, undefined, { signal: ended }).catch(() => undefined);
  }
  return null;
}

/** The node says so, and it has the height that at least one honest validator signed for. */
export function isSynced({ state, height, validators_total }: StatusResponse, { peers }: PeersResponse): boolean {
  if (state !== 'synced') return false;
  const heights = peers.flatMap((peer) => (peer.validator === null || peer.height === null ? [] : [peer.height]));
  // Fewer than a third may lie: of the heights they claim, as many as there may be of them are passed over.
  const liars = Math.max(0, Math.ceil(validators_total / 3) - 1);
  const [claimed = 0] = heights.sort((a, b) => b - a).slice(liars);
  return height >= claimed;
}

function progressOf({ state, height, peers, snapshot, validators_reachable }: StatusResponse): string {
  return [state, height, peers, snapshot?.phase, snapshot?.chunks_done, validators_reachable].join(' ');
}

/** Lines written over each other on a terminal; elsewhere one every few seconds, when it differs. */
export function createTeller(stream: NodeJS.WriteStream): { tell(line: string): void; end(): void } {
  let shown = '';
  let shownAtMs = -Infinity;
  return {
    tell: (line) => {
      if (line === shown || (!stream.isTTY && performance.now() - shownAtMs < TELL_EVERY_MS)) return;
      shown = line;
      shownAtMs = performance.now();
      stream.write(stream.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
    },
    end: () => {
      if (stream.isTTY && shown !== '') stream.write('\r\u001b[K');
    },
  };
}
