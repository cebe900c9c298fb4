/**
 * What each account of this node (an API key, or the clients without one) has spent of its budget on a UTC day. Money is
 * reserved before work begins, and on the disk before the caller goes on; what was not settled counts as spent, over a
 * crash too, until its owner settles or releases it. So no crash lets a budget be spent twice; at worst it is spent less.
 */
import type { Clock } from '../clock.ts';
import type { Json } from '../chain/modules/types.ts';
import { NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { DocumentStore } from './document-file.ts';
import { DocumentFile } from './document-file.ts';

/** Over all accounts. */
export const MAX_RESERVATIONS = 4_096;
/** Of one account. */
export const MAX_ACCOUNT_RESERVATIONS = 512;
const MAX_REFERENCE_CHARS = 128;
const DAY_MS = 86_400_000;
/** Reservations of days before are of no budget that anyone still spends. */
const KEPT_DAYS = 7;

export interface Reservation {
  /** Unique for ever. */
  readonly id: string;
  readonly account: string;
  readonly amountUait: number;
  /** The owner's own name for what it is for, e.g. a job id: by it the owner knows it again after a restart. */
  readonly reference: string;
  /** Days since 1970 UTC: that of the budget it is of. */
  readonly day: number;
}

/** Of one account, today. */
export interface BudgetStanding {
  /** Settled. */
  readonly spentUait: number;
  /** Reserved, and not settled yet. */
  readonly reservedUait: number;
  /** When the next day's budget is there. */
  readonly resetsAtMs: number;
}

export interface ReserveRequest {
  readonly account: string;
  readonly amountUait: number;
  /** Of the account, for a day. */
  readonly budgetUait: number;
  readonly reference: string;
}

interface Spent {
  day: number;
  uait: number;
}

interface LedgerModules {
  readonly document: DocumentStore;
  readonly clock: Clock;
  readonly log: Logger;
}

export class BudgetLedger {
  readonly #modules: LedgerModules;
  readonly #open = new Map<string, Reservation>();
  /** The last day of each account on which it spent. */
  readonly #spent = new Map<string, Spent>();
  #count: number;
  #written: Promise<void> = Promise.resolve();

  /** @param json as {@link #toJson} wrote it; null for a new ledger */
  constructor(modules: LedgerModules, json: Json | null) {
    this.#modules = modules;
    const known = json as unknown as LedgerJson | null;
    this.#count = known?.count ?? 0;
    const oldest = this.#today() - KEPT_DAYS;
    for (const [account, day, uait] of known?.spent ?? []) if (day >= oldest) this.#spent.set(account, { day, uait });
    for (const reservation of known?.open ?? []) {
      if (reservation.day >= oldest) this.#open.set(reservation.id, reservation);
    }
  }

  /**
   * Resolves when it is on the disk.
   *
   * @throws NodeError BUDGET_SPENT | RATE_LIMITED for too many at once | INVALID_PARAMS | STORAGE, and then nothing is reserved
   */
  async reserve({ account, amountUait, budgetUait, reference }: ReserveRequest): Promise<Reservation> {
    if (!Number.isSafeInteger(amountUait) || amountUait < 0 || reference.length > MAX_REFERENCE_CHARS) {
      throw new NodeError('INVALID_PARAMS', 'what is to be reserved is no amount, or its reference is too long');
    }
    const day = this.#dayOf(account);
    const { spentUait, reservedUait, resetsAtMs } = this.standing(account);
    const leftUait = Math.max(0, budgetUait - spentUait - reservedUait);
    if (amountUait > leftUait) throw budgetSpent({ amountUait, budgetUait, leftUait, resetsAtMs });
    this.#checkRoom(account);
    const reservation = { id: `r${++this.#count}`, account, amountUait, reference, day };
    this.#open.set(reservation.id, reservation);
    try {
      await this.#write();
    } catch (error) {
      this.#open.delete(reservation.id);
      throw error;
    }
    return reservation;
  }

  /**
   * The work is over, and cost so much; again is harmless. Not waited for: a crash before it is on the disk leaves the
   * reservation, which its owner finds in {@link open} and settles again.
   *
   * @param spentUait at most what was reserved @throws NodeError INVALID_PARAMS
   */
  settle(id: string, spentUait: number): void {
    const reservation = this.#open.get(id);
    if (!reservation) return;
    if (!Number.isSafeInteger(spentUait) || spentUait < 0 || spentUait > reservation.amountUait) {
      throw new NodeError('INVALID_PARAMS', 'more was spent than reserved, or it is no amount', {
        data: { reserved_uait: reservation.amountUait, spent_uait: spentUait },
      });
    }
    this.#open.delete(id);
    this.#book(reservation, spentUait);
    this.#write().catch((error: unknown) => {
      this.#modules.log.error('what was spent of a budget could not be written', { error: toNodeError(error) });
    });
  }

  /** Nothing was spent. */
  release(id: string): void {
    this.settle(id, 0);
  }

  /** What was reserved and not settled: after a start its owners say what became of each. */
  open(): readonly Reservation[] {
    return [...this.#open.values()];
  }

  standing(account: string): BudgetStanding {
    const day = this.#dayOf(account);
    const spent = this.#spent.get(account);
    let reservedUait = 0;
    for (const held of this.#open.values()) {
      if (held.account === account && held.day === day) reservedUait += held.amountUait;
    }
    return { spentUait: spent?.day === day ? spent.uait : 0, reservedUait, resetsAtMs: (day + 1) * DAY_MS };
  }

  /** Resolves when what was settled last is on the disk, or failed to get there. */
  async close(): Promise<void> {
    await this.#written.catch(() => undefined);
  }

  #book({ account, day }: Reservation, uait: number): void {
    const spent = this.#spent.get(account);
    if (uait === 0 || (spent && spent.day > day)) return;
    if (spent?.day === day) spent.uait += uait;
    else this.#spent.set(account, { day, uait });
  }

  #checkRoom(account: string): void {
    let own = 0;
    for (const held of this.#open.values()) if (held.account === account) own++;
    if (this.#open.size < MAX_RESERVATIONS && own < MAX_ACCOUNT_RESERVATIONS) return;
    throw new NodeError('RATE_LIMITED', 'too many jobs are under way at the cost of this node', {
      data: { open: own, limit: MAX_ACCOUNT_RESERVATIONS },
      hint: 'wait until some of them are done',
    });
  }

  #today(): number {
    return Math.floor(this.#modules.clock.now() / DAY_MS);
  }

  /** A clock that is set back over midnight does not give the budget of a day again. */
  #dayOf(account: string): number {
    const today = this.#today();
    const spent = this.#spent.get(account);
    return spent?.day === today + 1 ? spent.day : today;
  }

  #write(): Promise<void> {
    this.#written = this.#modules.document.write(() => this.#toJson());
    return this.#written;
  }

  #toJson(): Json {
    const oldest = this.#today() - KEPT_DAYS;
    for (const [account, { day }] of this.#spent) if (day < oldest) this.#spent.delete(account);
    const json: LedgerJson = {
      count: this.#count,
      spent: [...this.#spent].map(([account, { day, uait }]) => [account, day, uait]),
      open: this.open(),
    };
    return json as unknown as Json;
  }
}

interface LedgerJson {
  readonly count: number;
  readonly spent: readonly (readonly [account: string, day: number, uait: number])[];
  readonly open: readonly Reservation[];
}

/** @throws NodeError CORRUPT | STORAGE */
export async function openBudgetLedger(
  path: string,
  modules: { readonly clock: Clock; readonly log: Logger },
): Promise<BudgetLedger> {
  const document = new DocumentFile(path, 'the budgets');
  return new BudgetLedger({ ...modules, document }, await document.read());
}

interface Shortage {
  readonly amountUait: number;
  readonly budgetUait: number;
  readonly leftUait: number;
  readonly resetsAtMs: number;
}

function budgetSpent({ amountUait, budgetUait, leftUait, resetsAtMs }: Shortage): NodeError {
  const resetsAt = new Date(resetsAtMs).toISOString();
  return new NodeError('BUDGET_SPENT', 'what is left of the budget of this day does not cover the price', {
    data: { price_uait: amountUait, left_uait: leftUait, budget_uait: budgetUait, resets_at: resetsAt },
    hint: `ask for less, wait until ${resetsAt}, or have the operator give a key with a larger budget`,
  });
}
