/** What can be subscribed to, and what is said of it: JSON views of final blocks, agreement and peers. */
import type { Address } from '../../bytes.ts';
import { keyHex, toHex } from '../../bytes.ts';
import { parseAddress } from '../../chain/address.ts';
import type { Receipt } from '../../chain/receipt.ts';
import { receiptCodeName } from '../../chain/receipt.ts';
import { transactionToJson } from '../../chain/tx-json.ts';
import { NodeError } from '../../errors.ts';
import type { ChainApi } from '../api.ts';
import type { StoredBlock } from '../proofs.ts';
import { storedBlock } from '../proofs.ts';
import type { OwnJobs } from '../jobs/desk.ts';
import { jobView } from '../jobs/views.ts';
import { MAX_JOBS_TOLD } from './limits.ts';
import { pendingView } from './pending.ts';
import { accountView, consensusView, headView, peerView } from '../views.ts';

/**
 * Of the first three every final block has its own event, so they resume from a height; the others tell what is now, and
 * `txs` does both: final transactions by block, and pending ones as they are. Jobs are told to their owner alone.
 */
export const TOPIC_KINDS = ['blocks', 'txs', 'account', 'consensus', 'peers', 'jobs'] as const;
export type TopicKind = (typeof TOPIC_KINDS)[number];

export interface Topic {
  /** As it was asked for. */
  readonly name: string;
  readonly kind: TopicKind;
  /** Of `account`. */
  readonly address: Address | null;
}

const NAMES: Readonly<Record<string, TopicKind>> = {
  blocks: 'blocks',
  txs: 'txs',
  consensus: 'consensus',
  peers: 'peers',
  jobs: 'jobs',
  new_blocks: 'blocks',
  new_transactions: 'txs',
  consensus_events: 'consensus',
};

/** @throws NodeError INVALID_PARAMS | BAD_ADDRESS */
export function parseTopic(name: string): Topic {
  if (name.startsWith('account:')) {
    return { name, kind: 'account', address: parseAddress(name.slice('account:'.length)) };
  }
  const kind = Object.hasOwn(NAMES, name) ? NAMES[name] : undefined;
  if (kind) return { name, kind, address: null };
  throw new NodeError('INVALID_PARAMS', 'there is no such topic', {
    data: { topic: name.slice(0, 100) },
    hint: `topics are ${Object.keys(NAMES).join(', ')} and account:ADDRESS`,
  });
}

/** Has one place for each final block, so that it can be resumed. */
export function isByHeight({ kind }: Topic): boolean {
  return kind === 'blocks' || kind === 'txs' || kind === 'account';
}

/** A final block with what happened in it. */
export interface BlockFacts extends StoredBlock {
  readonly receipts: readonly Receipt[];
}

/** What is so now; deltas go on from there. @param jobs of who asks, for `jobs` */
export function snapshotOf(api: ChainApi, { kind, address }: Topic, jobs: OwnJobs | null): object {
  switch (kind) {
    case 'consensus':
      return consensusView(api);
    case 'peers':
      return { peers: api.peers().map(peerView) };
    case 'jobs':
      return { jobs: (jobs?.list(MAX_JOBS_TOLD, null) ?? []).map(jobView) };
    case 'account':
      if (address) return accountView(api, address, false);
      break;
    case 'txs':
      return { ...headOf(api), pending: pendingView(api) };
    case 'blocks':
      break;
  }
  return headOf(api);
}

function headOf(api: ChainApi) {
  const { height } = api.chain.tip();
  const head = height > 0 ? storedBlock(api, height) : undefined;
  return { head: head ? headView(head) : null, base_height: api.chain.base() };
}

/**
 * @param found indexes of the transactions that concern the account, of `account`
 * @returns null when the block holds nothing of the topic
 */
export function eventOf(
  api: ChainApi,
  { kind, address }: Topic,
  facts: BlockFacts,
  found: readonly number[] = [],
): object | null {
  if (kind === 'blocks') return headView(facts);
  const indexes = address ? found : facts.block.txs.map((_, index) => index);
  if (indexes.length === 0) return null;
  return {
    height: facts.block.header.height,
    hash: toHex(facts.hash),
    timestamp: new Date(facts.block.header.timeMs).toISOString(),
    transactions: indexes.map((index) => entryView(facts, index)),
    // As of the head, whose height it names: states of the past are not kept.
    ...(address && { account: accountView(api, address, false) }),
  };
}

function entryView({ block, receipts }: BlockFacts, index: number): object | null {
  const tx = block.txs[index];
  if (!tx) return null;
  const code = receipts[index]?.code ?? null;
  return {
    hash: keyHex(tx.key),
    index,
    code,
    code_name: code === null ? null : (receiptCodeName(code) ?? null),
    transaction: transactionToJson(tx),
  };
}
