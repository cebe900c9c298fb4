/** The market by its rules in words, on plain maps: what the chain must come to, written a second time and otherwise. */
import { RECEIPT_CODES } from '../../../../../src/chain/receipt.ts';

const { OK, ALREADY_DONE, BAD_PROOF, EXPIRED, INSUFFICIENT_FUNDS, LIMIT } = RECEIPT_CODES;
const { NOT_APPLICABLE, NOT_AUTHORISED, NOT_FOUND } = RECEIPT_CODES;

export const RULES = {
  minCap: 10_000,
  minStake: 1_000_000,
  term: 3_600_000,
  cooldown: 7_200_000,
  kept: 600_000,
} as const;
export const FEE = 5_000;

export interface ModelAgreement {
  readonly client: string;
  readonly miner: string;
  cap: number;
  paid: number;
  refunded: number;
  expiresAt: number;
  closing: { height: number; time: number } | null;
  /** Who waits for something longer goes first. */
  waitsSince: number;
  /** Times it closed. */
  closed: number;
  /** Its record was dropped since. */
  gone: boolean;
}

interface ModelStake {
  staked: number;
  cooling: number;
  until: number;
}

/** One thing that someone asks for; `agreement` is an index, perhaps beyond all there are. */
export type Action =
  | { readonly kind: 'open'; readonly who: string; readonly miner: string; readonly cap: number; readonly term: number }
  | { readonly kind: 'topup'; readonly who: string; readonly agreement: number; readonly amount: number }
  | { readonly kind: 'extend'; readonly who: string; readonly agreement: number; readonly term: number }
  | { readonly kind: 'close'; readonly who: string; readonly agreement: number }
  | {
      readonly kind: 'settle' | 'release';
      readonly who: string;
      readonly agreement: number;
      /** Of the cap, in per mille. */
      readonly credit: number;
      readonly total: number;
      readonly bare: boolean;
      readonly signedBy: 'client' | 'stranger';
    }
  | { readonly kind: 'stake' | 'unstake'; readonly who: string; readonly amount: number };

const NEW = { paid: 0, refunded: 0, closing: null, closed: 0, gone: false };
const minute = (time: number): number => Math.ceil(time / 60_000) * 60_000;

export class MarketModel {
  readonly balances: Map<string, number>;
  readonly agreements: ModelAgreement[] = [];
  readonly stakes = new Map<string, ModelStake>();
  #clock = 0;
  /** In the order of closing. */
  #records: { readonly agreement: ModelAgreement; readonly time: number }[] = [];

  constructor(names: readonly string[], balance: number) {
    this.balances = new Map(names.map((name) => [name, balance]));
  }

  /** @returns the receipt's code */
  act(action: Action, height: number, time: number): number {
    this.#add(action.who, -FEE);
    if (action.kind === 'open') return this.#open(action, time);
    if (!('agreement' in action)) return this.#stake(action, time);
    const agreement = this.agreements[action.agreement];
    if (!agreement || agreement.gone) return NOT_FOUND;
    if ('credit' in action) return this.#take(agreement, action, time);
    if (agreement.client !== action.who) return NOT_AUTHORISED;
    if (agreement.closing || agreement.closed > 0) return ALREADY_DONE;
    if (action.kind === 'close') {
      this.#startClosing(agreement, height, time);
      return OK;
    }
    if (action.kind === 'topup') {
      if (action.amount === 0) return LIMIT;
      if (!this.#pays(action.who, action.amount)) return INSUFFICIENT_FUNDS;
      agreement.cap += action.amount;
      return OK;
    }
    const fault = this.#termFault(agreement.miner, action.term);
    if (fault !== OK) return fault;
    if (minute(time + action.term) <= agreement.expiresAt) return NOT_APPLICABLE;
    agreement.expiresAt = minute(time + action.term);
    agreement.waitsSince = this.#clock++;
    return OK;
  }

  /** What time alone brings, after the actions of a block. */
  endBlock(height: number, time: number): void {
    const waiting = this.agreements.filter(({ closed }) => closed === 0).sort((a, b) => a.waitsSince - b.waitsSince);
    for (const agreement of waiting) {
      const { closing } = agreement;
      if (closing && height >= closing.height + 20 && time >= closing.time + 60_000) this.#close(agreement, time);
    }
    for (const agreement of waiting.toSorted((a, b) => a.expiresAt - b.expiresAt)) {
      if (!agreement.closing && time >= agreement.expiresAt) this.#startClosing(agreement, height, time);
    }
    for (const [who, stake] of this.stakes) {
      if (stake.cooling === 0 || time < stake.until) continue;
      this.#add(who, stake.cooling);
      stake.cooling = 0;
    }
  }

  #open({ who, miner, cap, term }: Extract<Action, { kind: 'open' }>, time: number): number {
    if (cap < RULES.minCap) return LIMIT;
    const fault = this.#termFault(miner, term);
    if (fault !== OK) return fault;
    if (!this.#pays(who, cap)) return INSUFFICIENT_FUNDS;
    const expiresAt = minute(time + term);
    const waitsSince = this.#clock++;
    this.agreements.push({ client: who, miner, cap, expiresAt, waitsSince, ...NEW });
    return OK;
  }

  #termFault(miner: string, term: number): number {
    if (term <= 0) return EXPIRED;
    if (term > RULES.term) return LIMIT;
    return (this.stakes.get(miner)?.staked ?? 0) < RULES.minStake ? NOT_APPLICABLE : OK;
  }

  #take(agreement: ModelAgreement, action: Extract<Action, { kind: 'settle' | 'release' }>, time: number): number {
    if (agreement.miner !== action.who) return NOT_AUTHORISED;
    if (agreement.closed > 0) return ALREADY_DONE;
    if (action.kind === 'settle' || !action.bare) {
      const { credit, total } = amountsOf(agreement, action);
      if (total < agreement.paid || (total === agreement.paid && action.kind === 'settle')) return ALREADY_DONE;
      if (action.signedBy !== 'client' || total > credit) return BAD_PROOF;
      if (total > agreement.cap) return LIMIT;
      this.#add(agreement.miner, total - agreement.paid);
      agreement.paid = total;
    }
    if (action.kind === 'release') this.#close(agreement, time);
    return OK;
  }

  #startClosing(agreement: ModelAgreement, height: number, time: number): void {
    agreement.closing = { height, time };
    agreement.waitsSince = this.#clock++;
  }

  #close(agreement: ModelAgreement, time: number): void {
    agreement.refunded += agreement.cap - agreement.paid;
    this.#add(agreement.client, agreement.cap - agreement.paid);
    agreement.closed++;
    this.#records.push({ agreement, time });
    for (const old of this.#records.slice(0, 2)) {
      if (old.time + RULES.kept > time) break;
      old.agreement.gone = true;
      this.#records = this.#records.slice(1);
    }
  }

  #stake({ kind, who, amount }: Extract<Action, { kind: 'stake' | 'unstake' }>, time: number): number {
    const stake = this.stakes.get(who) ?? { staked: 0, cooling: 0, until: 0 };
    if (amount === 0) return LIMIT;
    const after = kind === 'stake' ? stake.staked + amount : stake.staked - amount;
    if (after < 0) return INSUFFICIENT_FUNDS;
    if (after > 0 && after < RULES.minStake) return LIMIT;
    if (kind === 'stake' && !this.#pays(who, amount)) return INSUFFICIENT_FUNDS;
    this.stakes.set(who, stake);
    stake.staked = after;
    if (kind === 'stake') return OK;
    stake.cooling += amount;
    stake.until = minute(time + RULES.cooldown);
    return OK;
  }

  #pays(who: string, amount: number): boolean {
    if ((this.balances.get(who) ?? 0) < amount) return false;
    this.#add(who, -amount);
    return true;
  }

  #add(who: string, amount: number): void {
    this.balances.set(who, (this.balances.get(who) ?? 0) + amount);
  }
}

/** What a voucher gives and what is taken by it, from shares of the cap. */
export function amountsOf(
  { cap }: Pick<ModelAgreement, 'cap'>,
  { credit, total }: { readonly credit: number; readonly total: number },
): { credit: number; total: number } {
  return { credit: Math.floor((cap * credit) / 1000), total: Math.floor((cap * total) / 1000) };
}
