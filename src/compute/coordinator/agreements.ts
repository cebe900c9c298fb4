/**
 * Agreements of this client: opened, kept for further jobs, and left. What happens to their money is the ledger's; what is
 * left of one that a miner does not release, the client closes.
 */
import type { Hash, PublicKey } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import type { Agreement } from '../../chain/modules/compute/agreement.ts';
import { isNodeError, NodeError, toNodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Committer } from './committer.ts';
import type { Deadlines } from './deadlines.ts';
import type { Ledger, LedgerInput } from './ledger.ts';
import { canBegin, openLedger, stepLedger } from './ledger.ts';
import type { Money } from './ports.ts';
import type { Renewal } from './renewal.ts';
import type { AgreementPhase, AgreementRow, LedgerRow } from './rows.ts';
import { drop, encodeAgreementRow, encodeLedger, put, TABLE } from './rows.ts';
import type { Row } from './ports.ts';

/** How long a miner has to release before the client looks. */
const RETIRE_CHECK_MS = 60_000;
const CLOSING_CHECK_MS = 90_000;
const SEND_AGAIN_MS = 1_000;
/** After so long without a job it is looked at before its next one. */
const TRUSTED_MS = 120_000;
const EXPIRY_MARGIN_MS = 120_000;
/** Nothing is known about the transaction; sending it again changes nothing. */
const AGAIN: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'TIMEOUT',
  'SYNCING',
  'NO_QUORUM',
  'POOL_FULL',
  'RATE_LIMITED',
]);

export interface HeldAgreement extends AgreementRow {
  readonly id: Hash;
  expiresAtMs: number;
  /** A renewal of it is on its way. */
  isRenewing: boolean;
  readonly minerKey: string;
  /** By the client's count; one writer. */
  ledger: Ledger;
  phase: AgreementPhase;
  /** The job whose attempt runs under it. */
  running: Hash | null;
  /** A match has it. */
  isHeld: boolean;
  usedAtMs: number;
  /** Rejects when it will not be opened. */
  opened: Promise<void>;
}

export interface OpenPlan {
  readonly miner: PublicKey;
  readonly minerAddress: Uint8Array;
  readonly signer: PublicKey;
  readonly capUait: number;
  readonly expiresAtMs: number;
  readonly validUntilHeight: number;
  readonly job: Hash | null;
  /** To be kept with it. */
  readonly rows: readonly Row[];
}

export interface AgreementsModules {
  readonly money: Money;
  /** Session key: agreements that name another one are of another coordinator of the same account. */
  readonly session: PublicKey;
  readonly committer: Committer;
  readonly deadlines: Deadlines;
  readonly nowMs: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class Agreements {
  readonly #modules: AgreementsModules;
  readonly #all = new Map<string, HeldAgreement>();
  readonly #byMiner = new Map<string, Set<HeldAgreement>>();
  readonly #byJob = new Map<string, HeldAgreement>();

  constructor(modules: AgreementsModules) {
    this.#modules = modules;
  }

  get size(): number {
    return this.#all.size;
  }

  get(id: Hash): HeldAgreement | undefined {
    return this.#all.get(bytesKey(id));
  }

  all(): IterableIterator<HeldAgreement> {
    return this.#all.values();
  }

  /** Opened for this job alone, and not used yet. */
  ofJob(jobKey: string): HeldAgreement | undefined {
    return this.#byJob.get(jobKey);
  }

  /** That are open or will be, for further jobs. */
  countOf(minerKey: string): number {
    return this.#byMiner.get(minerKey)?.size ?? 0;
  }

  hasIdle(minerKey: string, need: { maxUait: number; executionMs: number; headMs: number }): boolean {
    return this.#idle(minerKey, need) !== undefined;
  }

  /** Holds one of a miner that the attempt fits in. */
  take(minerKey: string, need: { maxUait: number; executionMs: number; headMs: number }): HeldAgreement | null {
    const agreement = this.#idle(minerKey, need);
    if (!agreement) return null;
    agreement.isHeld = true;
    return agreement;
  }

  /** Whether neither side has closed one that stood idle meanwhile, or while this coordinator did not run. */
  async isStillOpen(agreement: HeldAgreement): Promise<boolean> {
    if (this.#modules.nowMs() - agreement.usedAtMs < TRUSTED_MS) return true;
    const found = await this.#modules.money.agreement(agreement.id);
    if (found?.state.name === 'open') {
      this.#adopt(agreement, found);
      return true;
    }
    this.retire(agreement);
    return false;
  }

  /** Before its next job the chain is asked, whenever it was used last. */
  doubt(agreement: HeldAgreement): void {
    agreement.usedAtMs = -Infinity;
  }

  release(agreement: HeldAgreement): void {
    agreement.isHeld = false;
  }

  /** Signs, keeps, sends. The result stands at once; `opened` tells when it is final. @throws NodeError */
  async open(plan: OpenPlan): Promise<HeldAgreement> {
    const { money, committer } = this.#modules;
    const prepared = await money.prepareOpen({
      miner: plan.minerAddress,
      signer: plan.signer,
      capUait: plan.capUait,
      expiresAtMs: plan.expiresAtMs,
      validUntilHeight: plan.validUntilHeight,
    });
    const agreement = this.#add(prepared.agreement, {
      row: { miner: plan.miner, open: prepared.transaction, expiresAtMs: plan.expiresAtMs, job: plan.job },
      ledger: { ...openLedger(plan.capUait), phase: 'opening', running: null },
    });
    agreement.isHeld = true;
    await committer.keep([
      ...plan.rows,
      put(TABLE.agreement, agreement.id, encodeAgreementRow(agreement)),
      put(TABLE.ledger, agreement.id, encodeLedger(ledgerRow(agreement))),
    ]);
    this.#sendInBackground(agreement);
    return agreement;
  }

  /** From rows; what was being opened is sent again, the same. */
  restore(id: Hash, row: AgreementRow, ledger: LedgerRow): HeldAgreement {
    const agreement = this.#add(id, { row, ledger });
    this.doubt(agreement);
    if (agreement.phase === 'opening') this.#sendInBackground(agreement);
    if (agreement.phase === 'retired') this.#checkLater(agreement, RETIRE_CHECK_MS);
    return agreement;
  }

  /** @returns its voucher's sum, when one is due */
  step(agreement: HeldAgreement, input: LedgerInput): number | null {
    const { state, effects } = stepLedger(agreement.ledger, input);
    agreement.ledger = state;
    agreement.usedAtMs = this.#modules.nowMs();
    return effects[0]?.creditUait ?? null;
  }

  rowOf(agreement: HeldAgreement): Row {
    return put(TABLE.ledger, agreement.id, encodeLedger(ledgerRow(agreement)));
  }

  /** Its job goes on under it. */
  keepFor(agreement: HeldAgreement, jobKey: string): void {
    this.#byJob.set(jobKey, agreement);
  }

  /**
   * In the background. Nothing is kept of it before it is sent: what it sets aside stays the client's, and what a crash forgets
   * of it is read from the chain, or comes back when the agreement is closed.
   *
   * @returns whether it is now; null when nothing is done, because one is on its way
   */
  renew(agreement: HeldAgreement, renewal: Renewal): Promise<boolean> | null {
    if (agreement.isRenewing || agreement.phase !== 'open') return null;
    agreement.isRenewing = true;
    return this.#renew(agreement, renewal)
      .then(
        () => true,
        (error: unknown) => {
          this.#modules.log.debug('an agreement was not renewed', { code: toNodeError(error).code });
          return false;
        },
      )
      .finally(() => {
        agreement.isRenewing = false;
      });
  }

  async #renew(agreement: HeldAgreement, renewal: Renewal): Promise<void> {
    const { money, signal, committer } = this.#modules;
    await money.send(await money.prepareRenewal(agreement.id, renewal), signal);
    const found = await money.agreement(agreement.id);
    if (!found || !this.#isOwn(found)) return;
    this.#adopt(agreement, found);
    await committer.keep([put(TABLE.agreement, agreement.id, encodeAgreementRow(agreement)), this.rowOf(agreement)]);
  }

  /** Caps and expiries only grow. */
  #adopt(agreement: HeldAgreement, { capUait, expiresAtMs }: Agreement): void {
    agreement.ledger = { ...agreement.ledger, capUait: Math.max(capUait, agreement.ledger.capUait) };
    agreement.expiresAtMs = Math.max(expiresAtMs, agreement.expiresAtMs);
  }

  /** No further job comes under it. */
  retire(agreement: HeldAgreement): void {
    this.#unlist(agreement);
    if (agreement.phase === 'retired') return;
    agreement.phase = 'retired';
    void this.#modules.committer.keep([this.rowOf(agreement)]).catch(() => undefined);
    this.#checkLater(agreement, RETIRE_CHECK_MS);
  }

  /** Nothing more is done under those with this miner. */
  retireAll(minerKey: string): void {
    for (const agreement of [...(this.#byMiner.get(minerKey) ?? [])]) this.retire(agreement);
  }

  #idle(
    minerKey: string,
    { maxUait, executionMs, headMs }: { maxUait: number; executionMs: number; headMs: number },
  ): HeldAgreement | undefined {
    const ofMiner = this.#byMiner.get(minerKey);
    if (ofMiner === undefined) return undefined;
    for (const agreement of ofMiner) {
      if (agreement.phase !== 'open' || agreement.isHeld || agreement.running !== null) continue;
      const isExpiring = agreement.expiresAtMs - headMs <= 2 * executionMs + EXPIRY_MARGIN_MS;
      if (!isExpiring && canBegin(agreement.ledger, maxUait)) return agreement;
      // Short jobs may fit still; one that takes nothing any more makes room for another.
      if (isExpiring || agreement.ledger.capUait - agreement.ledger.baseUait < maxUait) this.retire(agreement);
    }
    return undefined;
  }

  #add(id: Hash, from: { readonly row: AgreementRow; readonly ledger: LedgerRow }): HeldAgreement {
    const { phase, running, ...ledger } = from.ledger;
    const agreement: HeldAgreement = {
      ...from.row,
      id,
      minerKey: bytesKey(from.row.miner),
      ledger,
      phase,
      running,
      isHeld: false,
      isRenewing: false,
      usedAtMs: this.#modules.nowMs(),
      opened: Promise.resolve(),
    };
    this.#all.set(bytesKey(id), agreement);
    if (phase !== 'retired') this.#list(agreement);
    return agreement;
  }

  #list(agreement: HeldAgreement): void {
    if (agreement.job !== null) {
      if (agreement.running === null) this.#byJob.set(bytesKey(agreement.job), agreement);
      return;
    }
    const ofMiner = this.#byMiner.get(agreement.minerKey) ?? new Set();
    this.#byMiner.set(agreement.minerKey, ofMiner.add(agreement));
  }

  #unlist(agreement: HeldAgreement): void {
    if (agreement.job !== null) this.#byJob.delete(bytesKey(agreement.job));
    const ofMiner = this.#byMiner.get(agreement.minerKey);
    if (ofMiner?.delete(agreement) === true && ofMiner.size === 0) this.#byMiner.delete(agreement.minerKey);
  }

  /** Whoever waits for it learns what became of it. */
  #sendInBackground(agreement: HeldAgreement): void {
    agreement.opened = this.#send(agreement);
    agreement.opened.catch(() => undefined);
  }

  async #send(agreement: HeldAgreement): Promise<void> {
    const { money, committer, signal } = this.#modules;
    const sent = (async (): Promise<void> => {
      for (;;) {
        try {
          await money.send(agreement.open, signal);
          if (agreement.phase === 'opening') agreement.phase = 'open';
          await committer.keep([this.rowOf(agreement)]);
          return;
        } catch (error) {
          if (signal.aborted || !isNodeError(error) || !AGAIN.has(error.code)) throw toNodeError(error);
        }
        await this.#pause(SEND_AGAIN_MS);
      }
    })();
    try {
      await sent;
    } catch (error) {
      if (!signal.aborted) await this.#neverOpened(agreement);
      throw error;
    }
  }

  /** The chain says that it is not, and will not be; one that is there all the same is left as any other. */
  async #neverOpened(agreement: HeldAgreement): Promise<void> {
    this.#unlist(agreement);
    const found = await this.#modules.money.agreement(agreement.id).catch(() => undefined);
    if (found === null || (found && !this.#isOwn(found))) this.#forget(agreement);
    else this.retire(agreement);
  }

  #checkLater(agreement: HeldAgreement, ms: number): void {
    this.#modules.deadlines.after(ms, () => {
      this.#check(agreement).catch((error: unknown) => {
        if (this.#modules.signal.aborted) return;
        this.#modules.log.debug('an agreement could not be closed, it is tried again', {
          code: toNodeError(error).code,
        });
        this.#checkLater(agreement, RETIRE_CHECK_MS);
      });
    });
  }

  async #check(agreement: HeldAgreement): Promise<void> {
    const { money, signal } = this.#modules;
    if (agreement.running !== null) {
      this.#checkLater(agreement, RETIRE_CHECK_MS);
      return;
    }
    const found = await money.agreement(agreement.id);
    if (found === null || found.state.name === 'closed' || !this.#isOwn(found)) {
      this.#forget(agreement);
      return;
    }
    if (found.state.name === 'open') await money.send(await money.prepareClose(agreement.id), signal);
    this.#checkLater(agreement, CLOSING_CHECK_MS);
  }

  /** Where another program of the account used the nonce first, the id is of what that one opened. */
  #isOwn({ signer }: Agreement): boolean {
    return equalBytes(signer, this.#modules.session);
  }

  #forget(agreement: HeldAgreement): void {
    this.#all.delete(bytesKey(agreement.id));
    const rows = [drop(TABLE.agreement, agreement.id), drop(TABLE.ledger, agreement.id)];
    void this.#modules.committer.keep(rows).catch(() => undefined);
  }

  #pause(ms: number): Promise<void> {
    const { deadlines, signal } = this.#modules;
    return new Promise((resolve, reject) => {
      const stopped = (): void => {
        deadlines.drop(deadline);
        reject(new NodeError('UNREACHABLE', 'the coordinator stops'));
      };
      const deadline = deadlines.after(ms, () => {
        signal.removeEventListener('abort', stopped);
        resolve();
      });
      signal.addEventListener('abort', stopped, { once: true });
    });
  }
}

function ledgerRow({ ledger, phase, running }: HeldAgreement): LedgerRow {
  return { ...ledger, phase, running };
}
