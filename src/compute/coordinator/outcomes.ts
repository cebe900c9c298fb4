/** What the end of an attempt means: for its job, for what is known of its miner, and for what is kept. */
import { bytesKey, toHex } from '../../bytes.ts';
import { addressOf, formatAddress } from '../../chain/address.ts';
import { Writer } from '../../chain/codec.ts';
import type { Hasher } from '../../chain/crypto/types.ts';
import { encodeReceipt, receiptId } from '../../chain/market/receipt.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { ErrorCode } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Agreements } from './agreements.ts';
import type { Anchors } from './anchors.ts';
import type { AttemptOutcome } from './attempt-machine.ts';
import type { Job } from './job.ts';
import type { AttemptLoss, JobInput } from './job-machine.ts';
import type { Memory } from './memory.ts';
import type { CoordinatorMetrics } from './metrics.ts';
import { classOf } from './miner-index.ts';
import type { KnownMiner } from './miner-index.ts';
import type { Experience } from './miner-record.ts';
import type { Row } from './ports.ts';
import type { WrongResult } from './replay.ts';
import type { ResultRow } from './rows.ts';
import { encodeResult, encodeWrongResult, put, TABLE } from './rows.ts';
import type { Work } from './work.ts';

/** Of what a miner says of the agreement, after which it is not used again. */
const SPOILED: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'NOT_FUNDED', 'CONFLICT', 'BAD_SIGNATURE']);
/** What the client broke off, or did wrong, says nothing of the miner. */
const OURS: ReadonlySet<ErrorCode> = new Set(['CANCELED', 'BAD_JOB', 'TOO_LARGE']);

export interface OutcomesModules {
  readonly chain: ChainContext;
  readonly hasher: Hasher;
  readonly agreements: Agreements;
  readonly memory: Memory;
  readonly anchors: Anchors;
  readonly metrics: CoordinatorMetrics;
  readonly log: Logger;
  readonly maxContradictions: number;
  readonly maxWrongResults: number;
  /** Monotonic, and the wall clock. */
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  readonly offering: (classKey: string) => number;
  readonly release: (miner: KnownMiner) => void;
  readonly apply: (job: Job, input: JobInput) => Row[];
  readonly pump: () => void;
  /** The job still has its content. */
  readonly onReceipt: (job: Job, receipt: ResultRow['receipt']) => void;
}

export class Outcomes {
  readonly #modules: OutcomesModules;
  /** That are kept. */
  contradictions = 0;
  /** By job, with their input; that are kept. */
  readonly wrongResults = new Map<string, WrongResult>();

  constructor(modules: OutcomesModules) {
    this.#modules = modules;
  }

  /** @returns rows to keep before the acknowledgement is sent */
  onDelivered({ job }: Work, result: ResultRow, dueUait: number): Row[] {
    const { anchors, hasher, chain, apply } = this.#modules;
    const { receipt } = result.receipt;
    job.result = result;
    job.receiptId = receiptId(hasher, chain, receipt);
    this.#modules.onReceipt(job, result.receipt);
    const rows = [...anchors.add(receipt.agreement, job.receiptId), put(TABLE.result, job.id, encodeResult(result))];
    if (job.output.length > 0) rows.push(put(TABLE.output, job.id, job.output.whole()));
    return [...rows, ...apply(job, { type: 'deliver', dueUait, canceled: receipt.finish === 'canceled' })];
  }

  /** @param lossUait null when the job has its receipt @returns rows to keep */
  onOver(work: Work, outcome: AttemptOutcome, lossUait: number | null): Row[] {
    const { agreements, memory, metrics, offering, nowMs, wallMs, release, apply, pump } = this.#modules;
    const { job, agreement, held } = work;
    const rows: Row[] = [];
    if (held) release(held);
    const experience = this.#experience(work, outcome);
    if (experience) rows.push(...memory.learn(work.minerKey, experience, wallMs()));
    const isSpoiled = outcome.how === 'faulty' || ('code' in outcome && SPOILED.has(outcome.code));
    // Nothing was done under it: the next quote of the same miner may be.
    const isKept = agreement.job !== null && outcome.how === 'refused' && !isSpoiled && !job.isEnded;
    if (isKept) agreements.keepFor(agreement, job.key);
    else if (agreement.job !== null || isSpoiled) agreements.retire(agreement);
    if (outcome.how === 'faulty') {
      job.distrusted.add(work.minerKey);
      rows.push(...this.#contradiction(work, outcome));
    }
    if (outcome.how === 'done' || lossUait === null) {
      pump();
      return rows;
    }
    job.avoided.add(work.minerKey);
    const code: ErrorCode = outcome.how === 'faulty' ? 'BAD_RECEIPT' : outcome.code;
    const loss: AttemptLoss = { how: outcome.how, code, message: outcome.message, exposureUait: isKept ? 0 : lossUait };
    const { kind, model } = job.spec;
    job.queueUntilMs = nowMs() + job.spec.queueMs;
    job.round = outcome.how === 'refused' ? Math.max(1, job.round) : 1;
    rows.push(...apply(job, { type: 'loss', loss, hasOthers: offering(classOf(kind, model)) > 1 }));
    metrics.lost(outcome.how);
    return rows;
  }

  /** The work was done again, and gives another result than the miner signed. @returns rows to keep */
  onWrongResult(job: Job, wrong: WrongResult): Row[] {
    const { agreements, hasher, log, maxWrongResults, memory, wallMs } = this.#modules;
    const { receipt } = wrong.receipt;
    const minerKey = bytesKey(receipt.miner);
    const message = `done again, the work gives ${toHex(wrong.outputHash).slice(0, 16)}, not what the miner signed`;
    log.warn('a miner gave a wrong result', {
      job: toHex(job.id),
      miner: formatAddress(addressOf(hasher, receipt.miner)),
      signed: toHex(receipt.outputHash),
      replayed: toHex(wrong.outputHash),
    });
    job.reasons.add('WRONG_RESULT', message);
    agreements.retireAll(minerKey);
    const rows = memory.learn(minerKey, { type: 'wrong' }, wallMs());
    if (this.wrongResults.size >= maxWrongResults) return rows;
    this.wrongResults.set(job.key, wrong);
    return [...rows, put(TABLE.wrongResult, job.id, encodeWrongResult(wrong))];
  }

  #experience(work: Work, outcome: AttemptOutcome): Experience | null {
    if (outcome.how === 'done') {
      const seconds = Math.max(0.001, (this.#modules.nowMs() - work.startedMs) / 1_000);
      return { type: 'success', bytesPerSecond: work.outputBytes > 0 ? work.outputBytes / seconds : null };
    }
    if (outcome.how === 'faulty') return { type: 'fault' };
    return outcome.how === 'refused' || OURS.has(outcome.code) ? null : { type: 'loss' };
  }

  /** The miner's own signed word, kept to be shown; a bounded number of them. */
  #contradiction({ job, quote }: Work, { message, evidence }: AttemptOutcome & { readonly how: 'faulty' }): Row[] {
    const { log, maxContradictions, wallMs } = this.#modules;
    log.warn('a miner contradicted itself', { what: message });
    if (evidence === null || this.contradictions >= maxContradictions) return [];
    this.contradictions++;
    const writer = new Writer(2_048).fixed(quote.miner, 32).u64(wallMs()).ascii8(message.slice(0, 200));
    if ('receipt' in evidence) writer.u8(1).bytes16(encodeReceipt(evidence));
    else writer.u8(2).fixed(evidence.tick.attempt, 32).u32(evidence.tick.chunks).fixed(evidence.tick.link, 32);
    if ('tick' in evidence) {
      writer.u32(evidence.tick.outputBytes).u64(evidence.tick.dueUait).fixed(evidence.signature, 64);
    }
    return [put(TABLE.contradiction, job.id, writer.finish())];
  }
}
