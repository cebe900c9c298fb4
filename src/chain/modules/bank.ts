/** Balances, transfers and the supply. Fees are burned. */
import type { Address } from '../../bytes.ts';
import { toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import { accountAt, accountKey, BANK_MODULE, decodeAccount, encodeAccount, isAccountKey } from '../accounts.ts';
import { formatAddress, parseAddress } from '../address.ts';
import { MAX_U64, Reader, Writer } from '../codec.ts';
import { checkKeys, jsonAmount, jsonArray, jsonHex, jsonObject, jsonString } from '../json.ts';
import { TxFailure } from '../receipt.ts';
import type { StateReader } from '../state.ts';
import { stateKey } from '../state.ts';
import type { JsonObject, Module, StateEntries, TxType } from './types.ts';

export const MAX_MEMO_BYTES = 256;

export interface Transfer {
  readonly to: Address;
  readonly amountUait: number;
  readonly memo: Uint8Array;
}

/** Type 1. Payload: to 20, amount u64, memo (u16 length). An amount of zero is allowed. */
export const transfer: TxType<Transfer> = {
  type: 1,
  name: 'transfer',
  encode: (payload) =>
    new Writer(64).fixed(payload.to, 20).u64(payload.amountUait).bytes16(checkedMemo(payload.memo)).finish(),
  decode: (bytes) => {
    const reader = new Reader(bytes, 'transfer');
    const payload = { to: reader.fixed(20), amountUait: reader.u64(), memo: reader.bytes16(MAX_MEMO_BYTES) };
    reader.end();
    return payload;
  },
  toJson: (payload) => ({
    to: formatAddress(payload.to),
    amount_uait: String(payload.amountUait),
    ...(payload.memo.length > 0 && { memo: toHex(payload.memo) }),
  }),
  fromJson: (json) => {
    checkKeys(json, ['to', 'amount_uait'], ['memo']);
    return {
      to: parseAddress(jsonString(json['to'], 'to')),
      amountUait: jsonAmount(json['amount_uait'], 'amount_uait'),
      memo: checkedMemo(json['memo'] === undefined ? new Uint8Array() : jsonHex(json['memo'], 'memo')),
    };
  },
  spends: (payload) => payload.amountUait,
  apply: ({ state, senderKey }, { to, amountUait }) => {
    const { balanceUait, nonce } = accountAt(state, senderKey);
    if (balanceUait < amountUait) throw new TxFailure('INSUFFICIENT_FUNDS', 'the balance is below the amount');
    const toKey = accountKey(to);
    if (toKey === senderKey) return;
    const target = accountAt(state, toKey);
    state.set(senderKey, encodeAccount({ balanceUait: balanceUait - amountUait, nonce }));
    state.set(toKey, encodeAccount({ balanceUait: target.balanceUait + amountUait, nonce: target.nonce }));
  },
};

/** `genesis + minted − burned` is what exists; it equals all balances, stakes and escrows. */
export interface Supply {
  readonly genesisUait: number;
  readonly mintedUait: number;
  readonly burnedUait: number;
}

export const SUPPLY_KEY = stateKey(BANK_MODULE, Uint8Array.of(2));

export function getSupply(state: StateReader): Supply {
  const bytes = state.get(SUPPLY_KEY);
  if (!bytes) throw new NodeError('CORRUPT', 'the state has no supply record');
  return decodeSupply(bytes);
}

function decodeSupply(bytes: Uint8Array): Supply {
  const reader = new Reader(bytes, 'supply');
  const supply = { genesisUait: reader.u64(), mintedUait: reader.u64(), burnedUait: reader.u64() };
  reader.end();
  return supply;
}

function encodeSupply(supply: Supply): Uint8Array {
  return new Writer(24).u64(supply.genesisUait).u64(supply.mintedUait).u64(supply.burnedUait).finish();
}

export const bank: Module = {
  id: BANK_MODULE,
  name: 'bank',
  txTypes: [transfer],
  encodeGenesis: (section) => {
    const accounts = genesisAccounts(section);
    const writer = new Writer(4 + accounts.length * 28).u32(accounts.length);
    for (const { address, balanceUait } of accounts) writer.fixed(address, 20).u64(balanceUait);
    return writer.finish();
  },
  initGenesis: ({ state }, section) => {
    let genesisUait = 0;
    for (const { address, balanceUait } of genesisAccounts(section)) {
      state.set(accountKey(address), encodeAccount({ balanceUait, nonce: 0 }));
      genesisUait += balanceUait;
    }
    state.set(SUPPLY_KEY, encodeSupply({ genesisUait, mintedUait: 0, burnedUait: 0 }));
  },
  endBlock: ({ state }, { feesUait }) => {
    if (feesUait === 0) return;
    const supply = getSupply(state);
    state.set(SUPPLY_KEY, encodeSupply({ ...supply, burnedUait: supply.burnedUait + feesUait }));
  },
  heldUait: heldInAccounts,
};

/** Ordered by address, whatever the order of the JSON, so that equal content has one hash. */
function genesisAccounts(section: JsonObject): { address: Address; balanceUait: number }[] {
  checkKeys(section, ['accounts']);
  const accounts = jsonArray(section['accounts'], 'accounts').map((item, i) => {
    const entry = jsonObject(item, `accounts/${i}`);
    checkKeys(entry, ['address', 'balance_uait']);
    return {
      text: jsonString(entry['address'], 'address'),
      balanceUait: jsonAmount(entry['balance_uait'], 'balance_uait'),
    };
  });
  const sorted = accounts
    .map(({ text, balanceUait }) => ({ address: parseAddress(text), hex: toHex(parseAddress(text)), balanceUait }))
    .sort((a, b) => (a.hex < b.hex ? -1 : 1));
  const total = sorted.reduce((sum, { balanceUait }) => sum + balanceUait, 0);
  if (total > MAX_U64) throw new NodeError('BAD_GENESIS', 'the balances of genesis exceed 2^53 − 1 base units');
  if (new Set(sorted.map(({ hex }) => hex)).size !== sorted.length) {
    throw new NodeError('BAD_GENESIS', 'an address appears twice among the accounts of genesis');
  }
  return sorted;
}

function checkedMemo(memo: Uint8Array): Uint8Array {
  if (memo.length > MAX_MEMO_BYTES) {
    throw new NodeError('INVALID_PARAMS', `a memo holds at most ${MAX_MEMO_BYTES} bytes`, {
      data: { bytes: memo.length },
    });
  }
  return memo;
}

/** What genesis and later mints brought into being, less what fees burned. */
export function existingUait(entries: StateEntries): number {
  const bytes = entries.get(SUPPLY_KEY);
  if (!bytes) throw new NodeError('CORRUPT', 'the state has no supply record');
  const supply = decodeSupply(bytes);
  return supply.genesisUait + supply.mintedUait - supply.burnedUait;
}

function heldInAccounts(entries: StateEntries): number {
  let held = 0;
  for (const [key, value] of entries) if (isAccountKey(key)) held += decodeAccount(value).balanceUait;
  return held;
}
