/**
 * Answers in the shapes that clients of the replaced system read. Its amounts were whole numbers: here they are uait.
 * What this chain has no counterpart of is null or zero, never made up.
 */
import Type from 'typebox';
import type { Address } from '../bytes.ts';
import { keyHex, toHex } from '../bytes.ts';
import { accountKey, decodeAccount } from '../chain/accounts.ts';
import { formatAddress } from '../chain/address.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import type { Transaction } from '../chain/tx.ts';
import type { ChainApi, NodeApi } from './api.ts';
import { strict } from './app.ts';
import type { StoredBlock } from './proofs.ts';
import { storedBlock } from './proofs.ts';
import { anyObject, count, height, hex32, integer, nullable, Peer, text, time } from './schemas.ts';

const optional = Type.Optional;

export const LegacyBalance = strict({ address: text, balance: count, nonce: count, updated_at: nullable(time) });
export const LegacyAccount = strict({ address: text, balance: count, nonce: count, chain_id: text });
export const LegacyFunds = strict({
  address: text,
  available_balance: count,
  staked: count,
  bridge_locked: count,
  total_balance: count,
  timestamp: nullable(time),
});

/** Null for an account that was never touched. */
export function accountOf(api: ChainApi, address: Address): { balance: number; nonce: number } | null {
  const value = api.chain.tip().state.get(accountKey(address));
  if (value === undefined) return null;
  const { balanceUait, nonce } = decodeAccount(value);
  return { balance: balanceUait, nonce };
}

/** Time of the head; null before the first block. */
export function headTime(api: ChainApi): string | null {
  const head = storedBlock(api, api.chain.tip().height);
  return head ? timeOf(head) : null;
}

export function legacyFunds(api: ChainApi, address: Address) {
  const balance = accountOf(api, address)?.balance ?? 0;
  return {
    address: formatAddress(address),
    available_balance: balance,
    staked: 0,
    bridge_locked: 0,
    total_balance: balance,
    timestamp: headTime(api),
  };
}

const partiesFields = { sender: text, recipient: nullable(text), payload: anyObject };
export const LegacyTx = strict({ tx_hash: hex32, block_height: height, ...partiesFields, created_at: time });
export const LegacyTxRow = strict({
  transaction_id: hex32,
  tx_hash: hex32,
  chain_id: text,
  block_height: height,
  ...partiesFields,
  type: text,
  status: text,
  created_at: time,
  timestamp: time,
  nonce: count,
  value: count,
  fee: count,
});

function parties(tx: Transaction) {
  const { type, payload } = transactionToJson(tx) as { type: string; payload: Record<string, string> };
  const recipient = type === 'transfer' ? (payload['to'] ?? null) : null;
  return {
    row: { sender: formatAddress(tx.senderAddress), recipient, payload },
    type: type === 'transfer' ? 'TRANSFER' : type,
    value: type === 'transfer' ? Number(payload['amount_uait']) : 0,
  };
}

export function legacyTx({ block }: StoredBlock, tx: Transaction) {
  const created_at = new Date(block.header.timeMs).toISOString();
  return { tx_hash: keyHex(tx.key), block_height: block.header.height, ...parties(tx).row, created_at };
}

/** @param code of the receipt */
export function legacyTxRow(stored: StoredBlock, tx: Transaction, code: number) {
  const { row, type, value } = parties(tx);
  const at = timeOf(stored);
  return {
    transaction_id: keyHex(tx.key),
    tx_hash: keyHex(tx.key),
    chain_id: stored.block.header.chainId,
    block_height: stored.block.header.height,
    ...row,
    type,
    status: code === 0 ? 'confirmed' : 'failed',
    created_at: at,
    timestamp: at,
    nonce: tx.nonce,
    value,
    fee: tx.feeUait,
  };
}

export const LegacyPending = strict({
  success: Type.Boolean(),
  transactions: Type.Array(
    strict({
      ...{ transaction_id: hex32, tx_hash: hex32, chain_id: text, block_height: Type.Null(), ...partiesFields },
      ...{ type: text, status: text, nonce: count, value: count, fee: count },
    }),
  ),
  count,
});

export function legacyPendingTx(chainId: string, tx: Transaction) {
  const { row, type, value } = parties(tx);
  const hash = keyHex(tx.key);
  return {
    ...{ transaction_id: hash, tx_hash: hash, chain_id: chainId, block_height: null, ...row },
    ...{ type, status: 'pending', nonce: tx.nonce, value, fee: tx.feeUait },
  };
}

const LegacyAddressTx = strict({
  ...{ tx_hash: hex32, block_height: height, direction: text, counterparty: nullable(text) },
  ...{ payload: anyObject, created_at: time },
});
export const LegacyAddress = strict({
  ...{ address: text, balance: count, nonce: count },
  ...{ total_transactions_sent: Type.Null(), total_transactions_received: Type.Null() },
  ...{ latest_sent: Type.Array(LegacyAddressTx), latest_received: Type.Array(LegacyAddressTx) },
});

/** As the account sees it. */
export function legacyAddressTx(stored: StoredBlock, tx: Transaction, address: Address) {
  const { row } = parties(tx);
  const isSent = row.sender === formatAddress(address);
  return {
    ...{ tx_hash: keyHex(tx.key), block_height: stored.block.header.height },
    ...{ direction: isSent ? 'sent' : 'received', counterparty: isSent ? row.recipient : row.sender },
    ...{ payload: row.payload, created_at: timeOf(stored) },
  };
}

export const LegacyExplorerTx = strict({
  ...{ hash: hex32, block_height: height, from: text, to: nullable(text), type: text, amount: count, fee: count },
  timestamp: time,
});

export function legacyExplorerTx(stored: StoredBlock, tx: Transaction) {
  const { row, type, value } = parties(tx);
  const at = { block_height: stored.block.header.height, timestamp: timeOf(stored) };
  return { hash: keyHex(tx.key), ...at, from: row.sender, to: row.recipient, type, amount: value, fee: tx.feeUait };
}

export const LegacyExplorerBlocks = strict({
  items: Type.Array(strict({ height, hash: hex32, timestamp: time, txCount: count, proposer: hex32 })),
  next_offset: nullable(count),
});

export function legacyExplorerBlock(stored: StoredBlock) {
  const { header, txs } = stored.block;
  return {
    ...{ height: header.height, hash: toHex(stored.hash), timestamp: timeOf(stored) },
    ...{ txCount: txs.length, proposer: toHex(header.proposer) },
  };
}

export const LegacyBlock = strict({
  chain_id: text,
  height,
  hash: hex32,
  parent_hash: hex32,
  proposer: hex32,
  timestamp: time,
  tx_count: count,
  state_root: hex32,
  transactions: optional(Type.Array(LegacyTxRow)),
});
export const LegacyBlockRange = strict({
  success: Type.Boolean(),
  blocks: Type.Array(LegacyBlock),
  start: height,
  end: height,
  count,
});

export const LegacyBlockList = strict({
  blocks: Type.Array(LegacyBlock),
  total: count,
  limit: count,
  offset: count,
});

/** @param codes of the receipts, to show the transactions too; null leaves them out */
export function legacyBlock(stored: StoredBlock, codes: readonly number[] | null) {
  const { header, txs } = stored.block;
  return {
    chain_id: header.chainId,
    height: header.height,
    hash: toHex(stored.hash),
    parent_hash: toHex(header.parent),
    proposer: toHex(header.proposer),
    timestamp: timeOf(stored),
    tx_count: txs.length,
    state_root: toHex(header.stateRoot),
    ...(codes && { transactions: txs.map((tx, i) => legacyTxRow(stored, tx, codes[i] ?? 0)) }),
  };
}

export const LegacyHeight = strict({ height });

export const LegacySync = strict({
  chain_id: text,
  head_height: height,
  head_hash: nullable(hex32),
  head_proposer: nullable(hex32),
  head_timestamp: nullable(time),
  total_blocks: count,
  total_transactions: Type.Null(),
  validate_signatures: Type.Boolean(),
  trusted_proposers: Type.Array(hex32),
  max_reorg_depth: integer,
  syncing: Type.Boolean(),
  target_height: nullable(height),
});

export function legacySync(api: ChainApi, validators: readonly string[]) {
  const { height: head_height } = api.chain.tip();
  const head = storedBlock(api, head_height);
  const { state, targetHeight } = api.status();
  return {
    chain_id: api.genesis.chain.chainId,
    head_height,
    head_hash: head ? toHex(head.hash) : null,
    head_proposer: head ? toHex(head.block.header.proposer) : null,
    head_timestamp: head ? timeOf(head) : null,
    total_blocks: head_height,
    total_transactions: null,
    validate_signatures: true,
    trusted_proposers: validators,
    // Final at commit.
    max_reorg_depth: 0,
    syncing: state === 'syncing',
    target_height: targetHeight,
  };
}

export const LegacyInfo = strict({
  chain_id: text,
  height,
  total_blocks: count,
  total_transactions: Type.Null(),
  total_accounts: Type.Null(),
  latest_block_hash: nullable(hex32),
  last_block_hash: nullable(hex32),
  latest_block_timestamp: nullable(time),
  timestamp: nullable(time),
  genesis_params: strict({
    chain_id: text,
    base_fee: count,
    fee_per_byte: count,
    block_time_seconds: Type.Number(),
    max_block_size_bytes: count,
  }),
  proposer_id: nullable(hex32),
  supported_chains: Type.Array(text),
  rpc_version: text,
});

export function legacyInfo(node: NodeApi, api: ChainApi) {
  const { params, chain } = api.genesis;
  const { height: at } = api.chain.tip();
  const head = storedBlock(api, at);
  const hash = head ? toHex(head.hash) : null;
  const timestamp = head ? timeOf(head) : null;
  return {
    chain_id: chain.chainId,
    height: at,
    total_blocks: at,
    total_transactions: null,
    total_accounts: null,
    latest_block_hash: hash,
    last_block_hash: hash,
    latest_block_timestamp: timestamp,
    timestamp,
    genesis_params: {
      chain_id: chain.chainId,
      base_fee: params.baseFeeUait,
      fee_per_byte: params.feePerByteUait,
      block_time_seconds: params.minBlockIntervalMs / 1000,
      max_block_size_bytes: params.maxBlockBytes,
    },
    proposer_id: api.node.validator && toHex(api.node.validator),
    supported_chains: node.chains().map(({ chainId }) => chainId),
    rpc_version: node.version,
  };
}

export const LegacyNet = strict({
  chain_id: text,
  node_id: text,
  listening: Type.Boolean(),
  n_peers: count,
  peers: Type.Array(Peer),
});

export const LegacyTxHash = strict({ tx_hash: hex32 });
export const LegacySubmitted = strict({ success: Type.Boolean(), transaction_hash: hex32, message: text });

function timeOf({ block }: StoredBlock): string {
  return new Date(block.header.timeMs).toISOString();
}
