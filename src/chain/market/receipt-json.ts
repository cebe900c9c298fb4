/**
 * Receipts as files: the names of the replaced system, integers only, and all that is needed to verify one with nothing
 * else at hand. What a reader is shown and what was signed are the same: reading makes the text anew from the signed fields
 * and compares.
 */
import { base64urlnopad } from '@scure/base';
import type { Hash, Signature } from '../../bytes.ts';
import { fromHex, toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import { addressOf, formatAddress, parseAddress } from '../address.ts';
import type { Hasher } from '../crypto/types.ts';
import type { ListProof } from '../list-root.ts';
import { checkKeys, jsonAmount, jsonArray, jsonHex, jsonInteger, jsonObject, jsonString } from '../json.ts';
import type { Json, JsonObject } from '../modules/types.ts';
import type { ChainContext } from '../signing.ts';
import type { SignedReceipt, WorkReceipt } from './receipt.ts';
import { decodeReceipt, encodeReceipt, FINISHES, receiptId } from './receipt.ts';

/** A receipt with the chain it is of. */
export interface ReceiptDocument {
  readonly chain: ChainContext;
  readonly signed: SignedReceipt;
  readonly id: Hash;
  /** The client's; null while it is not acknowledged. */
  readonly acknowledgement: Signature | null;
  /** Null: not told. */
  readonly anchor: ReceiptPlace | null;
}

/** Where a receipt stands in the list whose root its miner brought to the chain. */
export interface ReceiptPlace {
  readonly root: Hash;
  readonly place: ListProof;
  /** The miner's signed transaction with that root; null where only the agreement on the chain tells it. */
  readonly settlement: Uint8Array | null;
}

export interface ReceiptAnchorJson {
  /** Of the receipts of the agreement, in hex. */
  readonly root: string;
  readonly index: number;
  readonly count: number;
  /** Siblings from the receipt upwards, in hex. */
  readonly path: readonly string[];
  /** The miner's signed `agreement.settle` or `agreement.release`, in hex. */
  readonly settlement: string | null;
}

interface ReceiptSignature {
  readonly alg: 'Ed25519';
  /** base64url without padding, as the signature. */
  readonly key_id: string;
  readonly sig: string;
}

/** Amounts that the replaced system had are whole numbers of uait; the others are decimal strings of uait. */
export interface ReceiptJson {
  readonly version: '2.0';
  readonly receipt_id: string;
  readonly job_id: string;
  readonly chain_id: string;
  readonly genesis_hash: string;
  /** Address of the miner. */
  readonly provider: string;
  /** Address of who pays. */
  readonly client: string;
  readonly status: 'completed' | 'canceled';
  readonly kind: string;
  readonly model: string;
  /** Bytes of output. */
  readonly units: number;
  readonly unit_type: 'output_byte';
  /** Of 1,024 units. */
  readonly unit_price: number;
  /** All that is due. */
  readonly price: number;
  /** Decimals of one AIT in the amounts. */
  readonly scale: 6;
  /** Seconds since 1970, as the miner's clock had it. */
  readonly started_at: number;
  readonly completed_at: number;
  readonly metadata: {
    readonly attempt: number;
    readonly agreement: string;
    readonly quote: string;
    readonly model_digest: string | null;
    readonly input_hash: string;
    readonly input_bytes: number;
    readonly output_hash: string;
    readonly chunks: number;
    readonly link: string;
    readonly fixed_uait: string;
    readonly input_uait_per_kib: string;
    readonly output_uait_per_kib: string;
    readonly finish: 'stop' | 'length' | 'canceled';
    readonly input_tokens: number | null;
    readonly output_tokens: number | null;
    readonly started_at_ms: number;
    readonly ended_at_ms: number;
    /** Session key of the client, in hex. */
    readonly signer: string;
    /** The signed `agreement.open` in hex, by which the client's account named that key. */
    readonly open: string;
  };
  /** The miner's. */
  readonly signature: ReceiptSignature;
  /** The client's acknowledgement, once there is one. */
  readonly attestations: readonly ReceiptSignature[];
  /** Once its root is on the chain, as far as that is known; no part of what was signed. */
  readonly anchor?: ReceiptAnchorJson;
}

export function receiptToJson(
  hasher: Hasher,
  { chain, signed, acknowledgement, anchor = null }: Omit<ReceiptDocument, 'id' | 'anchor'> & Partial<ReceiptDocument>,
): ReceiptJson {
  const { receipt } = signed;
  return {
    version: '2.0',
    receipt_id: toHex(receiptId(hasher, chain, receipt)),
    job_id: toHex(receipt.job),
    chain_id: chain.chainId,
    genesis_hash: toHex(chain.genesisHash),
    provider: formatAddress(addressOf(hasher, receipt.miner)),
    client: formatAddress(receipt.client),
    status: receipt.finish === 'canceled' ? 'canceled' : 'completed',
    kind: receipt.kind,
    model: receipt.model,
    units: receipt.outputBytes,
    unit_type: 'output_byte',
    unit_price: receipt.price.outputUaitPerKib,
    price: receipt.dueUait,
    scale: 6,
    started_at: Math.floor(receipt.startedAtMs / 1000),
    completed_at: Math.floor(receipt.endedAtMs / 1000),
    metadata: metadataOf(receipt),
    signature: { alg: 'Ed25519', key_id: base64urlnopad.encode(receipt.miner), sig: text(signed.signature) },
    attestations: acknowledgement
      ? [{ alg: 'Ed25519', key_id: base64urlnopad.encode(receipt.signer), sig: text(acknowledgement) }]
      : [],
    ...(anchor && { anchor: anchorToJson(anchor) }),
  };
}

/**
 * Verifies no signature: whoever reads does that next.
 *
 * @throws NodeError INVALID_PARAMS for what is no receipt, BAD_RECEIPT for one whose fields do not say what was signed
 */
export function receiptFromJson(hasher: Hasher, json: Json): ReceiptDocument {
  const root = jsonObject(json, 'receipt');
  checkKeys(root, ROOT_KEYS, ['anchor']);
  const anchor = root['anchor'] === undefined ? null : readAnchor(root['anchor']);
  const chain = {
    chainId: jsonString(root['chain_id'], 'chain_id'),
    genesisHash: jsonHex(root['genesis_hash'], 'genesis_hash', 32),
  };
  const signature = readSignature(root['signature'], 'signature');
  const attestations = jsonArray(root['attestations'], 'attestations');
  if (attestations.length > 1) throw notSigned('attestations');
  const attested = attestations.length === 0 ? null : readSignature(attestations[0], 'attestations');
  const signed = canonical({ receipt: readReceipt(root, signature.key), signature: signature.sig });
  const acknowledgement = attested?.sig ?? null;
  checkSame(receiptToJson(hasher, { chain, signed, acknowledgement }), root, '');
  return { chain, signed, acknowledgement, anchor, id: fromHex(jsonString(root['receipt_id'], 'receipt_id'), 32) };
}

const ROOT_KEYS = [
  ...['version', 'receipt_id', 'job_id', 'chain_id', 'genesis_hash', 'provider', 'client', 'status', 'kind', 'model'],
  ...['units', 'unit_type', 'unit_price', 'price', 'scale', 'started_at', 'completed_at', 'metadata'],
  ...['signature', 'attestations'],
];

const METADATA_KEYS = [
  ...['attempt', 'agreement', 'quote', 'model_digest', 'input_hash', 'input_bytes', 'output_hash', 'chunks', 'link'],
  ...['fixed_uait', 'input_uait_per_kib', 'output_uait_per_kib', 'finish', 'input_tokens', 'output_tokens'],
  ...['started_at_ms', 'ended_at_ms', 'signer', 'open'],
];

function anchorToJson({ root, place, settlement }: ReceiptPlace): ReceiptAnchorJson {
  const { index, count, siblings } = place;
  return { root: toHex(root), index, count, path: siblings.map(toHex), settlement: settlement && toHex(settlement) };
}

/** @throws NodeError INVALID_PARAMS */
function readAnchor(json: Json | undefined): ReceiptPlace {
  const object = jsonObject(json, 'anchor');
  checkKeys(object, ['root', 'index', 'count', 'path', 'settlement']);
  const path = jsonArray(object['path'], 'path');
  if (path.length > MAX_PATH) throw new NodeError('INVALID_PARAMS', `"anchor/path" has more than ${MAX_PATH} items`);
  return {
    root: jsonHex(object['root'], 'root', 32),
    place: {
      index: jsonInteger(object['index'], 'index'),
      count: jsonInteger(object['count'], 'count'),
      siblings: path.map((each) => jsonHex(each, 'path', 32)),
    },
    settlement: object['settlement'] === null ? null : jsonHex(object['settlement'], 'settlement'),
  };
}

/** Of as many receipts as a list can have. */
const MAX_PATH = 32;

function metadataOf(receipt: WorkReceipt): ReceiptJson['metadata'] {
  const { price } = receipt;
  return {
    attempt: receipt.attempt,
    agreement: toHex(receipt.agreement),
    quote: toHex(receipt.quote),
    model_digest: receipt.modelDigest && toHex(receipt.modelDigest),
    input_hash: toHex(receipt.inputHash),
    input_bytes: receipt.inputBytes,
    output_hash: toHex(receipt.outputHash),
    chunks: receipt.chunks,
    link: toHex(receipt.link),
    fixed_uait: String(price.fixedUait),
    input_uait_per_kib: String(price.inputUaitPerKib),
    output_uait_per_kib: String(price.outputUaitPerKib),
    finish: receipt.finish,
    input_tokens: receipt.inputTokens,
    output_tokens: receipt.outputTokens,
    started_at_ms: receipt.startedAtMs,
    ended_at_ms: receipt.endedAtMs,
    signer: toHex(receipt.signer),
    open: toHex(receipt.open),
  };
}

function readReceipt(root: JsonObject, miner: Uint8Array): WorkReceipt {
  const data = jsonObject(root['metadata'], 'metadata');
  checkKeys(data, METADATA_KEYS);
  const hash = (key: string): Hash => jsonHex(data[key], key, 32);
  const integer = (key: string): number => jsonInteger(data[key], key);
  const finish = FINISHES.find((name) => name === data['finish']);
  if (finish === undefined) throw notSigned('metadata/finish');
  return {
    job: jsonHex(root['job_id'], 'job_id', 32),
    attempt: integer('attempt'),
    agreement: hash('agreement'),
    quote: hash('quote'),
    client: parseAddress(jsonString(root['client'], 'client')),
    signer: hash('signer'),
    miner,
    kind: jsonString(root['kind'], 'kind'),
    model: jsonString(root['model'], 'model'),
    modelDigest: data['model_digest'] === null ? null : hash('model_digest'),
    inputHash: hash('input_hash'),
    inputBytes: integer('input_bytes'),
    outputHash: hash('output_hash'),
    outputBytes: jsonInteger(root['units'], 'units'),
    chunks: integer('chunks'),
    link: hash('link'),
    price: {
      fixedUait: jsonAmount(data['fixed_uait'], 'fixed_uait'),
      inputUaitPerKib: jsonAmount(data['input_uait_per_kib'], 'input_uait_per_kib'),
      outputUaitPerKib: jsonAmount(data['output_uait_per_kib'], 'output_uait_per_kib'),
    },
    dueUait: jsonInteger(root['price'], 'price'),
    finish,
    inputTokens: data['input_tokens'] === null ? null : integer('input_tokens'),
    outputTokens: data['output_tokens'] === null ? null : integer('output_tokens'),
    startedAtMs: integer('started_at_ms'),
    endedAtMs: integer('ended_at_ms'),
    open: jsonHex(data['open'], 'open'),
  };
}

/** Holds numbers and texts to what the encoding can have. @throws NodeError BAD_RECEIPT */
function canonical(signed: SignedReceipt): SignedReceipt {
  try {
    return decodeReceipt(encodeReceipt(signed));
  } catch (error) {
    throw new NodeError('BAD_RECEIPT', 'a field of the receipt is out of range', { cause: error });
  }
}

function readSignature(json: Json | undefined, key: string): { key: Uint8Array; sig: Signature } {
  const object = jsonObject(json, key);
  checkKeys(object, ['alg', 'key_id', 'sig']);
  return {
    key: bytesOf(object['key_id'], `${key}/key_id`, 32),
    sig: bytesOf(object['sig'], `${key}/sig`, 64),
  };
}

function bytesOf(json: Json | undefined, key: string, length: number): Uint8Array {
  const encoded = jsonString(json, key);
  try {
    const bytes = base64urlnopad.decode(encoded);
    if (bytes.length === length) return bytes;
  } catch {
    // Told below.
  }
  throw new NodeError('INVALID_PARAMS', `"${key}" must be base64url without padding of ${length} bytes`);
}

/** @throws NodeError BAD_RECEIPT naming the first field that differs */
function checkSame(expected: unknown, found: Json | undefined, path: string): void {
  if (typeof expected !== 'object' || expected === null) {
    if (expected !== found) throw notSigned(path);
    return;
  }
  // Keys were checked.
  for (const [key, value] of Object.entries(expected)) {
    checkSame(value, (found as JsonObject)[key], path === '' ? key : `${path}/${key}`);
  }
}

function notSigned(field: string): NodeError {
  return new NodeError('BAD_RECEIPT', `"${field}" of the receipt does not say what was signed`, {
    data: { field },
    hint: 'use the file as the node or the miner gave it',
  });
}

function text(signature: Signature): string {
  return base64urlnopad.encode(signature);
}
