/** Drives src/chain by itself: builds, signs and commits blocks over a state held in a map. */
import { bytesKey } from '../../src/bytes.ts';
import type { Evidence } from '../../src/chain/evidence.ts';
import type { AppliedBlock, ChainRules, Tip } from '../../src/chain/execute.ts';
import { applyBlock, buildBlock, earliestTimeMs, verifyBlock } from '../../src/chain/execute.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { genesisBlockId, genesisState } from '../../src/chain/genesis.ts';
import type { AnyTxType } from '../../src/chain/modules/types.ts';
import { getSets } from '../../src/chain/modules/validators-state.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import type { StateKey } from '../../src/chain/state.ts';
import { statePath } from '../../src/chain/state.ts';
import { StateTree } from '../../src/chain/tree.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { MIN_TX_BYTES, signTransaction } from '../../src/chain/tx.ts';
import { proposerOf } from '../../src/chain/validator-set.ts';
import type { Certificate, Vote } from '../../src/chain/votes.ts';
import { certificateFromVotes, voteSignBytes } from '../../src/chain/votes.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { signer } from './chain-fixture.ts';

export class ChainDriver {
  readonly genesis: Genesis;
  readonly rules: ChainRules;
  readonly entries = new Map<StateKey, Uint8Array>();
  readonly tree: StateTree;
  readonly #keys = new Map<string, Signer>();
  tip: Tip;
  certificate: Certificate | null = null;

  constructor(genesis: Genesis, validatorNames: readonly string[]) {
    this.genesis = genesis;
    this.rules = { chain: genesis.chain, params: genesis.params, crypto: nativeCrypto };
    for (const name of validatorNames) this.#keys.set(bytesKey(signer(name).publicKey), signer(name));
    for (const [key, value] of genesisState(nativeCrypto, genesis)) if (value) this.entries.set(key, value);
    const leaves = [...this.entries].map(([key, value]) => ({
      path: statePath(nativeCrypto, key),
      valueHash: nativeCrypto.hash(value),
    }));
    this.tree = StateTree.load(nativeCrypto, leaves);
    const state = { get: (key: StateKey) => this.entries.get(key) };
    this.tip = {
      height: 0,
      blockId: genesisBlockId(genesis),
      timeMs: genesis.timeMs,
      state,
      tree: this.tree,
      version: this.tree.head,
    };
  }

  /** As the proposer of that round would. @param timeMs the earliest when absent */
  build(
    txs: readonly Transaction[] = [],
    evidence: readonly Evidence[] = [],
    round = 0,
    timeMs = earliestTimeMs(this.rules, this.tip),
  ): AppliedBlock {
    const { current } = getSets(this.tip.state);
    return buildBlock(this.rules, this.tip, {
      timeMs,
      proposer: proposerOf(current, round).publicKey,
      lastCommit: this.certificate,
      evidence,
      txs,
    });
  }

  /** Builds, checks that another node accepts it with equal results, certifies and commits. */
  commit(txs: readonly Transaction[] = [], evidence: readonly Evidence[] = [], timeMs?: number): AppliedBlock {
    const built = this.build(txs, evidence, 0, timeMs);
    verifyBlock(this.rules, this.tip, built.block);
    const applied = applyBlock(this.rules, this.tip, built.block, { has: () => true });
    this.tree.release(built.version);
    this.certificate = this.certify(applied);
    for (const [key, value] of applied.changes) {
      if (value) this.entries.set(key, value);
      else this.entries.delete(key);
    }
    this.tree.commit(applied.version);
    const { header } = applied.block;
    this.tip = {
      ...this.tip,
      height: header.height,
      timeMs: header.timeMs,
      blockId: applied.blockId,
      version: applied.version,
    };
    return applied;
  }

  certify({ block, blockId }: AppliedBlock): Certificate {
    const { current } = getSets(this.tip.state);
    const votes = current.validators.flatMap(({ publicKey }) => {
      const key = this.#keys.get(bytesKey(publicKey));
      return key ? this.vote(key, block.header.height, 0, blockId) : [];
    });
    return certificateFromVotes(current, votes);
  }

  vote(key: Signer, height: number, round: number, blockId: Uint8Array | null, type: Vote['type'] = 'precommit'): Vote {
    const core = { type, height, round, blockId };
    return { ...core, validator: key.publicKey, signature: key.sign(voteSignBytes(this.genesis.chain, core)) };
  }

  /** @param feeUait the least one when absent */
  tx<P>(
    txType: AnyTxType & { encode(payload: P): Uint8Array },
    from: string,
    nonce: number,
    payload: P,
    feeUait?: number,
  ): Transaction {
    const bytes = txType.encode(payload);
    return signTransaction(nativeCrypto, this.genesis.chain, signer(from), {
      type: txType.type,
      nonce,
      feeUait: feeUait ?? leastFeeUait(this.genesis.params, MIN_TX_BYTES + bytes.length),
      validUntilHeight: 1_000_000,
      payload: bytes,
    });
  }
}
