/** Folders, blocks and disks for the tests of src/store. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Hash } from '../../../src/bytes.ts';
import { utf8, ZERO_HASH } from '../../../src/bytes.ts';
import type { Header } from '../../../src/chain/block.ts';
import { blockId } from '../../../src/chain/block.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import type { StateKey } from '../../../src/chain/state.ts';
import { stateKey } from '../../../src/chain/state.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { assembleTransaction } from '../../../src/chain/tx.ts';
import type { Certificate } from '../../../src/chain/votes.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { isNodeError } from '../../../src/errors.ts';
import type { CommittedBlock, GuardMark } from '../../../src/store/types.ts';

export const CHAIN_ID = 'ait-devnet';
export const GENESIS_HASH = filled(9);

export function filled(byte: number, length = 32): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

/** Runs the test in a folder of its own and removes it. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'aitbc-store-'));
  try {
    await test(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Asserts a NodeError of this code; returns nothing so that it fits assert.rejects and assert.throws. */
export function coded(code: ErrorCode, message?: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!isNodeError(error)) throw error;
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  };
}

export function key(name: string): StateKey {
  return stateKey(1, utf8(name));
}

export function transaction(height: number, index: number): Transaction {
  return assembleTransaction(
    pureHasher,
    {
      version: 1,
      type: 1,
      sender: filled(3),
      nonce: index,
      feeUait: 1,
      validUntilHeight: height,
      payload: utf8(`${height}/${index}`),
    },
    filled(5, 64),
  );
}

export interface BlockOptions {
  readonly txs?: readonly Transaction[];
  readonly changes?: ReadonlyMap<StateKey, Uint8Array | undefined>;
  readonly guard?: GuardMark;
}

/** A block of the right form whose roots and signatures are not computed: the store looks at neither. */
export function committed(height: number, parent: Hash, options: BlockOptions = {}): CommittedBlock {
  const header: Header = {
    version: 1,
    chainId: CHAIN_ID,
    height,
    timeMs: 1_000 + height,
    parent,
    proposer: filled(1),
    txRoot: ZERO_HASH,
    receiptsRoot: ZERO_HASH,
    stateRoot: ZERO_HASH,
    validatorsHash: ZERO_HASH,
    nextValidatorsHash: ZERO_HASH,
    lastCommitHash: ZERO_HASH,
    evidenceRoot: ZERO_HASH,
  };
  const { txs = [], changes = new Map(), guard = null } = options;
  const id = blockId(pureHasher, header);
  return {
    block: { header, lastCommit: height === 1 ? null : certificateOf(height - 1, parent), evidence: [], txs },
    blockId: id,
    certificate: certificateOf(height, id),
    receipts: txs.map((tx) => ({ txId: tx.id, code: 0, feeUait: 1, events: [] })),
    changes,
    guard,
  };
}

export function certificateOf(height: number, id: Hash): Certificate {
  return {
    type: 'precommit',
    height,
    round: 0,
    blockId: id,
    signers: [0, 2],
    signatures: [filled(1, 64), filled(2, 64)],
  };
}

/** Blocks that follow each other, from `height` on. */
export function chainOf(count: number, height = 1, parent: Hash = GENESIS_HASH): CommittedBlock[] {
  const blocks: CommittedBlock[] = [];
  for (let h = height; h < height + count; h++) blocks.push(loopBlock(h, blocks.at(-1)?.blockId ?? parent));
  return blocks;
}

/** How many keys the blocks of `loopBlock` share. */
const LOOP_KEYS = 20;

/** A block that is a function of its height and parent, so that another process can tell what the state must be. */
function loopBlock(height: number, parent: Hash): CommittedBlock {
  const changes = new Map<StateKey, Uint8Array | undefined>([
    [key('height'), utf8(String(height))],
    [key(`slot-${height % LOOP_KEYS}`), height % 7 === 0 ? undefined : filled(height % 256, 40)],
  ]);
  return committed(height, parent, { txs: [transaction(height, 0), transaction(height, 1)], changes });
}

/** The state after `loopBlock` 1..height, in key order. */
export function loopState(height: number): [StateKey, Uint8Array][] {
  const state = new Map<StateKey, Uint8Array>();
  for (let h = 1; h <= height; h++) {
    for (const [name, value] of loopBlock(h, ZERO_HASH).changes) {
      if (value) state.set(name, value);
      else state.delete(name);
    }
  }
  return [...state].sort(([a], [b]) => (a < b ? -1 : 1));
}
