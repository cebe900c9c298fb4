/**
 * Genesis: a JSON source turned into canonical bytes, whose hash names the network. Every data folder pins that hash, and
 * peers compare it chain by chain.
 */
import type { Hash } from '../bytes.ts';
import { isNodeError, NodeError } from '../errors.ts';
import { MAX_BLOCK_BYTES, MAX_BLOCK_TXS } from './block.ts';
import { Writer } from './codec.ts';
import type { Crypto } from './crypto/types.ts';
import { checkKeys, jsonAmount, jsonInteger, jsonObject, jsonString } from './json.ts';
import { MODULES } from './modules/table.ts';
import type { BlockContext, Json, JsonObject } from './modules/types.ts';
import type { ChainParams } from './params.ts';
import type { ChainContext } from './signing.ts';
import { MAX_CHAIN_ID_BYTES } from './signing.ts';
import type { StateChanges } from './state.ts';
import { memoryState, StateOverlay } from './state.ts';

export interface Genesis {
  readonly chain: ChainContext;
  readonly timeMs: number;
  readonly params: ChainParams;
  /** The JSON section of each module, by name. */
  readonly sections: JsonObject;
  /** The canonical bytes; `chain.genesisHash` is their SHA-256. */
  readonly bytes: Uint8Array;
}

const CHAIN_ID = /^[a-z0-9][a-z0-9-]{2,31}$/;

/** Chains whose keys and money are for play: only there are development keys accepted. */
export function isDevnet(chainId: string): boolean {
  return chainId.endsWith('-devnet');
}

/** @throws NodeError BAD_GENESIS saying which part is wrong */
export function parseGenesis(crypto: Crypto, json: Json): Genesis {
  try {
    return parse(crypto, jsonObject(json, 'genesis'));
  } catch (error) {
    if (!isNodeError(error) || error.code === 'BAD_GENESIS') throw error;
    throw new NodeError('BAD_GENESIS', `genesis: ${error.message}`, { data: error.data, cause: error });
  }
}

function parse(crypto: Crypto, json: JsonObject): Genesis {
  checkKeys(json, ['version', 'chain_id', 'time_ms', 'params', 'modules']);
  if (jsonInteger(json['version'], 'version') !== 1) {
    throw new NodeError('BAD_GENESIS', 'genesis has a version this program does not know', {
      hint: 'use a newer program',
    });
  }
  const chainId = jsonString(json['chain_id'], 'chain_id');
  if (!CHAIN_ID.test(chainId) || chainId.length > MAX_CHAIN_ID_BYTES) {
    throw new NodeError('BAD_GENESIS', 'a chain id is 3 to 32 characters of a-z, 0-9 and "-"', { data: { chainId } });
  }
  const timeMs = jsonInteger(json['time_ms'], 'time_ms');
  const params = parseParams(jsonObject(json['params'], 'params'));
  const sections = jsonObject(json['modules'], 'modules');
  checkKeys(
    sections,
    MODULES.map((module) => module.name),
  );
  const writer = new Writer(1024).u16(1).ascii8(chainId).u64(timeMs);
  writeParams(writer, params);
  for (const module of MODULES) {
    writer.u8(module.id).bytes32(module.encodeGenesis(jsonObject(sections[module.name], module.name)));
  }
  const bytes = writer.finish();
  return { chain: { chainId, genesisHash: crypto.hash(bytes) }, timeMs, params, sections, bytes };
}

/** The state before height 1. */
export function genesisState(crypto: Crypto, genesis: Genesis): StateChanges {
  const state = new StateOverlay(memoryState());
  const context: BlockContext = {
    chain: genesis.chain,
    params: genesis.params,
    crypto,
    height: 0,
    timeMs: genesis.timeMs,
    proposer: null,
    lastCommit: null,
    state,
  };
  for (const module of MODULES) module.initGenesis(context, jsonObject(genesis.sections[module.name], module.name));
  return state.changes;
}

/** The block id that stands for genesis as the parent of height 1. */
export function genesisBlockId(genesis: Genesis): Hash {
  return genesis.chain.genesisHash;
}

const MAX_SPAN_MS = 24 * 60 * 60 * 1000;

function parseParams(json: JsonObject): ChainParams {
  checkKeys(json, [
    'min_block_interval_ms',
    'max_block_txs',
    'max_block_bytes',
    'base_fee_uait',
    'fee_per_byte_uait',
    'precision_ms',
    'delay_ms',
    'evidence_max_age_blocks',
    'change_ttl_blocks',
  ]);
  return {
    minBlockIntervalMs: jsonInteger(json['min_block_interval_ms'], 'min_block_interval_ms', MAX_SPAN_MS),
    maxBlockTxs: jsonInteger(json['max_block_txs'], 'max_block_txs', MAX_BLOCK_TXS),
    maxBlockBytes: jsonInteger(json['max_block_bytes'], 'max_block_bytes', MAX_BLOCK_BYTES),
    baseFeeUait: jsonAmount(json['base_fee_uait'], 'base_fee_uait'),
    feePerByteUait: jsonAmount(json['fee_per_byte_uait'], 'fee_per_byte_uait'),
    precisionMs: jsonInteger(json['precision_ms'], 'precision_ms', MAX_SPAN_MS),
    delayMs: jsonInteger(json['delay_ms'], 'delay_ms', MAX_SPAN_MS),
    evidenceMaxAgeBlocks: jsonInteger(json['evidence_max_age_blocks'], 'evidence_max_age_blocks'),
    changeTtlBlocks: jsonInteger(json['change_ttl_blocks'], 'change_ttl_blocks'),
  };
}

function writeParams(writer: Writer, params: ChainParams): void {
  writer
    .u64(params.minBlockIntervalMs)
    .u32(params.maxBlockTxs)
    .u32(params.maxBlockBytes)
    .u64(params.baseFeeUait)
    .u64(params.feePerByteUait)
    .u64(params.precisionMs)
    .u64(params.delayMs)
    .u64(params.evidenceMaxAgeBlocks)
    .u64(params.changeTtlBlocks);
}
