/**
 * What the folders of a stopped cluster say: whether every node holds the same certified blocks with everything that was
 * acknowledged, and whether any key signed two things where it may sign one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { equalBytes, fromHex, toHex } from '../src/bytes.ts';
import { blockId } from '../src/chain/block.ts';
import type { Genesis } from '../src/chain/genesis.ts';
import { getSets } from '../src/chain/modules/validators-state.ts';
import type { ValidatorSet } from '../src/chain/validator-set.ts';
import type { Vote } from '../src/chain/votes.ts';
import { sameBlockId, verifyCertificate, votesOfCertificate } from '../src/chain/votes.ts';
import { nativeCrypto } from '../src/native/crypto.ts';
import { openChainStore } from '../src/store/chain-store.ts';
import { guardFolder } from '../src/store/guard.ts';
import { parseSlot } from '../src/store/guard-slot.ts';
import { decodeEntry } from '../src/store/guard-record.ts';
import type { ChainStore } from '../src/store/types.ts';
import { nodeLayout } from './layout.ts';
import type { ManifestNode } from './manifest.ts';

/** Every signed vote that was ever seen, to find two that contradict each other. */
export class VoteBook {
  readonly #votes = new Map<string, Vote>();
  readonly conflicts: string[] = [];

  get size(): number {
    return this.#votes.size;
  }

  add(vote: Vote): void {
    const slot = `${toHex(vote.validator)} ${vote.height}/${vote.round} ${vote.type}`;
    const known = this.#votes.get(slot);
    if (!known) this.#votes.set(slot, vote);
    else if (!sameBlockId(known.blockId, vote.blockId)) this.conflicts.push(slot);
  }
}

/** Adds what a node that does not run has signed at its newest height, by its sign guard. */
export function readGuard(node: ManifestNode, chainId: string, book: VoteBook): void {
  const folder = guardFolder(nodeLayout(node.home, chainId).chain, fromHex(node.validator, 32));
  for (const slot of ['a', 'b']) {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(join(folder, slot));
    } catch {
      continue;
    }
    const frame = parseSlot(bytes);
    if (frame.kind !== 'valid') continue;
    const { entry } = decodeEntry(frame.payload);
    if (entry.kind === 'record') for (const vote of entry.record.signedVotes) book.add(vote);
  }
}

export interface Audit {
  /** Blocks that every node holds. */
  readonly height: number;
  readonly transactions: number;
  /** What is wrong, one line each; empty when nothing is. */
  readonly faults: readonly string[];
}

/** Reads every node's database; the cluster must be down. Its validators must have been the same throughout. */
export async function auditStores(
  nodes: readonly ManifestNode[],
  genesis: Genesis,
  acknowledged: ReadonlyMap<string, number>,
  book: VoteBook,
): Promise<Audit> {
  const { chainId, genesisHash } = genesis.chain;
  const stores: { readonly name: string; readonly store: ChainStore }[] = [];
  try {
    for (const { name, home } of nodes) {
      const folder = nodeLayout(home, chainId).database;
      stores.push({ name, store: await openChainStore({ folder, chainId, genesisHash, hasher: nativeCrypto }) });
    }
    return compareStores(stores, genesis, acknowledged, book);
  } finally {
    await Promise.all(stores.map(({ store }) => store.close()));
  }
}

function compareStores(
  stores: readonly { readonly name: string; readonly store: ChainStore }[],
  genesis: Genesis,
  acknowledged: ReadonlyMap<string, number>,
  book: VoteBook,
): Audit {
  const faults: string[] = [];
  const heads = stores.map(({ store }) => store.head()?.height ?? 0);
  const height = Math.min(...heads);
  const [reference] = stores;
  if (!reference) return { height: 0, transactions: 0, faults };
  const { current: validators } = getSets(reference.store.state);
  let transactions = 0;
  for (let at = 1; at <= height; at++) {
    const ids = stores.map(({ name, store }) => ({
      name,
      id: checkBlock(name, store, at, genesis, validators, book, faults),
    }));
    transactions += reference.store.block(at)?.txs.length ?? 0;
    const expected = ids[0]?.id;
    for (const { name, id } of ids) {
      if (!expected || !id || !equalBytes(id, expected))
        faults.push(`${name} holds another block ${at} than ${reference.name}`);
    }
  }
  for (const { name, store } of stores) {
    let missing = 0;
    for (const [id, at] of acknowledged) {
      if (at <= height && store.transaction(fromHex(id, 32))?.height !== at) missing++;
    }
    if (missing > 0) faults.push(`${name} lacks ${missing} acknowledged transactions`);
  }
  const above = [...acknowledged.values()].filter((at) => at > height).length;
  if (above > 0) faults.push(`${above} acknowledged transactions are above the height that all nodes hold`);
  return { height, transactions, faults };
}

/** Certificate, id and evidence of one stored block; its precommits go into the book. */
function checkBlock(
  name: string,
  store: ChainStore,
  height: number,
  genesis: Genesis,
  validators: ValidatorSet,
  book: VoteBook,
  faults: string[],
): Uint8Array | undefined {
  const block = store.block(height);
  const certificate = store.certificate(height);
  if (!block || !certificate) {
    faults.push(`${name} lacks block ${height} or its certificate`);
    return undefined;
  }
  const id = blockId(nativeCrypto, block.header);
  if (!equalBytes(id, certificate.blockId)) faults.push(`${name}: the certificate of ${height} is for another block`);
  if (block.evidence.length > 0) faults.push(`${name}: block ${height} holds evidence of a double sign`);
  try {
    verifyCertificate(nativeCrypto, genesis.chain, validators, certificate);
    for (const vote of votesOfCertificate(validators, certificate)) book.add(vote);
  } catch (error) {
    faults.push(`${name}: the certificate of ${height}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return id;
}
