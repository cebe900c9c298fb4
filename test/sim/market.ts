/**
 * A client and a miner of a run: stake, agreements, vouchers, settlements; some of it stale or forged. Terms are short, so that
 * agreements expire and close while faults go on.
 */
import type { Hash } from '../../src/bytes.ts';
import { toHex } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import type { Agreement } from '../../src/chain/modules/compute/agreement.ts';
import { agreementId, getAgreement } from '../../src/chain/modules/compute/agreement.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../../src/chain/modules/compute/agreement-client.ts';
import { releaseAgreement, settleAgreement } from '../../src/chain/modules/compute/agreement-miner.ts';
import { getStake, stake } from '../../src/chain/modules/compute/stake.ts';
import { signVoucher } from '../../src/chain/modules/compute/voucher.ts';
import type { AnyTxType } from '../../src/chain/modules/types.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import type { StateReader } from '../../src/chain/state.ts';
import type { Prng } from './prng.ts';
import { simCrypto, simSigner } from './signatures.ts';

/** Not among those that transfer, so that their nonces are their own. */
export const TRADERS = { client: 'account-4', miner: 'account-5' } as const;
export type Trader = keyof typeof TRADERS;
/** What opening an agreement costs at least, and more than any of these transactions by its size. */
export const TRADE_FEE_UAIT = 8_000;

const STAKE_UAIT = 2_000_000;
const CAP_UAIT = 50_000;
const TERMS_MS = [1_000, 20_000, 120_000];
const MAX_UNCLOSED = 2;
const MAX_KNOWN = 4;

/** A transaction to send; one with a bad signature must be refused. */
export interface Trade {
  readonly by: Trader;
  readonly type: number;
  readonly payload: Uint8Array;
  readonly isForged: boolean;
}

const trade = <P>(by: Trader, txType: AnyTxType & { encode(payload: P): Uint8Array }, payload: P): Trade => {
  return { by, type: txType.type, payload: txType.encode(payload), isForged: false };
};

export class Market {
  readonly #chain: ChainContext;
  readonly #rng: Prng;
  /** Newest last. */
  readonly #known: Hash[] = [];
  /** By agreement: the most that a voucher gave. */
  readonly #creditsUait = new Map<string, number>();
  readonly #miner = addressOf(simCrypto, simSigner(TRADERS.miner).publicKey);

  constructor(chain: ChainContext, rng: Prng) {
    this.#chain = chain;
    this.#rng = rng;
  }

  /** What one of the two does next. @param nonceOf the nonce that a trader's next transaction will have */
  next(state: StateReader, timeMs: number, nonceOf: (trader: Trader) => number): Trade | null {
    if (getStake(state, this.#miner).stakedUait === 0) return trade('miner', stake, { amountUait: STAKE_UAIT });
    const unclosed = this.#known.flatMap((id) => {
      const agreement = getAgreement(state, id);
      return agreement && agreement.state.name !== 'closed' ? [{ id, agreement }] : [];
    });
    if (unclosed.length < MAX_UNCLOSED) return this.#open(timeMs, nonceOf('client'));
    const { id, agreement } = this.#rng.pick(unclosed);
    return this.#rng.chance(0.5) ? this.#settle(id, agreement) : this.#change(id, timeMs);
  }

  /** What was paid beyond all vouchers; null when nothing was. */
  overpaid(state: StateReader): string | null {
    for (const id of this.#known) {
      const paidUait = getAgreement(state, id)?.paidUait ?? 0;
      const creditUait = this.#creditsUait.get(toHex(id)) ?? 0;
      if (paidUait > creditUait) return `agreement ${toHex(id)} paid ${paidUait} of ${creditUait} by vouchers`;
    }
    return null;
  }

  #open(timeMs: number, nonce: number): Trade {
    const { publicKey } = simSigner(TRADERS.client);
    this.#known.push(agreementId(simCrypto, this.#chain, addressOf(simCrypto, publicKey), nonce));
    if (this.#known.length > MAX_KNOWN) this.#known.shift();
    const expiresAtMs = timeMs + this.#rng.pick(TERMS_MS);
    const signer = simSigner('session').publicKey;
    return trade('client', openAgreement, { signer, miner: this.#miner, capUait: CAP_UAIT, expiresAtMs });
  }

  #change(agreement: Hash, timeMs: number): Trade {
    if (this.#rng.chance(0.3)) return trade('client', closeAgreement, { agreement });
    if (this.#rng.chance(0.5))
      return trade('client', topupAgreement, { agreement, amountUait: this.#rng.below(1_000) });
    return trade('client', extendAgreement, { agreement, expiresAtMs: timeMs + this.#rng.pick(TERMS_MS) });
  }

  /** Sometimes below what is paid, sometimes above what is given. */
  #settle(agreement: Hash, { paidUait }: Agreement): Trade {
    const creditUait = paidUait + this.#rng.below(CAP_UAIT / 4);
    const seen = new Uint8Array(32);
    const good = signVoucher(this.#chain, simSigner('session'), { agreement, creditUait, seen });
    const isForged = this.#rng.chance(0.1);
    if (!isForged) this.#creditsUait.set(toHex(agreement), this.#bestCredit(agreement, creditUait));
    const voucher = isForged ? { ...good, creditUait: CAP_UAIT } : good;
    const totalUait = Math.max(0, creditUait + this.#rng.pick([0, 0, 0, -CAP_UAIT / 4, 1]));
    const taking = isForged ? { totalUait: CAP_UAIT, voucher } : { totalUait, voucher };
    const receiptsRoot = seen;
    const settled = this.#rng.chance(0.3)
      ? trade('miner', releaseAgreement, { agreement, receiptsRoot, taking })
      : trade('miner', settleAgreement, { agreement, receiptsRoot, ...taking });
    return { ...settled, isForged };
  }

  #bestCredit(agreement: Hash, creditUait: number): number {
    return Math.max(creditUait, this.#creditsUait.get(toHex(agreement)) ?? 0);
  }
}
