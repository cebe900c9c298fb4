/** The shapes of all answers. What is listed in CHAIN_COMPONENTS has its name in the OpenAPI document too. */
import type { TSchema } from 'typebox';
import Type from 'typebox';
import { ERRORS } from '../errors.ts';
import { strict } from './app.ts';

export const text = Type.String();
export const height = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const hex = Type.String({ pattern: '^(?:[0-9a-f]{2})*$' });
export const hex32 = Type.String({ pattern: '^[0-9a-f]{64}$' });
export const amount = Type.String({ pattern: '^(?:0|[1-9][0-9]{0,15})$', description: 'base units (uait)' });
export const time = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' });
export const integer = Type.Integer();
const chainName = Type.String({ pattern: '^[a-z0-9._-]{1,32}$' });
/** JSON that another part defines: a payload of its module, a genesis. */
export const anyObject = Type.Object({}, { additionalProperties: true });

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

function oneOf<const T extends readonly string[]>(...words: T) {
  return Type.Unsafe<T[number]>(Type.Enum([...words]));
}

const headFields = {
  chain_id: chainName,
  height,
  hash: hex32,
  timestamp: time,
  tx_count: count,
  state_root: hex32,
  proposer: hex32,
  round: integer,
};
export const Head = strict(headFields);

const Certificate = strict({
  type: oneOf('prevote', 'precommit'),
  height,
  round: integer,
  block_hash: hex32,
  signatures: Type.Array(strict({ signer: count, signature: hex })),
});

export const Block = strict({
  ...headFields,
  version: integer,
  parent_hash: hex32,
  tx_root: hex32,
  receipts_root: hex32,
  validators_hash: hex32,
  next_validators_hash: hex32,
  last_commit_hash: hex32,
  evidence_root: hex32,
  transactions: Type.Array(
    strict({
      hash: hex32,
      code: nullable(integer),
      code_name: nullable(text),
      transaction: Type.Optional(anyObject),
    }),
  ),
  evidence: Type.Array(strict({ kind: text, height, validator: hex32 })),
  certificate: Certificate,
});

export const Join = strict({
  format: Type.Literal('aitbc-join/1'),
  chain_id: chainName,
  genesis_hash: hex32,
  issued_at_ms: count,
  valid_until_ms: count,
  sites: Type.Array(strict({ name: text, peers: Type.Array(text), rpc: Type.Array(text) })),
  signatures: Type.Array(strict({ public_key: hex32, signature: hex })),
  genesis: Type.Optional(anyObject),
});

export const Genesis = strict({ chain_id: chainName, hash: hex32, genesis: anyObject });

const StateProof = strict({
  height,
  value: nullable(hex),
  state_proof: hex,
  header: hex,
  certificate: hex,
});
export const StateValue = strict({ key: hex, height, proof: StateProof });

export const Account = strict({
  address: text,
  balance_uait: amount,
  nonce: count,
  height,
  proof: Type.Optional(StateProof),
});
export const Nonce = strict({ address: text, nonce: count, next_nonce: count });

const place = nullable(strict({ height, time }));
export const Agreement = strict({
  agreement: hex32,
  state: oneOf('open', 'closing', 'closed'),
  client: text,
  signer: hex32,
  miner: text,
  cap_uait: amount,
  paid_uait: amount,
  held_uait: amount,
  refunded_uait: amount,
  expires_at: time,
  closing_since: place,
  closed: place,
  receipts_root: nullable(hex32),
  height,
  proof: Type.Optional(StateProof),
});
export const Stake = strict({
  address: text,
  staked_uait: amount,
  cooling_uait: amount,
  cools_until: nullable(time),
  height,
  proof: Type.Optional(StateProof),
});
export const MarketParams = strict({
  min_cap_uait: amount,
  min_open_fee_uait: amount,
  max_term_ms: count,
  min_stake_uait: amount,
  unstake_cooldown_ms: count,
  closed_kept_ms: count,
});

const OfferedModel = strict({
  kind: text,
  model: text,
  /** Of what answers; null where the miner does not tell. */
  digest: nullable(hex32),
  context_tokens: count,
  streams: Type.Boolean(),
  deterministic: Type.Boolean(),
  warm: Type.Boolean(),
  fixed_uait: amount,
  input_uait_per_kib: amount,
  output_uait_per_kib: amount,
  bytes_per_second: count,
  tags: Type.Array(text),
});
const offered = {
  name: text,
  peer: text,
  addresses: Type.Array(text),
  slots: count,
  free: count,
  models: Type.Array(OfferedModel),
  expires_at: time,
};
const Miner = strict({
  address: text,
  ...offered,
  region: text,
  gpus: Type.Array(text),
  staked_uait: amount,
  offered_at: time,
});
export const Miners = strict({ items: Type.Array(Miner), next_cursor: nullable(text) });
/** The first fields are those of the replaced system; what has no counterpart here is null. */
const Offer = strict({
  id: hex32,
  provider: text,
  capacity: count,
  price: Type.Number(),
  sla: Type.Null(),
  status: oneOf('open', 'reserved'),
  created_at: time,
  gpu_model: nullable(text),
  gpu_memory_gb: Type.Null(),
  gpu_count: count,
  cuda_version: Type.Null(),
  price_per_hour: Type.Null(),
  region: text,
  attributes: Type.Null(),
  ...offered,
  offer: hex,
});
export const Offers = Type.Array(Offer);
export const MarketStats = strict({
  totalOffers: count,
  openCapacity: count,
  averagePrice: Type.Number(),
  activeBids: count,
  slots: count,
  models: count,
});
export const QuoteAnswer = strict({ quote: hex });
export const Blob = strict({
  root: hex32,
  sealed_bytes: count,
  leaves: count,
  missing: Type.Array(count, { description: 'numbers of leaves that have not come, from 0 on' }),
});

const TransactionProof = strict({
  height,
  index: count,
  count,
  transaction: hex,
  transaction_siblings: Type.Array(hex32),
  receipt: hex,
  receipt_siblings: Type.Array(hex32),
  header: hex,
  certificate: hex,
});

export const Transaction = strict({
  hash: hex32,
  status: oneOf('pending', 'final', 'rejected', 'unknown'),
  height: nullable(height),
  index: nullable(count),
  code: Type.Union([integer, text, Type.Null()]),
  code_name: nullable(text),
  reason: nullable(text),
  transaction: nullable(anyObject),
  proof: Type.Optional(TransactionProof),
});

export const BatchResults = strict({
  results: Type.Array(
    strict({
      hash: nullable(hex32),
      status: oneOf('pending', 'final', 'rejected', 'unknown'),
      code: Type.Union([integer, text, Type.Null()]),
      reason: nullable(text),
    }),
  ),
});

const cursor = nullable(Type.String({ description: 'cursor of the page after this; null: it is the last' }));
export const BlockPage = strict({ items: Type.Array(Head), next_cursor: cursor });

const outcomeFields = { code: nullable(integer), code_name: nullable(text) };
const ListedTransaction = strict({
  hash: hex32,
  height,
  index: count,
  ...outcomeFields,
  transaction: anyObject,
});
export const TransactionPage = strict({ items: Type.Array(ListedTransaction), next_cursor: cursor });

const Receipt = strict({
  hash: hex32,
  ...outcomeFields,
  fee_uait: amount,
  events: Type.Array(strict({ module: integer, kind: integer, data: hex })),
});
export const Receipts = strict({ height, hash: hex32, receipts: Type.Array(Receipt) });

const validatorFields = { public_key: hex32, name: text, power: count, operator: text };
const ValidatorSet = strict({ total_power: count, validators: Type.Array(strict(validatorFields)) });

export const LightBlock = strict({
  chain_id: chainName,
  height,
  hash: hex32,
  header: hex,
  certificate: hex,
  validators: ValidatorSet,
  next_validators: nullable(ValidatorSet),
});

export const Validators = strict({
  chain_id: chainName,
  height,
  last: nullable(ValidatorSet),
  current: strict({
    total_power: count,
    validators: Type.Array(strict({ ...validatorFields, demoted_until: nullable(height) })),
  }),
  next: ValidatorSet,
  proposals: Type.Array(anyObject),
});

export const Consensus = strict({
  chain_id: chainName,
  height,
  round: integer,
  step: text,
  proposer: nullable(hex32),
  locked_round: integer,
  valid_round: integer,
  validators: Type.Array(
    strict({
      ...validatorFields,
      reachable: Type.Boolean(),
      prevote: nullable(text),
      precommit: nullable(text),
    }),
  ),
  reasons: Type.Array(text),
});

export const Peer = strict({
  peer_id: text,
  addresses: Type.Array(text),
  direction: oneOf('inbound', 'outbound'),
  score: Type.Number(),
  height: nullable(height),
  validator: nullable(hex32),
  name: nullable(text),
  agent: nullable(text),
  named: Type.Boolean(),
  path: oneOf('direct', 'relay'),
  rtt_ms: nullable(Type.Number()),
  clock_offset_ms: nullable(Type.Number()),
});
const RefusedPeer = strict({ peer_id: text, address: text, our_genesis: hex32, their_genesis: hex32, time });
export const Peers = strict({ peers: Type.Array(Peer), refused: Type.Array(RefusedPeer) });

export const Snapshots = strict({
  snapshots: Type.Array(strict({ height, chunks: count, bytes: count, manifest_hash: hex32 })),
});

const health = oneOf('starting', 'syncing', 'synced', 'halted');
const Pool = strict({ txs: count, bytes: count });

export const Status = strict({
  chain_id: chainName,
  height,
  base_height: height,
  hash: nullable(hex32),
  state_root: nullable(hex32),
  round: nullable(integer),
  state: health,
  validators_reachable: count,
  validators_total: count,
  quorum: count,
  signing: Type.Boolean(),
  not_signing: Type.Array(text),
  target_height: nullable(height),
  sync: nullable(strict({ blocks_per_s: Type.Number(), eta_ms: Type.Number() })),
  snapshot: nullable(
    strict({
      phase: oneOf('finding', 'fetching', 'writing'),
      height: nullable(height),
      chunks_done: count,
      chunks_total: count,
      bytes_per_s: Type.Number(),
      eta_s: nullable(Type.Number()),
    }),
  ),
  genesis_hash: hex32,
  params: strict({
    min_block_interval_ms: count,
    max_block_txs: count,
    max_block_bytes: count,
    base_fee_uait: amount,
    fee_per_byte_uait: amount,
    precision_ms: count,
    delay_ms: count,
    evidence_max_age_blocks: count,
    change_ttl_blocks: count,
  }),
  name: text,
  version: text,
  peer_id: text,
  validator: nullable(hex32),
  peers: count,
  pool: Pool,
});

export const ChainSummary = strict({
  chain_id: chainName,
  default: Type.Boolean(),
  state: oneOf('stopped', 'starting', 'running', 'failed'),
  error: nullable(strict({ code: text, message: text, hint: nullable(text) })),
  genesis_hash: nullable(hex32),
  height: nullable(height),
  hash: nullable(hex32),
  health: nullable(health),
  validators_reachable: nullable(count),
  validators_total: nullable(count),
  quorum: nullable(count),
  signing: Type.Boolean(),
  not_signing: Type.Array(text),
  target_height: nullable(height),
  peers: count,
  pool: Pool,
});
export const Chains = strict({ chains: Type.Array(ChainSummary) });

export const Alive = strict({ status: oneOf('ok') });
export const Health = strict({
  status: oneOf('ok'),
  state: nullable(text),
  chain_id: nullable(chainName),
  height: nullable(height),
  version: text,
  chains: Type.Array(strict({ chain_id: chainName, state: text, height: nullable(height) })),
});
const checks = Type.Array(strict({ chain_id: chainName, name: text, ok: Type.Boolean(), detail: text }));
export const Ready = strict({ status: oneOf('ok'), checks: Type.Optional(checks) });

const problemFields = {
  type: text,
  title: text,
  status: Type.Integer({ minimum: 400, maximum: 599 }),
  detail: text,
  instance: text,
  code: Type.Enum(Object.keys(ERRORS)),
  retryable: Type.Boolean(),
  hint: Type.Optional(text),
  data: Type.Optional(anyObject),
  errors: Type.Optional(Type.Array(strict({ pointer: text, detail: text }))),
};
export const Problem = strict(problemFields);
export const NotReady = strict({ ...problemFields, checks: Type.Optional(checks) });

export const JsonRpcCall = Type.Object({
  jsonrpc: oneOf('2.0'),
  id: Type.Optional(Type.Union([text, Type.Number(), Type.Null()])),
  method: text,
  params: Type.Optional(Type.Union([anyObject, Type.Array(Type.Unknown())])),
});
const answered = { jsonrpc: oneOf('2.0'), id: Type.Union([text, Type.Number(), Type.Null()]) };
export const JsonRpcAnswer = Type.Union([
  strict({ ...answered, result: Type.Unknown() }),
  strict({ ...answered, error: strict({ code: integer, message: text, data: Problem }) }),
]);

export const CHAIN_COMPONENTS: Readonly<Record<string, TSchema>> = {
  Head,
  Certificate,
  Block,
  Genesis,
  Join,
  StateProof,
  StateValue,
  Account,
  Nonce,
  Agreement,
  Stake,
  MarketParams,
  OfferedModel,
  Miner,
  Miners,
  Offer,
  Offers,
  MarketStats,
  QuoteAnswer,
  Blob,
  TransactionProof,
  Transaction,
  BatchResults,
  BlockPage,
  ListedTransaction,
  TransactionPage,
  Receipt,
  Receipts,
  ValidatorSet,
  LightBlock,
  Validators,
  Consensus,
  Peer,
  Peers,
  Snapshots,
  Status,
  ChainSummary,
  Chains,
  Health,
  Ready,
  Problem,
  NotReady,
  JsonRpcCall,
  JsonRpcAnswer,
};
