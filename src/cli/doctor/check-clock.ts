/** Is the clock right? Validators sign the time of theirs into every sign of life, and blocks have times. */
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';
import { fault, ok, warning } from './finding.ts';

/** For a stopped node, which does not tell the parameters of its chain: those of the templates. */
const USUAL_DELAY_MS = 2_000;
const SYNC_CLOCK = 'have the system keep the time: timedatectl set-ntp true, then timedatectl timesync-status';

interface Offset {
  readonly name: string;
  /** Their clock less ours. */
  readonly ms: number;
}

export function checkClock(facts: Facts): readonly Finding[] {
  return fromBlocks(facts) ?? fromPeers(facts);
}

/** A block from the future: no block is final before a quorum held its time for right. */
function fromBlocks({ home, node, nowMs }: Facts): readonly Finding[] | null {
  if (!home) return null;
  const headTimeMs = node.chain ? node.chain.headTimeMs : (home.stopped?.head?.timeMs ?? null);
  const allowedMs = node.chain?.status.params.delay_ms ?? USUAL_DELAY_MS;
  const aheadMs = headTimeMs === null ? 0 : headTimeMs - nowMs;
  if (aheadMs <= allowedMs) return null;
  const what = `the clock of this machine is behind: the newest block is ${seconds(aheadMs)} s in its future`;
  return [fault('clock', 'CONFIG', what, SYNC_CLOCK)];
}

/** By the median: one wrong clock among others is another's. */
function fromPeers({ node }: Facts): readonly Finding[] {
  const { chain } = node;
  if (!chain) return [];
  const { precision_ms: noticeMs, delay_ms: mostMs } = chain.status.params;
  const offsets = chain.peers.peers.flatMap(({ name, peer_id, clock_offset_ms: ms }): Offset[] =>
    ms === null ? [] : [{ name: name ?? peer_id, ms }],
  );
  if (offsets.length === 0) return [];
  const middle = median(offsets.map(({ ms }) => ms));
  const what =
    `the clock of the node is ${seconds(middle)} s ${middle > 0 ? 'behind' : 'ahead of'} ` +
    (offsets.length === 1
      ? `that of ${offsets[0]?.name ?? ''}`
      : `those of ${offsets.length} validators, by their median`);
  if (Math.abs(middle) > mostMs) return [fault('clock', 'CONFIG', what, SYNC_CLOCK)];
  if (Math.abs(middle) > noticeMs) return [warning('clock', what, SYNC_CLOCK)];
  const others = offsets.filter(({ ms }) => Math.abs(ms) > noticeMs);
  return [
    ok(
      'clock',
      `within ${seconds(noticeMs)} s of ${offsets.length === 1 ? 'another validator' : 'the other validators'}`,
    ),
    ...others.map(({ name, ms }) =>
      warning(
        'clock',
        `the clock of ${name} is ${seconds(ms)} s ${ms > 0 ? 'ahead of' : 'behind'} this one`,
        `tell its operator to set the clock right: its proposals are refused from ${seconds(noticeMs)} s on`,
      ),
    ),
  ];
}

/** Of two in the middle the one nearer to zero: the other may be the wrong clock. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, sorted[Math.floor(sorted.length / 2)] ?? 0];
  return Math.abs(low) <= Math.abs(high) ? low : high;
}

function seconds(ms: number): string {
  return (Math.abs(ms) / 1000).toFixed(1);
}
