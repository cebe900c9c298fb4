/** Start of a node that holds a long chain: after kill -9, until its RPC answers and until it signs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { getJson } from '../../testnet/http.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { cpuTimeMs } from '../../testnet/processes.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import { waitUntil } from '../../testnet/wait.ts';
import type { BenchArgs } from './args.ts';
import { makeClusterChain, timeOfChain } from './cluster-chain.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const TRANSFERS_A_BLOCK = 2;
const SENDERS = 1000;
const STARTS = 9;
const QUIET_MS = 500;
const LONGEST_MS = 60_000;
const POLL_MS = 10;
const BAR_MS = 3000;

export async function start(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  const { blocks, nodes: validators } = args;
  return withTemporaryCluster({ validators, loadAccounts: SENDERS, timeMs: timeOfChain(blocks) }, async (cluster) => {
    tell(`making ${blocks} blocks of ${TRANSFERS_A_BLOCK} transfers …`);
    const madeFrom = performance.now();
    await makeClusterChain(cluster, { blocks, transfersABlock: TRANSFERS_A_BLOCK, senders: SENDERS });
    tell(`made in ${Math.round((performance.now() - madeFrom) / 1000)} s; starting ${validators} nodes on it …`);
    await cluster.start(true);
    await cluster.waitReady();
    const answered: number[] = [];
    const signing: number[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < STARTS; round++) {
      const index = (round % validators) + 1;
      await sleep(QUIET_MS);
      const took = await restartOnce(cluster, index);
      answered.push(took.answeredMs);
      signing.push(took.signingMs);
      cpu.push(took.cpuMs);
      tell(
        `  n${index}: answers after ${Math.round(took.answeredMs)} ms, signs after ${Math.round(took.signingMs)} ms`,
      );
    }
    const compared = await compareNodes(cluster);
    return {
      checks: [
        below('start to first answer, worst', Math.max(...answered), BAR_MS, ' ms'),
        invariant('every node signs again', signing.every(Number.isFinite)),
        invariant('equal blocks on all nodes', compared.equal && compared.height >= blocks, compared.height),
      ],
      figures: {
        blocks,
        transfers_a_block: TRANSFERS_A_BLOCK,
        starts: STARTS,
        first_answer_ms: percentiles(answered),
        signing_ms: percentiles(signing),
        cpu_until_first_answer_ms: percentiles(cpu),
        measured_as: `from the start of the process after kill -9 until GET /livez answers, asked every 25 ms, and until its status says that it signs; the other validators run`,
      },
    };
  });
}

async function restartOnce(
  cluster: Cluster,
  index: number,
): Promise<{ readonly answeredMs: number; readonly signingMs: number; readonly cpuMs: number }> {
  await cluster.kill([index]);
  const startedAt = performance.now();
  await cluster.restart([index]);
  const answeredMs = performance.now() - startedAt;
  const cpuMs = cpuTimeMs(cluster.node(index).pid ?? 0) ?? Number.NaN;
  const signs = await waitUntil(
    async () => (await getJson<{ signing: boolean }>(`${cluster.node(index).rpc}/rpc/status`))?.signing === true,
    LONGEST_MS,
    POLL_MS,
  );
  return { answeredMs, cpuMs, signingMs: signs ? performance.now() - startedAt : Number.POSITIVE_INFINITY };
}
