/** What a chain at full load does to a quiet one in the same processes: single transfers with the load and without, by turns. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { operatorName } from '../../testnet/accounts.ts';
import type { Cluster } from '../../testnet/cluster.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { accountKeyPath, readSeed } from '../../testnet/layout.ts';
import { percentiles } from '../../testnet/load/percentiles.ts';
import { createRandom } from '../../testnet/load/random.ts';
import { submitCommit } from '../../testnet/load/rpc.ts';
import type { LoadAccount } from '../../testnet/load/transfers.ts';
import { nextTransfer } from '../../testnet/load/transfers.ts';
import { withTemporaryCluster } from '../../testnet/temporary-cluster.ts';
import type { BenchArgs } from './args.ts';
import type { Trial } from './full-load.ts';
import { longestHeld, measureOnce, SENDERS, startLoad, trialsOf, warmUp } from './full-load.ts';
import type { Check } from './result.ts';
import { atMost, invariant } from './result.ts';

const QUIET = 'ait-testnet';
/** With the load, and as long without it. */
const PHASE_MS = 30_000;
const WARM_UP = 5;
/** Above the block interval of the quiet chain, so that no transfer waits for it. */
const GAP_MS = { least: 1050, spread: 300 };
const FACTOR_BAR = 2;
const ADDED_BAR_MS = 150;

interface Measured {
  readonly checks: Check[];
  readonly figures: Record<string, unknown>;
}

export async function isolation(args: BenchArgs, tell: (line: string) => void): Promise<Measured> {
  const options = { validators: args.nodes, loadAccounts: SENDERS, furtherChains: [QUIET] };
  return withTemporaryCluster(options, async (cluster) => {
    await cluster.start(true);
    await cluster.waitReady();
    const sampler = new QuietSampler(cluster);
    const load = await startLoad(cluster);
    try {
      const rate = await (args.rate === undefined ? fullRate(cluster, load, tell) : warmUp(cluster, load, args.rate));
      for (let i = 0; i < WARM_UP; i++) await sampler.once();
      const alone: number[] = [];
      const loaded: number[] = [];
      const trials: Trial[] = [];
      while (Math.min(alone.length, loaded.length) < args.samples) {
        alone.push(...(await sampler.during(sleep(PHASE_MS))));
        const measuring = Promise.withResolvers<undefined>();
        const running = measureOnce(cluster, load, rate, PHASE_MS, () => {
          measuring.resolve(undefined);
        });
        await Promise.race([measuring.promise, running]);
        loaded.push(...(await sampler.during(sleep(PHASE_MS))));
        const trial = await running;
        trials.push(trial);
        tell(phaseLine(alone, loaded, trial));
      }
      return await judgeIsolation(cluster, sampler, { alone, loaded, trials, rate });
    } finally {
      await load.close();
    }
  });
}

async function fullRate(
  cluster: Cluster,
  load: Awaited<ReturnType<typeof startLoad>>,
  tell: (line: string) => void,
): Promise<number> {
  const { result } = await longestHeld(trialsOf(cluster, load, tell), PHASE_MS);
  return result.rate;
}

/** Sends one transfer at a time on the quiet chain, by the operators in turn, to one node after the other. */
class QuietSampler {
  readonly #genesis;
  readonly #accounts: readonly LoadAccount[];
  readonly #urls: readonly string[];
  readonly #random = createRandom('isolation');
  #turn = 0;
  lost = 0;

  constructor({ dataDir, manifest }: Cluster) {
    this.#genesis = clusterGenesis(dataDir, QUIET);
    this.#urls = manifest.nodes.map(({ rpc }) => rpc);
    this.#accounts = manifest.nodes.map(({ index }) => {
      const signer = createNativeSigner(readSeed(accountKeyPath(dataDir, operatorName(index))));
      return { signer, address: addressOf(nativeCrypto, signer.publicKey), nonce: 0 };
    });
  }

  /** Ms from the request until the same node answers that the transfer is final; Infinity when it does not. */
  async once(): Promise<number> {
    await sleep(GAP_MS.least + this.#random.next() * GAP_MS.spread);
    const turn = this.#turn++;
    const from = this.#accounts[turn % this.#accounts.length];
    const url = this.#urls[(turn * 2 + Math.floor(turn / this.#urls.length)) % this.#urls.length];
    if (!from || url === undefined) return Infinity;
    const { chain, params } = this.#genesis;
    const hex = toHex(nextTransfer(chain, params, from, from.address).bytes);
    const sentAt = performance.now();
    const { final } = await submitCommit(url, hex, QUIET);
    if (final) return performance.now() - sentAt;
    this.lost++;
    return Infinity;
  }

  async during(span: Promise<unknown>): Promise<number[]> {
    let isOver = false;
    void span.then(() => {
      isOver = true;
    });
    const samples: number[] = [];
    while (!isOver) samples.push(await this.once());
    return samples;
  }
}

function phaseLine(alone: readonly number[], loaded: readonly number[], { result }: Trial): string {
  const text = (samples: readonly number[]): string => {
    const { p50, p99 } = percentiles([...samples]);
    return `${samples.length} transfers, p50 ${Math.round(p50)} ms, p99 ${Math.round(p99)} ms`;
  };
  return `  alone: ${text(alone)} · with ${result.committed_per_s}/s beside it: ${text(loaded)}`;
}

async function judgeIsolation(
  cluster: Cluster,
  { lost }: QuietSampler,
  { alone, loaded, trials, rate }: { alone: number[]; loaded: number[]; trials: readonly Trial[]; rate: number },
): Promise<Measured> {
  const before = percentiles(alone);
  const after = percentiles(loaded);
  const chains = await Promise.all([compareNodes(cluster), compareNodes(cluster, undefined, QUIET)]);
  const committed = trials.reduce((sum, { result }) => sum + result.committed, 0);
  return {
    checks: [
      atMost('p99 with load / p99 alone', after.p99 / before.p99, FACTOR_BAR, ''),
      atMost('p99 with load − p99 alone', after.p99 - before.p99, ADDED_BAR_MS, ' ms'),
      invariant('every transfer on the quiet chain became final', lost === 0, `${lost} did not`),
      invariant('the load was committed', committed > 0, committed),
      invariant(
        'equal blocks and states on all nodes, on both chains',
        chains.every(({ equal }) => equal),
        `${chains.map(({ height }) => height).join(' and ')} heights`,
      ),
    ],
    figures: {
      alone_ms: before,
      with_load_ms: after,
      samples: { alone: alone.length, with_load: loaded.length },
      offered_per_s: rate,
      committed_per_s: trials.map(({ result }) => result.committed_per_s),
      usage: trials.at(-1)?.usage ?? [],
      measured_as: `single transfers on ${QUIET}, ${GAP_MS.least} to ${GAP_MS.least + GAP_MS.spread} ms apart, from the request until the same node answers that it is final; ${PHASE_MS / 1000} s without load and ${PHASE_MS / 1000} s with it, by turns`,
    },
  };
}
