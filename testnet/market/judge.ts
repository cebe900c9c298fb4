/** What clients count against what the chain says the miner was paid. Pure. */
import type { BookedAgreement } from './books.ts';
import type { Script } from './plan.ts';
import type { CaseResult } from './strike.ts';

export interface Judgement {
  readonly paid_uait: number;
  readonly spent_uait: number;
  /** By receipts. */
  readonly priced_uait: number;
  /** The most that one job's client counts beyond what was paid, or the other way round. */
  readonly most_unmatched_uait: number;
  /** What a miner may send before it is paid: a second of output, at the fastest pace that it said. */
  readonly tick_uait: number;
  readonly lost_jobs: number;
  readonly paid_twice: number;
  readonly faults: readonly string[];
}

/** Of the miner's ticks (compute/miner/catalog.ts). */
const LEAST_TICK_BYTES = 1024;
const KIB = 1024;

/**
 * @param clients addresses that pay, by script
 * @param settled all agreements are closed: what the miner is owed, it has
 */
export function judge(
  results: readonly CaseResult[],
  agreements: readonly BookedAgreement[],
  clients: Readonly<Record<Script, string>>,
  settled: boolean,
  outputUaitPerKib = 20_000,
): Judgement {
  const faults: string[] = [];
  const outcomes = results.map(({ outcome }) => outcome).filter((outcome) => outcome !== null);
  const tickBytes = Math.max(LEAST_TICK_BYTES, ...results.map(({ bytesPerSecond }) => bytesPerSecond + 1));
  const tickUait = Math.ceil((tickBytes * outputUaitPerKib) / KIB);
  let [mostUnmatchedUait, paidTwice] = [0, 0];
  const match = (what: string, paidUait: number, cases: readonly CaseResult[], isSettled: boolean): void => {
    const jobs = cases.map(({ outcome }) => outcome).filter((outcome) => outcome !== null);
    const spentUait = jobs.reduce((sum, job) => sum + job.spentUait, 0);
    const pricedUait = jobs.reduce((sum, job) => sum + job.priceUait, 0);
    const lost = jobs.reduce((sum, job) => sum + job.attempts - 1, 0) + (cases.length - jobs.length);
    if (paidUait > spentUait && cases.length === jobs.length) {
      paidTwice++;
      faults.push(`${what}: ${paidUait} uait were paid, the client counts ${spentUait}`);
    }
    if (!isSettled) return;
    if (paidUait < pricedUait) faults.push(`${what}: ${paidUait} uait were paid, receipts say ${pricedUait}`);
    const unmatched = Math.abs(spentUait - paidUait);
    if (jobs.length <= 1) mostUnmatchedUait = Math.max(mostUnmatchedUait, unmatched);
    if (unmatched > tickUait * Math.max(1, lost)) {
      faults.push(`${what}: ${unmatched} uait are unmatched after ${lost} lost attempts; a tick is ${tickUait} uait`);
    }
  };
  const own = (script: Script): BookedAgreement[] => agreements.filter(({ client }) => client === clients[script]);
  for (const [index, result] of results.entries()) {
    if (result.script !== 'command') continue;
    const { fromHeight, toHeight, outcome } = result;
    const ofJob = own('command').filter(({ openedAtHeight: at }) => at > fromHeight && at <= toHeight);
    const isClosed = ofJob.every(({ agreement }) => agreement.state.name === 'closed');
    match(`job ${index + 1} (${outcome?.jobId.slice(0, 8) ?? 'lost'})`, paidOf(ofJob), [result], isClosed);
  }
  const ofDoors = results.filter(({ script }) => script === 'door');
  match('jobs over HTTP', paidOf(own('door')), ofDoors, settled);
  return {
    paid_uait: paidOf(agreements),
    spent_uait: outcomes.reduce((sum, { spentUait }) => sum + spentUait, 0),
    priced_uait: outcomes.reduce((sum, { priceUait }) => sum + priceUait, 0),
    most_unmatched_uait: mostUnmatchedUait,
    tick_uait: tickUait,
    lost_jobs: results.length - outcomes.filter((outcome) => outcome.faults.length === 0).length,
    paid_twice: paidTwice,
    faults,
  };
}

function paidOf(agreements: readonly BookedAgreement[]): number {
  return agreements.reduce((sum, { agreement }) => sum + agreement.paidUait, 0);
}
