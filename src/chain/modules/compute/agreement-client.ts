/** What a client does with an agreement. */
import type { Address, Hash, PublicKey } from '../../../bytes.ts';
import { equalBytes, toHex } from '../../../bytes.ts';
import { takeBalance } from '../../accounts.ts';
import { formatAddress, parseAddress } from '../../address.ts';
import { Reader, Writer } from '../../codec.ts';
import { checkKeys, jsonAmount, jsonHex, jsonInteger, jsonString } from '../../json.ts';
import { TxFailure } from '../../receipt.ts';
import type { StateReader } from '../../state.ts';
import type { TxContext, TxType } from '../types.ts';
import type { Agreement } from './agreement.ts';
import { agreementId, getAgreement, setAgreement } from './agreement.ts';
import { putClosing, putExtended, putOpen } from './closing.ts';
import { wholeMinuteMs } from './deadlines.ts';
import { emit, EVENT_CHANGED, EVENT_CLOSING, EVENT_OPENED } from './events.ts';
import { getComputeParams } from './params.ts';
import { getStake } from './stake.ts';

const NO_RECEIPTS: Hash = new Uint8Array(32);

export interface OpenAgreement {
  /** Session key that will sign vouchers. */
  readonly signer: PublicKey;
  readonly miner: Address;
  readonly capUait: number;
  /** Header time; the chain rounds it up to a whole minute. */
  readonly expiresAtMs: number;
}

/** Type 16. Payload: signer 32, miner 20, cap u64, expiry u64. */
export const openAgreement: TxType<OpenAgreement> = {
  type: 16,
  name: 'agreement.open',
  encode: ({ signer, miner, capUait, expiresAtMs }) =>
    new Writer(68).fixed(signer, 32).fixed(miner, 20).u64(capUait).u64(expiresAtMs).finish(),
  decode: (bytes) => {
    const reader = new Reader(bytes, 'agreement.open');
    const payload = {
      signer: reader.fixed(32),
      miner: reader.fixed(20),
      capUait: reader.u64(),
      expiresAtMs: reader.u64(),
    };
    reader.end();
    return payload;
  },
  toJson: ({ signer, miner, capUait, expiresAtMs }) => ({
    signer: toHex(signer),
    miner: formatAddress(miner),
    cap_uait: String(capUait),
    expires_at_ms: expiresAtMs,
  }),
  fromJson: (json) => {
    checkKeys(json, ['signer', 'miner', 'cap_uait', 'expires_at_ms']);
    return {
      signer: jsonHex(json['signer'], 'signer', 32),
      miner: parseAddress(jsonString(json['miner'], 'miner')),
      capUait: jsonAmount(json['cap_uait'], 'cap_uait'),
      expiresAtMs: jsonInteger(json['expires_at_ms'], 'expires_at_ms'),
    };
  },
  spends: ({ capUait }) => capUait,
  apply: (context, { signer, miner, capUait, expiresAtMs }) => {
    const { state, crypto, chain, senderAddress, nonce, feeUait } = context;
    const { minCapUait, minOpenFeeUait } = getComputeParams(state);
    if (feeUait < minOpenFeeUait) throw new TxFailure('FEE_TOO_LOW', 'the fee is below that of opening an agreement');
    if (capUait < minCapUait) throw new TxFailure('LIMIT', 'the cap is below the least one');
    checkTerm(context, miner, expiresAtMs);
    if (!takeBalance(state, senderAddress, capUait)) {
      throw new TxFailure('INSUFFICIENT_FUNDS', 'the balance is below the cap');
    }
    const id = agreementId(crypto, chain, senderAddress, nonce);
    const agreement: Agreement = {
      client: senderAddress,
      signer,
      miner,
      capUait,
      paidUait: 0,
      expiresAtMs: wholeMinuteMs(expiresAtMs),
      receiptsRoot: NO_RECEIPTS,
      state: { name: 'open' },
    };
    putOpen(state, id, agreement);
    emit(context, EVENT_OPENED, id, miner, capUait, agreement.expiresAtMs);
  },
};

/** Type 17. Payload: agreement 32, amount u64. */
export const topupAgreement: TxType<{ readonly agreement: Hash; readonly amountUait: number }> = {
  type: 17,
  name: 'agreement.topup',
  encode: ({ agreement, amountUait }) => new Writer(40).fixed(agreement, 32).u64(amountUait).finish(),
  decode: (bytes) => {
    const reader = new Reader(bytes, 'agreement.topup');
    const payload = { agreement: reader.fixed(32), amountUait: reader.u64() };
    reader.end();
    return payload;
  },
  toJson: ({ agreement, amountUait }) => ({ agreement: toHex(agreement), amount_uait: String(amountUait) }),
  fromJson: (json) => {
    checkKeys(json, ['agreement', 'amount_uait']);
    return {
      agreement: jsonHex(json['agreement'], 'agreement', 32),
      amountUait: jsonAmount(json['amount_uait'], 'amount_uait'),
    };
  },
  spends: ({ amountUait }) => amountUait,
  apply: (context, { agreement: id, amountUait }) => {
    const { state, senderAddress } = context;
    const agreement = ownOpen(state, id, senderAddress);
    if (amountUait === 0) throw new TxFailure('LIMIT', 'nothing is no top-up');
    if (!takeBalance(state, senderAddress, amountUait)) {
      throw new TxFailure('INSUFFICIENT_FUNDS', 'the balance is below the amount');
    }
    const capUait = agreement.capUait + amountUait;
    setAgreement(state, id, { ...agreement, capUait });
    emit(context, EVENT_CHANGED, id, agreement.miner, capUait, agreement.expiresAtMs);
  },
};

/** Type 18. Payload: agreement 32, expiry u64: later than the present one. */
export const extendAgreement: TxType<{ readonly agreement: Hash; readonly expiresAtMs: number }> = {
  type: 18,
  name: 'agreement.extend',
  encode: ({ agreement, expiresAtMs }) => new Writer(40).fixed(agreement, 32).u64(expiresAtMs).finish(),
  decode: (bytes) => {
    const reader = new Reader(bytes, 'agreement.extend');
    const payload = { agreement: reader.fixed(32), expiresAtMs: reader.u64() };
    reader.end();
    return payload;
  },
  toJson: ({ agreement, expiresAtMs }) => ({ agreement: toHex(agreement), expires_at_ms: expiresAtMs }),
  fromJson: (json) => {
    checkKeys(json, ['agreement', 'expires_at_ms']);
    return {
      agreement: jsonHex(json['agreement'], 'agreement', 32),
      expiresAtMs: jsonInteger(json['expires_at_ms'], 'expires_at_ms'),
    };
  },
  apply: (context, { agreement: id, expiresAtMs }) => {
    const { state, senderAddress } = context;
    const agreement = ownOpen(state, id, senderAddress);
    checkTerm(context, agreement.miner, expiresAtMs);
    const laterMs = wholeMinuteMs(expiresAtMs);
    if (laterMs <= agreement.expiresAtMs)
      throw new TxFailure('NOT_APPLICABLE', 'the agreement lasts that long already');
    putExtended(state, id, agreement, laterMs);
    emit(context, EVENT_CHANGED, id, agreement.miner, agreement.capUait, laterMs);
  },
};

/** Type 21. Payload: agreement 32. Takes nothing back that a voucher gave: the miner has its time to settle. */
export const closeAgreement: TxType<{ readonly agreement: Hash }> = {
  type: 21,
  name: 'agreement.close',
  encode: ({ agreement }) => new Writer(32).fixed(agreement, 32).finish(),
  decode: (bytes) => {
    const reader = new Reader(bytes, 'agreement.close');
    const payload = { agreement: reader.fixed(32) };
    reader.end();
    return payload;
  },
  toJson: ({ agreement }) => ({ agreement: toHex(agreement) }),
  fromJson: (json) => {
    checkKeys(json, ['agreement']);
    return { agreement: jsonHex(json['agreement'], 'agreement', 32) };
  },
  apply: (context, { agreement: id }) => {
    const agreement = ownOpen(context.state, id, context.senderAddress);
    putClosing(context, id, agreement);
    emit(context, EVENT_CLOSING, id, agreement.miner);
  },
};

function ownOpen(state: StateReader, id: Hash, sender: Address): Agreement {
  const agreement = getAgreement(state, id);
  if (!agreement) throw new TxFailure('NOT_FOUND', 'no agreement has this id');
  if (!equalBytes(agreement.client, sender)) throw new TxFailure('NOT_AUTHORISED', 'the sender is not its client');
  if (agreement.state.name !== 'open') throw new TxFailure('ALREADY_DONE', 'the agreement is closing or closed');
  return agreement;
}

/** Who relies on a miner's stake must see it last as long as the agreement: it cools down for longer than any term. */
function checkTerm({ state, timeMs }: TxContext, miner: Address, expiresAtMs: number): void {
  const { maxTermMs, minStakeUait } = getComputeParams(state);
  if (expiresAtMs <= timeMs) throw new TxFailure('EXPIRED', 'the expiry has passed');
  if (expiresAtMs > timeMs + maxTermMs) throw new TxFailure('LIMIT', 'the expiry is too far ahead');
  if (getStake(state, miner).stakedUait < minStakeUait) {
    throw new TxFailure('NOT_APPLICABLE', 'the miner has less at stake than miners must');
  }
}
