/**
 * How soon a job's first output comes, on a quiet cluster with one miner and the model of this package: with an agreement
 * opened for it, and within a session of a node that has one open. Before, what a cluster costs that has nothing to do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '../../src/bytes.ts';
import type { Coordinator, JobRequest } from '../../src/compute/coordinator/coordinator.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { chainOfStatus } from '../../src/sdk/build.ts';
import { createClient } from '../../src/sdk/client.ts';
import type { Market } from '../../src/sdk/market.ts';
import { createMarket } from '../../src/sdk/market.ts';
import { connectRelay } from '../../src/sdk/market-relay.ts';
import { createMemoryRows } from '../../src/sdk/memory-rows.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { readSeed } from '../../testnet/layout.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { cpuTimeMs } from '../../testnet/processes.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { BenchArgs } from './args.ts';
import type { Check } from './result.ts';
import { below, invariant } from './result.ts';

const MODEL = 'aitbc-tiny-1m';
const PROMPT = 'What is the capital of Austria?';
const ANSWER = /Vienna/;
/** A start leaves garbage that is collected, and code that is written to its cache, within the first half minute. */
const SETTLE_MS = 30_000;
const IDLE_MS = 60_000;
/** Between two jobs: so that each finds the chain idle. */
const GAP_MS = 1_500;
const UAIT = 1_000_000;

export async function jobs(
  args: BenchArgs,
  tell: (line: string) => void,
): Promise<{ readonly checks: Check[]; readonly figures: Record<string, unknown> }> {
  return withTemporaryCluster({ validators: args.nodes, miners: 1 }, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    tell(`idle for ${(SETTLE_MS + IDLE_MS) / 1000} s …`);
    const idle = await measureIdle(cluster);
    tell(`${args.samples} jobs with an agreement each, then ${args.samples} within a session …`);
    const opened = await openedFor(cluster, args.samples);
    const within = await withinSession(cluster, args.samples);
    const wrong = [...opened, ...within].filter(({ text }) => !ANSWER.test(text)).length;
    const [opening, session] = [percentilesOf(opened), percentilesOf(within)];
    return {
      checks: [
        below('first output with an agreement opened, p50', opening.p50, 400, ' ms'),
        below('first output within a session, p50', session.p50, 100, ' ms'),
        ...idle.usage.map(({ name, percent }) => below(`CPU of ${name} with nothing to do`, percent, 1, ' %')),
        invariant('no blocks with nothing to do', idle.blocks === 0, idle.blocks),
        invariant('every job was answered', wrong === 0, `${wrong} were not`),
      ],
      figures: {
        first_output_with_opening_ms: opening,
        first_output_in_session_ms: session,
        idle_cpu_percent: Object.fromEntries(idle.usage.map(({ name, percent }) => [name, percent])),
        measured_as:
          'from submitting to the first byte of output: by a coordinator in this process over the relay of n1, and by POST /v1/chat/completions with stream at n1',
      },
    };
  });
}

interface Answered {
  readonly firstMs: number;
  readonly text: string;
}

function percentilesOf(answers: readonly Answered[]): ReturnType<typeof percentiles> {
  return percentiles(answers.map(({ firstMs }) => firstMs));
}

async function measureIdle(cluster: Cluster): Promise<{
  readonly blocks: number;
  readonly usage: readonly { readonly name: string; readonly percent: number }[];
}> {
  const { nodes, miners = [] } = cluster.manifest;
  const client = createClient({ url: nodes[0]?.rpc ?? '' });
  const processes = [...nodes, ...miners].map(({ name, pid }) => ({ name, pid: pid ?? -1 }));
  await sleep(SETTLE_MS);
  const [heightBefore, before] = [(await client.status()).height, processes.map(({ pid }) => cpuTimeMs(pid) ?? 0)];
  await sleep(IDLE_MS);
  const usage = processes.map(({ name, pid }, i) => {
    const usedMs = (cpuTimeMs(pid) ?? Infinity) - (before[i] ?? 0);
    return { name, percent: Math.round((usedMs / IDLE_MS) * 1000) / 10 };
  });
  return { blocks: (await client.status()).height - heightBefore, usage };
}

async function openedFor(cluster: Cluster, samples: number): Promise<Answered[]> {
  const { nodes, accounts } = cluster.manifest;
  const client = createClient({ url: nodes[0]?.rpc ?? '' });
  const { chain, params } = chainOfStatus(await client.status());
  const signer = createNativeSigner(readSeed(accounts[0]?.key_file ?? ''));
  const miners = await connectRelay({ client, chain, crypto: nativeCrypto });
  const market: Market = await createMarket({
    ...{ client, light: null, miners, rows: createMemoryRows(), crypto: nativeCrypto },
    createSigner: createNativeSigner,
    signing: { hasher: nativeCrypto, chain, params, signer },
  });
  try {
    const answers: Answered[] = [];
    for (let i = 0; i < samples; i++) {
      answers.push(await answerOf(market.jobs));
      await sleep(GAP_MS);
    }
    return answers;
  } finally {
    await market.close();
    miners.close();
  }
}

async function answerOf(coordinator: Coordinator): Promise<Answered> {
  const request: JobRequest = {
    ...{ kind: 'llm.chat', model: MODEL, params: [], owner: '', idempotencyKey: null, agreement: 'single' },
    parts: [{ role: 'user', mediaType: 'text/plain', data: utf8(PROMPT) }],
    ...{ maxOutputBytes: 4_096, maxPriceUait: UAIT, queueMs: 30_000, executionMs: 30_000, totalMs: 60_000 },
  };
  const startedAt = performance.now();
  const { id } = await coordinator.submit(request);
  const pieces: Uint8Array[] = [];
  let firstMs = Infinity;
  for await (const piece of coordinator.output(id, 0, AbortSignal.timeout(60_000))) {
    firstMs = Math.min(firstMs, performance.now() - startedAt);
    pieces.push(piece);
  }
  return { firstMs, text: Buffer.concat(pieces).toString('utf8') };
}

async function withinSession(cluster: Cluster, samples: number): Promise<Answered[]> {
  const { gateway } = cluster.manifest;
  const ask = async (): Promise<Answered> => {
    const startedAt = performance.now();
    const response = await fetch(`${gateway?.url ?? ''}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${gateway?.api_key ?? ''}` },
      body: JSON.stringify({ model: MODEL, stream: true, messages: [{ role: 'user', content: PROMPT }] }),
    });
    let [text, firstMs] = ['', Infinity];
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      // The first event names the role and is sent before there is output.
      text += [...chunk.matchAll(/"content":"([^"]*)"/g)].map(([, content]) => content).join('');
      if (text !== '') firstMs = Math.min(firstMs, performance.now() - startedAt);
    }
    return { firstMs, text };
  };
  // Opens the session.
  await ask();
  const answers: Answered[] = [];
  for (let i = 0; i < samples; i++) {
    await sleep(GAP_MS / 5);
    answers.push(await ask());
  }
  return answers;
}
