/**
 * Proposals of the height in work and the bodies behind their block ids: taken from the pool, fetched where missing,
 * signatures checked. Bounded; emptied at every new height.
 */
import type { Hash } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import type { Block } from '../chain/block.ts';
import type { BatchVerifier, SignatureCheck } from '../chain/crypto/types.ts';
import { evidenceChecks } from '../chain/evidence.ts';
import type { Transaction } from '../chain/tx.ts';
import { certificateChecks } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import { isNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Mempool } from '../mempool.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { TxAdmission } from './admission.ts';
import type { Ledger } from './ledger.ts';

/** Distinct block ids of one height; rounds rarely need more than two. */
export const MAX_BODIES = 16;
const IDS_PER_REQUEST = 1024;
const RETRY_MS = 100;

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
  readonly pool: Mempool;
  readonly admission: TxAdmission;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Bodies {
  readonly #modules: BodiesModules;
  readonly #bodies = new Map<string, Body>();
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
    return this.#bodies.get(bytesKey(blockId));
  }

  /**
   * Keeps what is known of a block id; the first word on it counts. The oldest that is not `kept` makes room, so that a
   * long height of many proposers never runs out of it.
   */
  add(body: Body, kept: (blockId: Hash) => boolean): void {
    const key = bytesKey(body.blockId);
    if (this.#bodies.has(key)) return;
    for (const [oldest, { blockId }] of this.#bodies) {
      if (this.#bodies.size < MAX_BODIES) break;
      if (!kept(blockId)) this.#bodies.delete(oldest);
    }
    this.#bodies.set(key, body);
  }

  /** Transactions of held bodies, for peers that lack them. */
  transaction(id: Hash): Transaction | undefined {
    const key = bytesKey(id);
    for (const { head, txs } of this.#bodies.values()) {
      const index = head.txIds.findIndex((txId) => bytesKey(txId) === key);
      if (index >= 0 && txs[index]) return txs[index];
    }
    return undefined;
  }

  clear(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#bodies.clear();
  }

  /**
   * The whole block behind an id with all signatures checked; waits for missing transactions until the height is over.
   *
   * @returns null when a signature in it is bad, undefined when the height ended first
   */
  async prepare(blockId: Hash): Promise<Block | null | undefined> {
    const body = this.get(blockId);
    if (!body) return undefined;
    const { signal } = this.#abort;
    while (!this.#fill(body)) {
      if (!(await this.#fetch(body, signal))) return undefined;
    }
    const txs = body.txs as Transaction[];
    const { header, lastCommit, evidence } = body.head;
    const block: Block = { header, lastCommit, evidence, txs };
    const good = (await this.#headSignatures(block)) && (await this.#modules.admission.verifyBodies(txs));
    if (signal.aborted) return undefined;
    return good ? block : null;
  }

  #fill(body: Body): boolean {
    const { pool } = this.#modules;
    let whole = true;
    body.head.txIds.forEach((id, i) => {
      body.txs[i] ??= pool.get(id);
      whole &&= body.txs[i] !== undefined;
    });
    return whole;
  }

  /** One attempt at the sender, then at the others in turn. @returns false when the height is over */
  async #fetch(body: Body, signal: AbortSignal): Promise<boolean> {
    const network = this.#network;
    const peers = network?.peers() ?? [];
    const order = body.from !== null && peers.includes(body.from) ? [body.from, ...peers] : peers;
    for (const peer of order) {
      const missing = body.head.txIds.filter((_, i) => body.txs[i] === undefined).slice(0, IDS_PER_REQUEST);
      if (missing.length === 0 || signal.aborted || !network) break;
      try {
        const found = await network.request(peer, 'txs', { ids: missing }, signal);
        this.#place(body, found);
        if (found.length > 0) return !signal.aborted;
      } catch (error) {
        if (!isNodeError(error)) throw error;
        this.#modules.log.debug('missing transactions not fetched', { peer, code: error.code });
      }
    }
    if (isAborted(signal)) return false;
    await new Promise<void>((resolve) => {
      const cancel = this.#modules.clock.after(RETRY_MS, resolve);
      signal.addEventListener(
        'abort',
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
    return !isAborted(signal);
  }

  #place(body: Body, found: readonly Transaction[]): void {
    const byId = new Map(found.map((tx) => [bytesKey(tx.id), tx]));
    body.head.txIds.forEach((id, i) => {
      body.txs[i] ??= byId.get(bytesKey(id));
    });
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
