/** What a miner does with an agreement: it alone submits vouchers, and takes up to what the highest one gives. */
import type { Address, Hash } from '../../../bytes.ts';
import { equalBytes, toHex } from '../../../bytes.ts';
import { addBalance } from '../../accounts.ts';
import { Reader, Writer } from '../../codec.ts';
import { checkKeys, jsonAmount, jsonHex, jsonObject } from '../../json.ts';
import { TxFailure } from '../../receipt.ts';
import type { StateReader } from '../../state.ts';
import type { TxContext, TxType } from '../types.ts';
import type { Agreement } from './agreement.ts';
import { getAgreement, setAgreement } from './agreement.ts';
import { putClosed } from './closing.ts';
import { emit, EVENT_PAID, EVENT_RELEASED } from './events.ts';
import type { Voucher } from './voucher.ts';
import { readVoucher, voucherCheck, voucherFromJson, voucherToJson, writeVoucher } from './voucher.ts';

/** What the miner takes, and on whose word. */
export interface Taking {
  /** All that was ever paid, this included: cumulative as vouchers are, so that no order and no repetition pays twice. */
  readonly totalUait: number;
  readonly voucher: Voucher;
}

export interface SettleAgreement extends Taking {
  readonly agreement: Hash;
  /** Of the receipts that the miner holds of this agreement; zeros leave what is anchored. */
  readonly receiptsRoot: Hash;
}

export interface ReleaseAgreement {
  readonly agreement: Hash;
  readonly receiptsRoot: Hash;
  /** null: nothing more is taken. */
  readonly taking: Taking | null;
}

/** Type 19. Payload: agreement 32, receipts root 32, total u64, voucher (credit u64, seen 32, signer 32, signature 64). */
export const settleAgreement: TxType<SettleAgreement> = {
  type: 19,
  name: 'agreement.settle',
  encode: ({ agreement, receiptsRoot, ...taking }) => {
    const writer = new Writer(208).fixed(agreement, 32).fixed(receiptsRoot, 32);
    writeTaking(writer, taking);
    return writer.finish();
  },
  decode: (bytes) => {
    const reader = new Reader(bytes, 'agreement.settle');
    const agreement = reader.fixed(32);
    const payload = { agreement, receiptsRoot: reader.fixed(32), ...readTaking(reader, agreement) };
    reader.end();
    return payload;
  },
  toJson: ({ agreement, receiptsRoot, totalUait, voucher }) => ({
    agreement: toHex(agreement),
    receipts_root: toHex(receiptsRoot),
    total_uait: String(totalUait),
    voucher: voucherToJson(voucher),
  }),
  fromJson: (json) => {
    checkKeys(json, ['agreement', 'receipts_root', 'total_uait', 'voucher']);
    const agreement = jsonHex(json['agreement'], 'agreement', 32);
    return {
      agreement,
      receiptsRoot: jsonHex(json['receipts_root'], 'receipts_root', 32),
      totalUait: jsonAmount(json['total_uait'], 'total_uait'),
      voucher: voucherFromJson(jsonObject(json['voucher'], 'voucher'), agreement),
    };
  },
  checks: (chain, { voucher }) => [voucherCheck(chain, voucher)],
  apply: (context, { agreement: id, receiptsRoot, ...taking }) => {
    const agreement = ownUnclosed(context.state, id, context.senderAddress);
    if (taking.totalUait <= agreement.paidUait) throw new TxFailure('ALREADY_DONE', 'that much is paid already');
    setAgreement(context.state, id, anchored(pay(context, id, agreement, taking), receiptsRoot));
  },
};

/** Type 20. Payload: agreement 32, receipts root 32, taking (u8 0 or 1, then total and voucher as in settle). */
export const releaseAgreement: TxType<ReleaseAgreement> = {
  type: 20,
  name: 'agreement.release',
  encode: ({ agreement, receiptsRoot, taking }) => {
    const writer = new Writer(209)
      .fixed(agreement, 32)
      .fixed(receiptsRoot, 32)
      .bool(taking !== null);
    if (taking) writeTaking(writer, taking);
    return writer.finish();
  },
  decode: (bytes) => {
    const reader = new Reader(bytes, 'agreement.release');
    const agreement = reader.fixed(32);
    const receiptsRoot = reader.fixed(32);
    const taking = reader.bool() ? readTaking(reader, agreement) : null;
    reader.end();
    return { agreement, receiptsRoot, taking };
  },
  toJson: ({ agreement, receiptsRoot, taking }) => ({
    agreement: toHex(agreement),
    receipts_root: toHex(receiptsRoot),
    ...(taking && { total_uait: String(taking.totalUait), voucher: voucherToJson(taking.voucher) }),
  }),
  fromJson: (json) => {
    const takes = json['total_uait'] !== undefined || json['voucher'] !== undefined;
    checkKeys(json, ['agreement', 'receipts_root', ...(takes ? ['total_uait', 'voucher'] : [])]);
    const agreement = jsonHex(json['agreement'], 'agreement', 32);
    const taking = (): Taking => ({
      totalUait: jsonAmount(json['total_uait'], 'total_uait'),
      voucher: voucherFromJson(jsonObject(json['voucher'], 'voucher'), agreement),
    });
    return {
      agreement,
      receiptsRoot: jsonHex(json['receipts_root'], 'receipts_root', 32),
      taking: takes ? taking() : null,
    };
  },
  checks: (chain, { taking }) => (taking ? [voucherCheck(chain, taking.voucher)] : []),
  apply: (context, { agreement: id, receiptsRoot, taking }) => {
    const found = ownUnclosed(context.state, id, context.senderAddress);
    if (taking && taking.totalUait < found.paidUait) throw new TxFailure('ALREADY_DONE', 'more is paid already');
    const agreement = taking ? pay(context, id, found, taking) : found;
    const refundedUait = putClosed(context, id, anchored(agreement, receiptsRoot));
    emit(context, EVENT_RELEASED, id, agreement.client, refundedUait);
  },
};

function ownUnclosed(state: StateReader, id: Hash, sender: Address): Agreement {
  const agreement = getAgreement(state, id);
  if (!agreement) throw new TxFailure('NOT_FOUND', 'no agreement has this id');
  if (!equalBytes(agreement.miner, sender)) throw new TxFailure('NOT_AUTHORISED', 'the sender is not its miner');
  if (agreement.state.name === 'closed') throw new TxFailure('ALREADY_DONE', 'the agreement is closed');
  return agreement;
}

/** Pays what the total exceeds that of before; the voucher's signature was verified before execution. */
function pay(context: TxContext, id: Hash, agreement: Agreement, { totalUait, voucher }: Taking): Agreement {
  if (!equalBytes(voucher.signer, agreement.signer)) {
    throw new TxFailure('BAD_PROOF', 'the voucher is not signed by the key of the agreement');
  }
  if (totalUait > voucher.creditUait) throw new TxFailure('BAD_PROOF', 'the voucher gives less');
  if (totalUait > agreement.capUait) throw new TxFailure('LIMIT', 'the agreement holds less');
  const paidNowUait = totalUait - agreement.paidUait;
  addBalance(context.state, agreement.miner, paidNowUait);
  emit(context, EVENT_PAID, id, agreement.client, paidNowUait, totalUait);
  return { ...agreement, paidUait: totalUait };
}

function anchored(agreement: Agreement, receiptsRoot: Hash): Agreement {
  return receiptsRoot.some((byte) => byte !== 0) ? { ...agreement, receiptsRoot } : agreement;
}

function writeTaking(writer: Writer, { totalUait, voucher }: Taking): void {
  writer.u64(totalUait);
  writeVoucher(writer, voucher);
}

function readTaking(reader: Reader, agreement: Hash): Taking {
  return { totalUait: reader.u64(), voucher: readVoucher(reader, agreement) };
}
