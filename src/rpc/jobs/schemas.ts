/** The shapes of jobs and receipts, with the names of the replaced system. */
import Type from 'typebox';
import { MAX_BLOB_BYTES } from '../../chain/market/blob.ts';
import { FINISHES } from '../../chain/market/receipt.ts';
import { strict } from '../app.ts';
import { amount, count, hex32, integer, nullable, text, time } from '../schemas.ts';

const words = <const T extends readonly string[]>(...list: T) => Type.Unsafe<T[number]>(Type.Enum([...list]));

export const plainStates = words('QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELED', 'EXPIRED');
const stage = words(
  ...(['submitted', 'queued', 'matched', 'funded', 'leased', 'running', 'delivered'] as const),
  ...(['completed', 'canceling', 'canceled', 'failed', 'expired'] as const),
);

export const Job = strict({
  job_id: hex32,
  state: plainStates,
  stage,
  kind: text,
  model: nullable(text),
  answered_by: nullable(text),
  assigned_miner_id: nullable(text),
  attempt: count,
  requested_at: time,
  expires_at: time,
  ended_at: nullable(time),
  error: nullable(text),
  error_code: nullable(text),
  payment_id: nullable(hex32),
  payment_status: words('pending', 'escrowed', 'released', 'refunded', 'skipped'),
  max_price_uait: amount,
  spent_uait: amount,
  fees_uait: amount,
  output_bytes: count,
  input_tokens: nullable(count),
  output_tokens: nullable(count),
  finish: nullable(words(...FINISHES)),
  receipt_id: nullable(hex32),
});

export const JobPage = strict({
  items: Type.Array(Job),
  next_cursor: nullable(Type.String({ description: 'cursor of the page after this; null: it is the last' })),
  total: Type.Null(),
  limit: count,
  offset: count,
});

const receiptSignature = strict({ alg: words('Ed25519'), key_id: text, sig: text });
export const JobReceipt = strict({
  version: words('2.0'),
  receipt_id: hex32,
  job_id: hex32,
  chain_id: text,
  genesis_hash: hex32,
  provider: text,
  client: text,
  status: words('completed', 'canceled'),
  kind: text,
  model: text,
  units: count,
  unit_type: words('output_byte'),
  unit_price: count,
  price: count,
  scale: Type.Unsafe<6>(Type.Enum([6])),
  started_at: count,
  completed_at: count,
  metadata: strict({
    attempt: count,
    agreement: hex32,
    quote: hex32,
    model_digest: nullable(hex32),
    input_hash: hex32,
    input_bytes: count,
    output_hash: hex32,
    chunks: count,
    link: hex32,
    fixed_uait: amount,
    input_uait_per_kib: amount,
    output_uait_per_kib: amount,
    finish: words(...FINISHES),
    input_tokens: nullable(count),
    output_tokens: nullable(count),
    started_at_ms: count,
    ended_at_ms: count,
    signer: hex32,
    open: text,
  }),
  signature: receiptSignature,
  attestations: Type.Array(receiptSignature),
  anchor: Type.Optional(
    strict({
      root: hex32,
      index: count,
      count,
      path: Type.Array(hex32),
      settlement: nullable(text),
    }),
  ),
});

/** See chain/market/work-json.ts. */
export const WorkProof = strict({
  format: words('aitbc-work/1'),
  receipt: JobReceipt,
  job: text,
  content: text,
  replayed_hash: nullable(hex32),
});

export const ReceiptPage = strict({
  items: Type.Array(JobReceipt),
  next_cursor: nullable(Type.String({ description: 'cursor of the page after this; null: it is the last' })),
});

export const JobResult = strict({
  result: strict({
    status: words('completed'),
    output: nullable(Type.String({ description: 'as text; null when it is none' })),
    output_base64: nullable(Type.String({ description: 'its bytes; null when it is text' })),
    model: nullable(text),
    tokens_processed: nullable(count),
    finish: nullable(words(...FINISHES)),
  }),
  receipt: nullable(JobReceipt),
});

export const JobReasonsView = strict({
  job_id: hex32,
  state: plainStates,
  stage,
  summary: text,
  reasons: Type.Array(strict({ code: text, count, message: text, hint: text })),
  candidates: Type.Array(strict({ miner: text, score: Type.Number(), why: Type.Array(text) })),
});

const part = strict({
  role: Type.Optional(words('system', 'user', 'assistant', 'tool', '')),
  media_type: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{1,128}$', description: 'text/plain when absent' })),
  text: Type.Optional(Type.String()),
  blob: Type.Optional(
    strict({
      root: hex32,
      bytes: Type.Integer({ minimum: 1, maximum: MAX_BLOB_BYTES, description: 'of the input, opened' }),
      key: hex32,
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'of the input, opened' }),
    }),
  ),
  base64: Type.Optional(Type.String({ pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$' })),
});
const message = strict({ role: words('system', 'user', 'assistant', 'tool'), content: Type.String() });
const uait = Type.Union([amount, Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })]);
const param = Type.Union([Type.String(), integer]);

/** What is asked for, at the root or within `payload`. */
const workFields = {
  kind: Type.Optional(
    Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,31}$', description: 'llm.chat when absent; see /v1/models' }),
  ),
  model: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{0,128}$', description: 'any when absent or empty' })),
  prompt: Type.Optional(Type.String()),
  messages: Type.Optional(Type.Array(message)),
  parts: Type.Optional(Type.Array(part)),
  params: Type.Optional(
    Type.Record(Type.String(), Type.Union([param, Type.Array(param)]), {
      description: 'of the kind, as it names them: max_tokens, temperature_milli, seed, stop, …',
    }),
  ),
};

export const JobBody = strict({
  ...workFields,
  max_output_bytes: Type.Optional(Type.Integer({ minimum: 1, maximum: 4 * 1024 * 1024 })),
  max_price_uait: Type.Optional(uait),
  ttl_seconds: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 86_400, description: 'until it has expired; 900 when absent' }),
  ),
  payload: Type.Optional(
    strict({
      ...workFields,
      type: Type.Optional(Type.Unsafe<string>(Type.Enum(['inference', 'llm', 'chat', 'text', 'embedding']))),
      max_tokens: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
      temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
    }),
  ),
  constraints: Type.Optional(
    strict({
      models: Type.Optional(Type.Array(Type.String({ pattern: '^[\\x21-\\x7e]{1,128}$' }), { maxItems: 1 })),
      max_price: Type.Optional(uait),
      gpu: Type.Optional(Type.Null()),
      cuda: Type.Optional(Type.Null()),
      min_vram_gb: Type.Optional(Type.Null()),
      region: Type.Optional(Type.Null()),
    }),
  ),
  payment_amount: Type.Optional(uait),
  payment_currency: Type.Optional(words('AITBC', 'uait')),
});
