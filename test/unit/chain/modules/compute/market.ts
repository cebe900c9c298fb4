/** A chain with a market, driven by name: clients, miners, session keys; vouchers and transactions made for them. */
import assert from 'node:assert/strict';
import type { Hash } from '../../../../../src/bytes.ts';
import { getAccount } from '../../../../../src/chain/accounts.ts';
import { addressOf } from '../../../../../src/chain/address.ts';
import type { AppliedBlock } from '../../../../../src/chain/execute.ts';
import { pendingWork } from '../../../../../src/chain/execute.ts';
import type { Agreement } from '../../../../../src/chain/modules/compute/agreement.ts';
import { agreementId, getAgreement } from '../../../../../src/chain/modules/compute/agreement.ts';
import { openAgreement } from '../../../../../src/chain/modules/compute/agreement-client.ts';
import { stake } from '../../../../../src/chain/modules/compute/stake.ts';
import type { Voucher } from '../../../../../src/chain/modules/compute/voucher.ts';
import { signVoucher } from '../../../../../src/chain/modules/compute/voucher.ts';
import type { AnyTxType } from '../../../../../src/chain/modules/types.ts';
import { checkInvariants, checkSupplyChange } from '../../../../../src/chain/modules/table.ts';
import { memoryState } from '../../../../../src/chain/state.ts';
import { leastFeeUait } from '../../../../../src/chain/params.ts';
import type { Receipt } from '../../../../../src/chain/receipt.ts';
import type { Transaction } from '../../../../../src/chain/tx.ts';
import { txChecks } from '../../../../../src/chain/tx-checks.ts';
import { MIN_TX_BYTES } from '../../../../../src/chain/tx.ts';
import { nativeCrypto } from '../../../../../src/native/crypto.ts';
import { ChainDriver } from '../../../../util/chain-driver.ts';
import type { FixtureOptions } from '../../../../util/chain-fixture.ts';
import { fixtureGenesis, signer } from '../../../../util/chain-fixture.ts';

/** 20 s after a whole minute, so that rounding shows. */
export const START_MS = 1_700_000_000_000;
export const MINUTE_MS = 60_000;
export const BALANCE_UAIT = 1_000_000_000;
export const MIN_STAKE_UAIT = 1_000_000;
export const NO_ROOT: Hash = new Uint8Array(32);

export function addressOfName(name: string): Uint8Array {
  return addressOf(nativeCrypto, signer(name).publicKey);
}

export class Market {
  readonly chain: ChainDriver;

  constructor(options: FixtureOptions = {}) {
    this.chain = new ChainDriver(fixtureGenesis({ timeMs: START_MS, powers: [1], ...options }), ['validator-0']);
  }

  get nowMs(): number {
    return this.chain.tip.timeMs;
  }

  /** Of the next block. */
  get earliestMs(): number {
    return this.nowMs + this.chain.genesis.params.minBlockIntervalMs;
  }

  /** The next one's nonce, counting `ahead` transactions that wait. */
  tx<P>(
    txType: AnyTxType & { encode(payload: P): Uint8Array },
    from: string,
    payload: P,
    { ahead = 0, feeUait }: { readonly ahead?: number; readonly feeUait?: number } = {},
  ): Transaction {
    const { nonce } = getAccount(this.chain.tip.state, addressOfName(from));
    const size = MIN_TX_BYTES + txType.encode(payload).length;
    const least = leastFeeUait(this.chain.genesis.params, size);
    return this.chain.tx(txType, from, nonce + ahead, payload, feeUait ?? Math.max(least, 5_000));
  }

  /** One block with one transaction. @returns its receipt */
  send<P>(txType: AnyTxType & { encode(payload: P): Uint8Array }, from: string, payload: P): Receipt {
    const { receipts } = this.commit([this.tx(txType, from, payload)]);
    assert(receipts[0]);
    return receipts[0];
  }

  /** All signatures of what goes in are good, and all invariants hold afterwards. */
  commit(txs: readonly Transaction[] = [], timeMs?: number): AppliedBlock {
    assert(txs.every((tx) => areGood(this.chain, tx)));
    const before = memoryState(new Map(this.chain.entries));
    const applied = this.chain.commit(txs, [], timeMs);
    assert.equal(checkSupplyChange(before, applied.changes), null);
    assert.equal(applied.block.txs.length, txs.length);
    assert.deepEqual(checkInvariants(this.chain.entries), []);
    return applied;
  }

  stake(miner: string, amountUait = MIN_STAKE_UAIT): void {
    assert.equal(this.send(stake, miner, { amountUait }).code, 0);
  }

  /** @returns its id */
  open(client: string, miner: string, capUait: number, termMs = 10 * MINUTE_MS): Hash {
    const { nonce } = getAccount(this.chain.tip.state, addressOfName(client));
    const expiresAtMs = this.nowMs + termMs;
    const payload = { signer: sessionKey(client), miner: addressOfName(miner), capUait, expiresAtMs };
    assert.equal(this.send(openAgreement, client, payload).code, 0);
    return agreementId(nativeCrypto, this.chain.genesis.chain, addressOfName(client), nonce);
  }

  voucher(client: string, agreement: Hash, creditUait: number): Voucher {
    const fields = { agreement, creditUait, seen: NO_ROOT };
    return signVoucher(this.chain.genesis.chain, signer(`session-${client}`), fields);
  }

  agreement(id: Hash): Agreement | undefined {
    return getAgreement(this.chain.tip.state, id);
  }

  balance(name: string): number {
    return getAccount(this.chain.tip.state, addressOfName(name)).balanceUait;
  }

  /** Blocks for deadlines alone, as an idle chain makes them until that time. @returns how many */
  idleUntil(timeMs: number): number {
    for (let blocks = 0; ; blocks++) {
      const { atMs } = pendingWork(this.chain.tip);
      const dueMs = Math.max(this.earliestMs, atMs ?? Infinity);
      if (atMs === null || dueMs > timeMs) return blocks;
      assert.ok(blocks < 10_000);
      this.commit([], dueMs);
    }
  }
}

export function sessionKey(client: string): Uint8Array {
  return signer(`session-${client}`).publicKey;
}

export function areGood(chain: ChainDriver, tx: Transaction): boolean {
  return txChecks(chain.genesis.chain, tx).every(({ message, signature, publicKey }) =>
    nativeCrypto.verify(message, signature, publicKey),
  );
}
