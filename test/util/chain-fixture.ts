/** A small network's genesis with the keys that belong to it, made from fixed seeds. */
import { createHash } from 'node:crypto';
import { addressOf, formatAddress } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import { parseGenesis } from '../../src/chain/genesis.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { JoinDocument } from '../../src/chain/join-document.ts';
import { signJoinDocument } from '../../src/chain/join-document.ts';
import { transfer } from '../../src/chain/modules/bank.ts';
import type { Json } from '../../src/chain/modules/types.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import { MIN_TX_BYTES, signTransaction } from '../../src/chain/tx.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { toHex } from '../../src/bytes.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';

export function seed(name: string): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(`fixture/${name}`).digest());
}

export function signer(name: string): Signer {
  return createNativeSigner(seed(name));
}

export function addressText(name: string): string {
  return formatAddress(addressOf(nativeCrypto, signer(name).publicKey));
}

export interface FixtureOptions {
  readonly powers?: readonly number[];
  readonly accounts?: number;
  readonly params?: Readonly<Record<string, Json>>;
  readonly chainId?: string;
  readonly timeMs?: number;
}

export function genesisJson(options: FixtureOptions = {}): Json {
  const { powers = [1, 1, 1], accounts = 4, chainId = 'ait-devnet', timeMs = Date.now() - 60_000 } = options;
  const names = [...Array(accounts).keys()].map((i) => `account-${i}`).concat(powers.map((_, i) => `operator-${i}`));
  return {
    version: 1,
    chain_id: chainId,
    time_ms: timeMs,
    params: {
      min_block_interval_ms: 20,
      max_block_txs: 1000,
      max_block_bytes: 1024 * 1024,
      base_fee_uait: '1000',
      fee_per_byte_uait: '10',
      precision_ms: 500,
      delay_ms: 2000,
      evidence_max_age_blocks: 1000,
      change_ttl_blocks: 100,
      ...options.params,
    },
    modules: {
      bank: { accounts: names.map((name) => ({ address: addressText(name), balance_uait: '1000000000' })) },
      validators: {
        authorities: powers.map((power, i) => ({
          public_key: toHex(signer(`validator-${i}`).publicKey),
          power,
          operator: addressText(`operator-${i}`),
          name: `n${i + 1}`,
        })),
      },
      compute: {
        min_cap_uait: '10000',
        min_open_fee_uait: '5000',
        max_term_ms: 3_600_000,
        min_stake_uait: '1000000',
        unstake_cooldown_ms: 7_200_000,
        closed_kept_ms: 600_000,
      },
    },
  };
}

export function fixtureGenesis(options: FixtureOptions = {}): Genesis {
  return parseGenesis(nativeCrypto, genesisJson(options));
}

/** Signed by as many of the validators; valid from an hour ago, for a day. */
export function joinDocument(genesis: Genesis, signatures = 3, nowMs = Date.now()): JoinDocument {
  const issuedAtMs = nowMs - 3_600_000;
  const peer = '/dns/at1.example/tcp/8005/p2p/12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS';
  let document: JoinDocument = {
    chain: genesis.chain,
    ...{ issuedAtMs, validUntilMs: issuedAtMs + 86_400_000, genesis: null, signatures: [] },
    sites: [{ name: 'at1', peers: [peer], rpc: ['https://at1.example'] }],
  };
  for (let i = 0; i < signatures; i++) document = signJoinDocument(document, signer(`validator-${i}`));
  return document;
}

export interface TransferOptions {
  readonly from: string;
  readonly to: string;
  readonly nonce: number;
  readonly amountUait?: number;
  readonly feeUait?: number;
  readonly validUntilHeight?: number;
}

export function makeTransfer(genesis: Genesis, options: TransferOptions): Transaction {
  const to = addressOf(nativeCrypto, signer(options.to).publicKey);
  const payload = transfer.encode({ to, amountUait: options.amountUait ?? 1, memo: new Uint8Array() });
  return signTransaction(nativeCrypto, genesis.chain, signer(options.from), {
    type: transfer.type,
    nonce: options.nonce,
    feeUait: options.feeUait ?? leastFeeUait(genesis.params, MIN_TX_BYTES + payload.length),
    validUntilHeight: options.validUntilHeight ?? 1_000_000,
    payload,
  });
}
