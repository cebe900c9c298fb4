/**
 * A client that trusts no node: it follows the chain from a block it trusts, by headers that enough validators signed, and
 * takes from nodes only what they prove against such a header. With several nodes one honest is enough; one whose answer
 * does not verify is named and not asked again, and two certified blocks of one height are reported as a fork.
 */
import type { Address, Hash } from '../bytes.ts';
import { equalBytes, keyBytes, toHex } from '../bytes.ts';
import type { Account } from '../chain/accounts.ts';
import { formatAddress } from '../chain/address.ts';
import { encodeHeader } from '../chain/block.ts';
import type { StateKey, StateReader } from '../chain/state.ts';
import { verifyCertificate } from '../chain/votes.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Client } from './client.ts';
import type { Claim as BlockClaim } from './fork.ts';
import { fork, forkOfTrusted } from './fork.ts';
import type { LightBlock, LightRules, TrustedHead } from '../chain/light.ts';
import { badProof, checkTrustAge, isExpired, MAX_STEPS, trustedHead, walkForward } from '../chain/light.ts';
import { readLightBlock } from './light-block.ts';
import { fromSource, isLie, named } from './light-source.ts';
import type { TransactionResponse } from './types.ts';
import type { VerifiedTransaction } from './verify.ts';
import { provenAccount, provenTransaction, provenValue } from './verify.ts';

export const MAX_SOURCES = 16;
/** Trusted heads kept beside the root; the oldest makes room. */
export const MAX_HEADS = 8;

/** For all fetches of one move of trust, so that a node that answers slowly does not hold up the honest ones. */
const DEFAULT_MOVE_TIMEOUT_MS = 60_000;
/** Keys fetched for one query, repeated ones included. */
const MAX_READS = 256;

/** What a light client asks of a node. */
export type LightSource = Pick<Client, 'url' | 'lightBlock' | 'account' | 'stateValue' | 'transaction'>;

export interface LightClientOptions {
  readonly rules: LightRules;
  /** Where trust begins: see `genesisHead` and `fetchTrustedHead`. */
  readonly root: TrustedHead;
  /** Heads that this client verified before. */
  readonly remembered?: readonly TrustedHead[];
  /** 1 to 16 nodes; independent ones, if a fork is to be seen. */
  readonly sources: readonly LightSource[];
  /** For one move of trust over blocks of one node. */
  readonly moveTimeoutMs?: number;
  /** ms since 1970. */
  readonly nowMs?: () => number;
}

/** The block an answer was proven against. */
export interface Proven {
  readonly block: LightBlock;
}

type Claim = BlockClaim<LightSource>;

export class LightClient {
  readonly rules: LightRules;
  readonly root: TrustedHead;
  readonly #sources: readonly LightSource[];
  readonly #nowMs: () => number;
  readonly #moveTimeoutMs: number;
  /** Ascending. */
  readonly #heads: TrustedHead[] = [];
  readonly #faults = new Map<LightSource, NodeError>();
  #updating: Promise<TrustedHead> | null = null;

  /** @throws NodeError INVALID_PARAMS */
  constructor(options: LightClientOptions) {
    const { rules, root, remembered = [], sources } = options;
    if (sources.length === 0 || sources.length > MAX_SOURCES) {
      throw new NodeError('INVALID_PARAMS', `a light client asks 1 to ${MAX_SOURCES} nodes`);
    }
    this.rules = rules;
    this.root = root;
    this.#sources = sources;
    this.#nowMs = options.nowMs ?? (() => Date.now());
    this.#moveTimeoutMs = options.moveTimeoutMs ?? DEFAULT_MOVE_TIMEOUT_MS;
    for (const head of remembered) this.#remember(head);
  }

  /** The highest trusted block. */
  get head(): TrustedHead {
    return this.#heads.at(-1) ?? this.root;
  }

  /** The last heads, to be remembered for the next time; ascending, without the root. */
  get heads(): readonly TrustedHead[] {
    return this.#heads;
  }

  /** Nodes whose last word was no proof, and why: lies, and answers that did not come. */
  get faults(): readonly { readonly url: string; readonly error: NodeError }[] {
    return [...this.#faults].map(([{ url }, error]) => ({ url, error }));
  }

  /**
   * Asks all nodes for their heads, verifies the highest, and compares the others with it.
   *
   * @throws NodeError FORK with both blocks; OUT_OF_TRUST; BAD_PROOF | BAD_CERTIFICATE naming the node when none told the
   * truth; UNREACHABLE | TIMEOUT | NOT_FOUND when none answered
   */
  update(): Promise<TrustedHead> {
    this.#updating ??= this.#update().finally(() => {
      this.#updating = null;
    });
    return this.#updating;
  }

  /** An account at the head or above; unknown ones are proven empty. @throws NodeError as `update`, SYNCING */
  account(address: Address): Promise<Proven & { readonly account: Account }> {
    return this.#ask(async (source, floor) => {
      const answer = await fromSource(source, source.account(formatAddress(address), { proof: true }));
      if (!answer.proof) throw badProof('the answer has no proof');
      const block = await this.#provenBlock(source, answer.proof, floor);
      return { block, account: provenAccount(this.rules.crypto, block.header, address, answer) };
    });
  }

  /** A key of the state at the head or above; null is proven absence. @throws NodeError as `update`, SYNCING */
  stateValue(key: StateKey): Promise<Proven & { readonly value: Uint8Array | null }> {
    return this.#ask(async (source, floor) => {
      const { proof } = await fromSource(source, source.stateValue(toHex(keyBytes(key))));
      const block = await this.#provenBlock(source, proof, floor);
      return { block, value: provenValue(this.rules.crypto, block.header, key, proof) };
    });
  }

  /**
   * Whatever can be computed from the state of one block: the query runs again and again, and each key that it asks for
   * is fetched with its proof.
   *
   * @param query gets the height of the block too
   * @throws NodeError as `stateValue`; TOO_LARGE when it asks for too many keys; what the query throws
   */
  async read<T>(query: (state: StateReader, height: number) => T): Promise<Proven & { readonly result: T }> {
    let entries = new Map<StateKey, Uint8Array | undefined>();
    let of: LightBlock | null = null;
    for (let reads = 0; reads < MAX_READS; reads++) {
      const missing = new MissingKey();
      try {
        const state = { get: (key: StateKey) => (entries.has(key) ? entries.get(key) : missing.raise(key)) };
        const result = query(state, of?.header.height ?? 0);
        if (of) return { block: of, result };
      } catch (thrown) {
        if (thrown !== missing) throw thrown;
      }
      const { block, value } = await this.stateValue(missing.key);
      // All from one block: after a new one the query begins again.
      if (of && !equalBytes(of.blockId, block.blockId)) entries = new Map();
      of = block;
      entries.set(missing.key, value ?? undefined);
    }
    throw new NodeError('TOO_LARGE', `the query needs more than ${MAX_READS} reads`, {
      hint: 'ask again: new blocks make it begin again',
    });
  }

  /**
   * A final transaction with its receipt. That there is none cannot be proven: an answer that says so is the last resort
   * and comes back as `unproven`.
   *
   * @throws NodeError as `update`
   */
  async transaction(id: Hash): Promise<(Proven & VerifiedTransaction) | { readonly unproven: TransactionResponse }> {
    let unproven: TransactionResponse | null = null;
    try {
      return await this.#ask(async (source) => {
        const answer = await fromSource(source, source.transaction(toHex(id), { proof: true }));
        if (answer.status !== 'final') {
          unproven ??= answer;
          throw new NodeError('NOT_FOUND', `${source.url} does not call the transaction final`);
        }
        if (!answer.proof) throw badProof('the answer has no proof');
        const block = await this.#provenBlock(source, answer.proof, 0);
        return { block, ...provenTransaction(this.rules.crypto, block.header, id, answer.proof) };
      });
    } catch (error) {
      if (!unproven || !isNodeError(error) || isFinding(error)) throw error;
      return { unproven };
    }
  }

  /** The block of a height, verified. @throws NodeError as `update` */
  block(height: number): Promise<LightBlock> {
    return this.#ask(async (source) => {
      const block = await this.#fetch(source, height);
      await this.#verify({ source, block });
      return block;
    });
  }

  async #update(): Promise<TrustedHead> {
    for (;;) {
      const claims = await this.#latest();
      const best = await this.#firstVerified(claims);
      if (!best) throw this.#whyNone();
      const others = claims.filter(({ source }) => source !== best.source && !this.#isLiar(source));
      if (await this.#isConfirmed(best, others)) {
        if (best.block.header.height > this.head.height) this.#remember(trustedHead(best.block));
        return this.head;
      }
    }
  }

  /** What the nodes call their heads, highest first. */
  async #latest(): Promise<Claim[]> {
    const sources = this.#sources.filter((source) => !this.#isLiar(source));
    const claims = await Promise.all(
      sources.map(async (source): Promise<Claim | null> => {
        try {
          return { source, block: await this.#fetch(source, 'latest') };
        } catch (error) {
          this.#note(source, error);
          return null;
        }
      }),
    );
    return claims.filter((claim) => claim !== null).sort((a, b) => b.block.header.height - a.block.header.height);
  }

  async #firstVerified(claims: readonly Claim[]): Promise<Claim | null> {
    for (const claim of claims) {
      try {
        await this.#verify(claim);
        this.#faults.delete(claim.source);
        return claim;
      } catch (error) {
        this.#note(claim.source, error);
      }
    }
    return null;
  }

  /** Compares at the height that both have. @returns false when the best proved to be a liar @throws NodeError FORK */
  async #isConfirmed(best: Claim, others: readonly Claim[]): Promise<boolean> {
    for (const other of others) {
      const { height } = other.block.header;
      try {
        const same = height === best.block.header.height ? best.block : await this.#fetch(best.source, height);
        if (equalBytes(same.blockId, other.block.blockId)) continue;
        if (!(await this.#holds(other))) continue;
        await this.#verify({ source: best.source, block: same });
        throw fork({ source: best.source, block: same }, other);
      } catch (error) {
        this.#note(best.source, error);
        if (this.#isLiar(best.source)) return false;
      }
    }
    return true;
  }

  async #holds(claim: Claim): Promise<boolean> {
    try {
      await this.#verify(claim);
      return true;
    } catch (error) {
      this.#note(claim.source, error);
      return false;
    }
  }

  async #ask<T>(ask: (source: LightSource, floor: number) => Promise<T>): Promise<T> {
    const { height: floor } = await this.update();
    for (const source of this.#sources) {
      if (this.#isLiar(source)) continue;
      try {
        return await ask(source, floor);
      } catch (error) {
        this.#note(source, error);
      }
    }
    throw this.#whyNone();
  }

  /** The verified block that an answer names. @param floor least height an answer is taken from */
  async #provenBlock(
    source: LightSource,
    proof: { readonly height: number; readonly header: string },
    floor: number,
  ): Promise<LightBlock> {
    if (!Number.isSafeInteger(proof.height) || proof.height < 1) throw badProof('the proof has no height');
    if (proof.height < floor) {
      throw new NodeError('SYNCING', `${source.url} answers as of block ${proof.height}; block ${floor} is final`, {
        data: { url: source.url, height: proof.height, final: floor },
        hint: 'ask again when it has caught up, or ask another node',
      });
    }
    // A head that came meanwhile is compared with all nodes too.
    if (proof.height > this.head.height) await this.update();
    const block = await this.#fetch(source, proof.height);
    if (toHex(encodeHeader(block.header)) !== proof.header)
      throw badProof('the proof has another header than its block');
    await this.#verify({ source, block });
    if (proof.height > this.head.height) this.#remember(trustedHead(block));
    return block;
  }

  /** From the nearest trusted block below; when that is too old, back from the next one above, hash by hash. */
  async #verify({ source, block }: Claim): Promise<void> {
    const { height } = block.header;
    const trusted = [this.root, ...this.#heads];
    const same = trusted.find((head) => head.height === height);
    if (same) {
      this.#verifySame(same, { source, block });
      return;
    }
    const below = trusted.findLast((head) => head.height < height);
    if (below && !isExpired(this.rules, below, this.#nowMs())) return this.#verifyForward(below, { source, block });
    const above = trusted.find((head) => head.height > height);
    if (above) return this.#verifyBack(above, { source, block });
    checkTrustAge(this.rules, below ?? this.root, this.#nowMs());
  }

  #verifySame(trusted: TrustedHead, { source, block }: Claim): void {
    if (equalBytes(trusted.blockId, block.blockId)) return;
    const { crypto, chain } = this.rules;
    if (!trusted.validators) throw badProof('genesis is no block');
    verifyCertificate(crypto, chain, trusted.validators, block.certificate);
    throw forkOfTrusted(trusted, { source, block });
  }

  async #verifyForward(from: TrustedHead, { source, block }: Claim): Promise<void> {
    const deadline = performance.now() + this.#moveTimeoutMs;
    const walk = walkForward(this.rules, from, block, this.#nowMs());
    for (let step = walk.next(); !step.done; ) {
      checkDeadline(deadline, source);
      step = walk.next(await this.#fetch(source, step.value));
    }
  }

  async #verifyBack(above: TrustedHead, { source, block }: Claim): Promise<void> {
    const { height } = block.header;
    if (above.height - height > MAX_STEPS) {
      throw new NodeError('OUT_OF_TRUST', `block ${height} lies too far below the trusted block ${above.height}`, {
        data: { height, trusted: above.height, limit: MAX_STEPS },
        hint: 'start from the genesis, or from a trusted block before it',
      });
    }
    const deadline = performance.now() + this.#moveTimeoutMs;
    let expected = above.blockId;
    for (let at = above.height; at >= height; at--) {
      checkDeadline(deadline, source);
      const { blockId, header } = at === height ? block : await this.#fetch(source, at);
      if (!equalBytes(blockId, expected))
        throw badProof('the block is not on the way to the trusted one', { height: at });
      expected = header.parent;
    }
  }

  async #fetch(source: LightSource, height: number | 'latest'): Promise<LightBlock> {
    const block = readLightBlock(this.rules, await fromSource(source, source.lightBlock(height)));
    if (height !== 'latest' && block.header.height !== height) throw badProof('the answer is about another height');
    return block;
  }

  #remember(head: TrustedHead): void {
    if (head.height <= this.head.height) return;
    this.#heads.push(head);
    if (this.#heads.length > MAX_HEADS) this.#heads.shift();
  }

  /** Keeps what is wrong with a node, and throws what is no node's fault. A lie is not forgotten. */
  #note(source: LightSource, thrown: unknown): void {
    const error = isNodeError(thrown) ? thrown : malformed(thrown);
    if (isFinding(error)) throw error;
    if (!this.#isLiar(source)) this.#faults.set(source, named(source, error));
  }

  #isLiar(source: LightSource): boolean {
    const fault = this.#faults.get(source);
    return fault !== undefined && isLie(fault);
  }

  /** A lie weighs more than silence. */
  #whyNone(): NodeError {
    const faults = [...this.#faults.values()];
    const none = new NodeError('UNREACHABLE', 'no node answered');
    return faults.find(isLie) ?? faults.find(({ code }) => code === 'SYNCING') ?? faults[0] ?? none;
  }
}

/**
 * A block that a person trusts by height and id, fetched from any node.
 *
 * @throws NodeError BAD_PROOF when the node has another one, and what the request fails with
 */
export async function fetchTrustedHead(
  rules: LightRules,
  source: LightSource,
  height: number,
  blockId: Hash,
): Promise<TrustedHead> {
  const block = readLightBlock(rules, await fromSource(source, source.lightBlock(height)));
  if (!equalBytes(block.blockId, blockId)) {
    throw named(source, badProof('the block of this height has another hash than the trusted one', { height }));
  }
  return trustedHead(block);
}

function checkDeadline(deadline: number, { url }: LightSource): void {
  if (performance.now() < deadline) return;
  throw new NodeError('TIMEOUT', `${url} takes too long to prove its blocks`, {
    data: { url },
    hint: 'ask another node',
  });
}

/** Thrown through a query that asked for a key which is not there yet. */
class MissingKey extends Error {
  key: StateKey = '';

  raise(key: StateKey): never {
    this.key = key;
    throw this;
  }
}

/** What this client found out by itself, whoever it was told by. */
function isFinding({ code }: NodeError): boolean {
  return code === 'FORK' || code === 'OUT_OF_TRUST';
}

function malformed(cause: unknown): NodeError {
  return new NodeError('BAD_PROOF', 'the answer does not have the form of one', { cause });
}
