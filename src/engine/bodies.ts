/**
 * Proposals of the height in work and the bodies behind their block ids: taken from the pool and from what is on its way
 * there, fetched where missing, signatures checked. Bounded; emptied at every new height.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import type { BatchVerifier, SignatureCheck } from '../chain/crypto/types.ts';
import { evidenceChecks } from '../chain/evidence.ts';
import type { Transaction } from '../chain/tx.ts';
import { certificateChecks } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import { isNodeError, NodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { TxAdmission } from './admission.ts';
import type { Ledger } from './ledger.ts';

/** Distinct block ids of one height; rounds rarely need more than two. */
export const MAX_BODIES = 16;
const IDS_PER_REQUEST = 1024;
/** Between two rounds over all peers that brought nothing; doubles up to the second figure. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;
/** So long one peer is waited for before the next is asked as well. */
const HEDGE_MS = 250;
/** Why requests end early. One for all: an abort without a reason makes a new error with its stack at every height. */
const OVER = new NodeError('TIMEOUT', 'the answer is no longer waited for');

/** A block without its transactions' bytes: what a compact proposal carries. */
export type BodyHead = Pick<ProposalMessage, 'header' | 'lastCommit' | 'evidence' | 'txIds'>;

export interface Body {
  readonly blockId: Hash;
  readonly head: BodyHead;
  readonly from: PeerId | null;
  /** The header's time was within the window when it arrived fresh. */
  readonly timely: boolean;
  readonly txs: (Transaction | undefined)[];
}

export interface BodiesModules {
  readonly ledger: Ledger;
  readonly admission: TxAdmission;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Held {
  readonly body: Body;
  /** Keys of its transactions' ids. */
  readonly keys: readonly string[];
  /** Key → place. */
  readonly places: ReadonlyMap<string, number>;
  preparing: Promise<Block | null | undefined> | null;
}

/** A wait that ends by itself, with the signal, or when it is told to. */
interface Pause {
  readonly over: Promise<undefined>;
  readonly end: () => void;
}

export class Bodies {
  readonly #modules: BodiesModules;
  readonly #bodies = new Map<string, Held>();
  #network: ChainNetwork | null = null;
  /** Aborts fetches of a height that is over. */
  #abort = new AbortController();

  constructor(modules: BodiesModules) {
    this.#modules = modules;
  }

  connect(network: ChainNetwork): void {
    this.#network = network;
  }

  get(blockId: Hash): Body | undefined {
    return this.#bodies.get(bytesKey(blockId))?.body;
  }

  /**
   * Keeps what is known of a block id; the first word on it counts. The oldest that is not `kept` makes room, so that a
   * long height of many proposers never runs out of it.
   */
  add(body: Body, kept: (blockId: Hash) => boolean): void {
    const key = bytesKey(body.blockId);
    if (this.#bodies.has(key)) return;
    for (const [oldest, held] of this.#bodies) {
      if (this.#bodies.size < MAX_BODIES) break;
      if (!kept(held.body.blockId)) this.#bodies.delete(oldest);
    }
    const keys = body.head.txIds.map(bytesKey);
    const places = new Map(keys.map((id, i) => [id, i]));
    this.#bodies.set(key, { body, keys, places, preparing: null });
  }

  /** Transactions of held bodies, for peers that lack them. */
  transaction(id: Hash): Transaction | undefined {
    const key = bytesKey(id);
    for (const { body, places } of this.#bodies.values()) {
      const tx = body.txs[places.get(key) ?? -1];
      if (tx) return tx;
    }
    return undefined;
  }

  clear(): void {
    this.#abort.abort(OVER);
    this.#abort = new AbortController();
    this.#bodies.clear();
  }

  /**
   * The whole block behind an id with all signatures checked; waits for missing transactions until the height is over.
   * Asked again meanwhile, it is the same work.
   *
   * @returns null when no such block can be valid, undefined when the height ended first
   */
  prepare(blockId: Hash): Promise<Block | null | undefined> {
    const held = this.#bodies.get(bytesKey(blockId));
    if (!held) return Promise.resolve(undefined);
    held.preparing ??= this.#prepare(held).finally(() => {
      held.preparing = null;
    });
    return held.preparing;
  }

  async #prepare(held: Held): Promise<Block | null | undefined> {
    const { body } = held;
    const { signal } = this.#abort;
    const { header, lastCommit, evidence, txIds } = body.head;
    // Before anything is fetched: what a traitor names must not fill the memory.
    if (txIds.length > this.#modules.ledger.rules.params.maxBlockTxs || held.places.size < txIds.length) return null;
    if (!(await this.#complete(held, signal))) return isAborted(signal) ? undefined : null;
    const txs = body.txs as Transaction[];
    const block: Block = { header, lastCommit, evidence, txs };
    const good = (await this.#headSignatures(block)) && (await this.#modules.admission.verifyBodies(txs));
    if (isAborted(signal)) return undefined;
    return good ? block : null;
  }

  /** Asks one peer after the other, the sender first, for what is missing. @returns false when the block is too large */
  async #complete(held: Held, signal: AbortSignal): Promise<boolean> {
    const { body } = held;
    const { maxBlockBytes } = this.#modules.ledger.rules.params;
    const asking = new Set<PeerId>();
    let pauseMs = RETRY_MS;
    let fruitless = 0;
    for (let turn = 0; !this.#fill(held); turn++) {
      if (isAborted(signal) || bytesOf(body) > maxBlockBytes) return false;
      const peers = this.#peers(body);
      const peer = peers[turn % Math.max(1, peers.length)];
      const found = peer !== undefined && !asking.has(peer) && (await this.#ask(held, peer, turn, asking, signal));
      fruitless = found ? 0 : fruitless + 1;
      if (found) pauseMs = RETRY_MS;
      if (fruitless < peers.length || isAborted(signal)) continue;
      await this.#pause(pauseMs, signal).over;
      pauseMs = Math.min(2 * pauseMs, MAX_RETRY_MS);
      fruitless = 0;
    }
    return bytesOf(body) <= maxBlockBytes;
  }

  #fill({ body, keys }: Held): boolean {
    const { admission } = this.#modules;
    let whole = true;
    keys.forEach((key, i) => {
      body.txs[i] ??= admission.find(key);
      whole &&= body.txs[i] !== undefined;
    });
    return whole;
  }

  #peers(body: Body): readonly PeerId[] {
    const peers = this.#network?.peers() ?? [];
    const { from } = body;
    return from !== null && peers.includes(from) ? [from, ...peers.filter((peer) => peer !== from)] : peers;
  }

  /** An answer that comes late is still taken. @returns whether one came in time that brought something */
  async #ask(held: Held, peer: PeerId, turn: number, asking: Set<PeerId>, signal: AbortSignal): Promise<boolean> {
    const missing = held.body.head.txIds.filter((_, i) => held.body.txs[i] === undefined);
    // Each peer is asked for another part, so that answers that overlap in time do not in content.
    const start = missing.length > IDS_PER_REQUEST ? (turn * IDS_PER_REQUEST) % missing.length : 0;
    const ids = missing.slice(start, start + IDS_PER_REQUEST);
    asking.add(peer);
    const answer = this.#request(held, peer, ids, signal).finally(() => asking.delete(peer));
    const hedge = this.#pause(HEDGE_MS, signal);
    const inTime = await Promise.race([answer, hedge.over]);
    hedge.end();
    return inTime === true;
  }

  async #request(held: Held, peer: PeerId, ids: readonly Hash[], signal: AbortSignal): Promise<boolean> {
    try {
      const found = (await this.#network?.request(peer, 'txs', { ids }, signal)) ?? [];
      if (found.some(({ key }) => !held.places.has(key))) {
        this.#network?.report(peer, 'protocol-error', 'transactions that were not asked for');
      }
      return this.#place(held, found);
    } catch (error) {
      this.#modules.log.debug('missing transactions not fetched', { peer, error: toNodeError(error) });
      return false;
    }
  }

  /** @returns whether any of them was missing */
  #place({ body, places }: Held, found: readonly Transaction[]): boolean {
    let placed = false;
    for (const tx of found) {
      const at = places.get(tx.key);
      if (at === undefined || body.txs[at]) continue;
      body.txs[at] = tx;
      placed = true;
    }
    return placed;
  }

  #pause(ms: number, signal: AbortSignal): Pause {
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve(undefined);
    };
    const cancel = this.#modules.clock.after(ms, end);
    signal.addEventListener('abort', end);
    return { over, end };
  }

  async #headSignatures(block: Block): Promise<boolean> {
    const { ledger, verifier } = this.#modules;
    const { chain } = ledger.rules;
    const checks: SignatureCheck[] = block.evidence.flatMap((item) => evidenceChecks(chain, item));
    const { last } = ledger.validators;
    try {
      if (block.lastCommit && last) checks.push(...certificateChecks(chain, last, block.lastCommit));
    } catch (error) {
      if (isNodeError(error) && error.code === 'BAD_CERTIFICATE') return false;
      throw error;
    }
    if (checks.length === 0) return true;
    return (await verifier.verifyBatch(checks, { urgent: true })).every(Boolean);
  }
}

function bytesOf({ txs }: Body): number {
  return txs.reduce((sum, tx) => sum + (tx?.bytes.length ?? 0), 0);
}

/** Read through a function: control flow analysis would take an earlier `false` as final. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** The body of a block that is whole already: an own proposal, or a value the guard kept. */
export function wholeBody(blockId: Hash, block: Block): Body {
  const { header, lastCommit, evidence, txs } = block;
  return {
    blockId,
    head: { header, lastCommit, evidence, txIds: txs.map((tx) => tx.id) },
    from: null,
    timely: true,
    txs: [...txs],
  };
}
