/** What peers are given of a chain: as much as was asked for and fits, found in the store and never computed. */
import type { Hash } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import type { Transaction } from '../chain/tx.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import type { Ledger } from '../engine/ledger.ts';
import { NodeError } from '../errors.ts';
import type {
  BlocksRequest,
  CertifiedBlock,
  ChunkRequest,
  LightAnswer,
  LightRequest,
  TxsRequest,
} from '../../protocols/messages.ts';
import type { Snapshots } from '../store/snapshots.ts';
import type { ChainStore } from '../store/types.ts';

/** Served at once; the registry caps the bytes. */
const MAX_BLOCKS_SERVED = 64;
const MAX_BYTES_SERVED = 1_900_000;
const MAX_TXS_SERVED = 2_048;

/** @throws NodeError PRUNED */
export function blocksOf(store: ChainStore, { from, count }: BlocksRequest): CertifiedBlock[] {
  if (from < store.base()) {
    throw new NodeError('PRUNED', `blocks are kept from height ${store.base()} on`, {
      data: { from, base: store.base() },
    });
  }
  const found: CertifiedBlock[] = [];
  let bytes = 0;
  for (let height = from; height < from + Math.min(count, MAX_BLOCKS_SERVED); height++) {
    const block = store.block(height);
    const certificate = store.certificate(height);
    if (!block || !certificate) break;
    bytes += blockBytes(block);
    if (found.length > 0 && bytes > MAX_BYTES_SERVED) break;
    found.push({ block, certificate });
  }
  return found;
}

function blockBytes(block: Block): number {
  return 8192 + block.txs.reduce((sum, tx) => sum + tx.bytes.length + 4, 0);
}

export function transactionsOf(find: (id: Hash) => Transaction | undefined, { ids }: TxsRequest): Transaction[] {
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
export async function chunkOf(snapshots: Snapshots | null, { manifest, index }: ChunkRequest): Promise<Uint8Array> {
  if (!snapshots) throw new NodeError('NOT_FOUND', 'this node keeps no snapshots');
  return snapshots.chunk(manifest, index);
}
