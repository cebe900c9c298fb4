/** Whether a store holds what its blocks say: every block replayed, and everything derived from it compared. */
import { bytesKey, equalBytes, toHex } from '../bytes.ts';
import { accountKey, decodeAccount, EMPTY_ACCOUNT, isAccountKey } from '../chain/accounts.ts';
import { addressOf } from '../chain/address.ts';
import { blockId } from '../chain/block.ts';
import type { AppliedBlock } from '../chain/execute.ts';
import { genesisState } from '../chain/genesis.ts';
import { listRoot } from '../chain/list-root.ts';
import { checkInvariants, checkSupplyChange } from '../chain/modules/table.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import { encodeReceipt, receiptsRoot } from '../chain/receipt.ts';
import type { StateKey, StateReader } from '../chain/state.ts';
import { memoryState } from '../chain/state.ts';
import { validatorSetHash } from '../chain/validator-set.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { NodeError } from '../errors.ts';
import type { ChainStore } from '../store/types.ts';
import { CertificateChecker } from './certificates.ts';
import type { Ledger } from './ledger.ts';
import type { RebuildOptions } from './rebuild.ts';
import { rebuild, storedBlocks } from './rebuild.ts';

/** Entries up to which a whole state is also checked as one at the end; the changes of every block are checked in any case. */
const MAX_WHOLE_STATE = 1_000_000;

export interface VerifyOptions extends Omit<RebuildOptions, 'guard' | 'inspect'> {
  /** First height whose derived data is compared; those below are executed. */
  readonly from: number;
}

/** @throws NodeError CORRUPT | BAD_BLOCK | BAD_CERTIFICATE with {height, field, expected, found} of the first difference */
export async function verifyChain(options: VerifyOptions): Promise<void> {
  const { source, to, from } = options;
  const inspect = (before: StateReader, applied: AppliedBlock): void => {
    checkChanges(before, applied, options);
    if (applied.block.header.height >= from) checkDerived(source, applied);
  };
  const ledger = await rebuild({ ...options, guard: null, inspect });
  if (to !== (source.head()?.height ?? 0)) return;
  await compareStates(ledger.store, source, to);
  await checkWholeState(ledger);
}

/** Without execution: links, certificates, and the roots of what blocks hold. For stores without the first blocks. */
export async function verifyLinks(options: VerifyOptions): Promise<void> {
  const { source, rules, verifier, from, to, onHeight } = options;
  const { crypto } = rules;
  const checker = new CertificateChecker(rules.chain, crypto, verifier);
  const setOf = setsOf(options);
  let parent: Uint8Array | null = null;
  for (const { block, certificate } of storedBlocks(source, from, to)) {
    const { header, txs } = block;
    const { height } = header;
    const id = blockId(crypto, header);
    if (parent) same(height, 'parent', parent, header.parent);
    same(height, 'certificate', id, certificate.blockId);
    await checker.verify(setOf(height, header.validatorsHash), certificate);
    const ids = txs.map((tx) => tx.id);
    same(height, 'tx_root', header.txRoot, listRoot(crypto, ids));
    const receipts = source.receipts(height) ?? [];
    // Whoever began with a snapshot has no receipts of the block that the snapshot belongs to.
    if (height > source.base() || receipts.length > 0) {
      same(height, 'receipts_root', header.receiptsRoot, receiptsRoot(crypto, receipts));
    }
    parent = id;
    onHeight?.(height);
  }
}

/** What a block changes: supply and what is held move alike; an account's nonce grows by its transactions. */
function checkChanges(before: StateReader, { block, changes }: AppliedBlock, { rules }: VerifyOptions): void {
  const { height } = block.header;
  const fault = checkSupplyChange(before, changes);
  if (fault !== null) throw difference(height, 'supply', 'nothing appears or vanishes', fault);
  const sent = new Map<StateKey, number>();
  for (const { sender } of block.txs) {
    const key = accountKey(addressOf(rules.crypto, sender));
    sent.set(key, (sent.get(key) ?? 0) + 1);
  }
  for (const [key, value] of changes) {
    if (!isAccountKey(key)) continue;
    const old = before.get(key);
    const was = (old ? decodeAccount(old) : EMPTY_ACCOUNT).nonce;
    const is = (value ? decodeAccount(value) : EMPTY_ACCOUNT).nonce;
    const expected = was + (sent.get(key) ?? 0);
    if (is !== expected) throw difference(height, 'nonce', String(expected), String(is));
  }
}

function checkDerived(source: ChainStore, { block, blockId: id, receipts }: AppliedBlock): void {
  const { height } = block.header;
  const stored = source.receipts(height) ?? [];
  if (stored.length !== receipts.length) {
    throw difference(height, 'receipts', String(receipts.length), String(stored.length));
  }
  receipts.forEach((receipt, i) => {
    same(height, `receipts/${i}`, encodeReceipt(receipt), encodeReceipt(stored[i] ?? receipt));
  });
  const found = source.heightOf(id);
  if (found !== height) throw difference(height, 'block_index', String(height), String(found ?? 'nothing'));
  block.txs.forEach((tx, index) => {
    const place = source.transaction(tx.id);
    if (place?.height === height && place.index === index) return;
    const where = place ? `${place.height}/${place.index}` : 'nothing';
    throw difference(height, 'transaction_index', `${height}/${index}`, where);
  });
}

/** Key by key, in their order. */
async function compareStates(replayed: ChainStore, stored: ChainStore, height: number): Promise<void> {
  const right = stored.stateEntries()[Symbol.asyncIterator]();
  let at = await right.next();
  for await (const [key, value] of replayed.stateEntries()) {
    const other = at.done === true ? undefined : at.value;
    const name = `state/${hexKey(key)}`;
    if (other && other[0] < key) throw difference(height, `state/${hexKey(other[0])}`, 'nothing', toHex(other[1]));
    if (other?.[0] !== key) throw difference(height, name, toHex(value), 'nothing');
    same(height, name, value, other[1]);
    at = await right.next();
  }
  if (at.done !== true) {
    throw difference(height, `state/${hexKey(at.value[0])}`, 'nothing', toHex(at.value[1]));
  }
}

async function checkWholeState({ store, tip }: Ledger): Promise<void> {
  const entries = new Map<StateKey, Uint8Array>();
  for await (const [key, value] of store.stateEntries()) {
    entries.set(key, value);
    if (entries.size > MAX_WHOLE_STATE) return;
  }
  const [fault] = checkInvariants(entries);
  if (fault !== undefined) throw difference(tip.height, 'invariant', 'holds', fault);
}

/** Sets by their hash in headers: that of genesis, those kept since, those of the state. */
function setsOf({ source, genesis, rules }: VerifyOptions): (height: number, hash: Uint8Array) => ValidatorSet {
  const known = new Map<string, ValidatorSet>();
  const first = getSets(memoryState(genesisState(rules.crypto, genesis))).current;
  const { last, current, next } = getSets(source.state);
  for (const set of [first, last, current, next]) {
    if (set) known.set(bytesKey(validatorSetHash(rules.crypto, set)), set);
  }
  return (height, hash) => {
    const set = known.get(bytesKey(hash)) ?? source.validatorSet(hash);
    if (!set) throw difference(height, 'validators_hash', toHex(hash), 'no such set is kept');
    known.set(bytesKey(hash), set);
    return set;
  };
}

function same(height: number, field: string, expected: Uint8Array, found: Uint8Array): void {
  if (!equalBytes(expected, found)) throw difference(height, field, toHex(expected), toHex(found));
}

function hexKey(key: StateKey): string {
  return toHex(Uint8Array.from(key, (char) => char.charCodeAt(0)));
}

function difference(height: number, field: string, expected: string, found: string): NodeError {
  return new NodeError('CORRUPT', `height ${height}: ${field} is not what the blocks lead to`, {
    data: { height, field, expected, found },
    hint: 'aitbc chain reindex makes indexes, receipts and state anew from the blocks',
  });
}
