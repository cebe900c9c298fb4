/** What peers are given of a chain: as much as was asked for and fits, found in the store and never computed. */
import type { Hash } from '../bytes.ts';
import { toHex, utf8 } from '../bytes.ts';
import type { JsonObject } from '../chain/modules/types.ts';
import type { Transaction } from '../chain/tx.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Ledger } from '../engine/ledger.ts';
import { NodeError } from '../errors.ts';
import { ANSWER_BYTES } from '../../protocols/codec.ts';
import type {
  BlocksRequest,
  ChunkRequest,
  EncodedBlock,
  LightAnswer,
  LightRequest,
  TxsRequest,
} from '../../protocols/messages.ts';
import type { RequestHandlers } from '../../protocols/network.ts';
import type { Snapshots } from '../store/snapshots.ts';
import type { ChainStore } from '../store/types.ts';

/** Served at once; the registry caps the bytes. */
const MAX_BYTES_SERVED = 1_900_000;
const MAX_TXS_SERVED = 2_048;

export interface ServingModules {
  readonly ledger: Ledger;
  readonly snapshots: Snapshots | null;
  /** Pending, or of a proposal. */
  readonly find: (id: Hash) => Transaction | undefined;
  /** Undefined where none is kept. */
  readonly joinDocument: (() => Promise<JsonObject>) | undefined;
}

type Serving = Pick<RequestHandlers, 'blocks' | 'txs' | 'light' | 'snapshot' | 'chunk' | 'join'>;

/** What is asked of the chain alone, whatever agreement does. */
export function createServing({ ledger, snapshots, find, joinDocument }: ServingModules): Serving {
  return {
    blocks: async (request) => blocksOf(ledger.store, request),
    txs: (request) => Promise.resolve(transactionsOf(find, request)),
    light: async (request) => lightAnswer(ledger, request),
    snapshot: ({ below }) => Promise.resolve(snapshots?.manifestBelow(below) ?? null),
    chunk: (request) => chunkOf(snapshots, request),
    join: async () => {
      if (!joinDocument) throw new NodeError('NOT_FOUND', 'this node keeps no join document');
      return utf8(JSON.stringify(await joinDocument()));
    },
  };
}

/**
 * Blocks from a height on as far as they are here, and as many as one answer takes. The stored bytes are those of the
 * wire, and passed on undecoded.
 *
 * @throws NodeError PRUNED below the lowest block kept
 */
export function blocksOf(store: ChainStore, { from, count }: BlocksRequest): EncodedBlock[] {
  const base = store.base();
  if (from < base) throw new NodeError('PRUNED', `blocks are kept from height ${base} on`, { data: { from, base } });
  const found: EncodedBlock[] = [];
  let bytes = 2;
  for (let height = from; height < from + count; height++) {
    const block = store.blockBytes(height);
    const certificate = block && store.certificateBytes(height);
    if (!certificate) break;
    bytes += block.length + certificate.length;
    if (found.length > 0 && bytes > ANSWER_BYTES) break;
    found.push({ block, certificate });
  }
  return found;
}

function transactionsOf(find: (id: Hash) => Transaction | undefined, { ids }: TxsRequest): Transaction[] {
  const found: Transaction[] = [];
  let bytes = 0;
  for (const id of ids.slice(0, MAX_TXS_SERVED)) {
    const tx = find(id);
    if (!tx) continue;
    bytes += tx.bytes.length + 4;
    if (bytes > MAX_BYTES_SERVED) break;
    found.push(tx);
  }
  return found;
}

/** @throws NodeError NOT_FOUND */
export function lightAnswer(ledger: Ledger, { height }: LightRequest): LightAnswer {
  const header = ledger.store.header(height);
  const certificate = ledger.store.certificate(height);
  if (!header || !certificate) {
    throw new NodeError('NOT_FOUND', 'this node does not hold that block', { data: { height } });
  }
  const find = (hash: Hash): ValidatorSet => {
    const set = ledger.validatorSet(hash);
    if (set) return set;
    throw new NodeError('NOT_FOUND', 'this node does not keep the validator sets of that block', {
      data: { height, hash: toHex(hash) },
    });
  };
  return {
    header,
    certificate,
    validators: find(header.validatorsHash),
    nextValidators: find(header.nextValidatorsHash),
  };
}

/** @throws NodeError NOT_FOUND */
async function chunkOf(snapshots: Snapshots | null, { manifest, index }: ChunkRequest): Promise<Uint8Array> {
  if (!snapshots) throw new NodeError('NOT_FOUND', 'this node keeps no snapshots');
  return snapshots.chunk(manifest, index);
}
