/**
 * Chains without a network: the product's own execution, tree and store, driven directly, with certificates signed by
 * all validators' keys.
 */
import { bytesKey } from '../../src/bytes.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import type { AppliedBlock, ChainRules } from '../../src/chain/execute.ts';
import { earliestTimeMs } from '../../src/chain/execute.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { proposerOf, validatorIndex } from '../../src/chain/validator-set.ts';
import type { Certificate } from '../../src/chain/votes.ts';
import { voteSignBytes } from '../../src/chain/votes.ts';
import { Ledger } from '../../src/engine/ledger.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { openChainStore } from '../../src/store/chain-store.ts';
import type { ChainStore } from '../../src/store/types.ts';
import { NodeError } from '../../src/errors.ts';

export function chainRules(genesis: Genesis): ChainRules {
  return { chain: genesis.chain, params: genesis.params, crypto: nativeCrypto };
}

/** A ledger on a fresh database. */
export async function openFreshLedger(folder: string, genesis: Genesis): Promise<Ledger> {
  const store = await openStore(folder, genesis);
  return Ledger.open(chainRules(genesis), genesis, store);
}

export function openStore(folder: string, genesis: Genesis): Promise<ChainStore> {
  const { chainId, genesisHash } = genesis.chain;
  return openChainStore({ folder, chainId, genesisHash, hasher: nativeCrypto });
}

export class ChainMaker {
  readonly ledger: Ledger;
  readonly #signers: ReadonlyMap<string, Signer>;
  #lastCommit: Certificate | null = null;

  constructor(ledger: Ledger, signers: readonly Signer[]) {
    this.ledger = ledger;
    this.#signers = new Map(signers.map((signer) => [bytesKey(signer.publicKey), signer]));
  }

  /** Builds, certifies and commits the next block, with one synced write. Signatures of `txs` were verified. */
  async next(
    txs: readonly Transaction[],
  ): Promise<{ readonly applied: AppliedBlock; readonly certificate: Certificate }> {
    const { ledger } = this;
    const applied = await ledger.build({
      timeMs: earliestTimeMs(ledger.rules, ledger.tip),
      proposer: proposerOf(ledger.validators.current, 0).publicKey,
      lastCommit: this.#lastCommit,
      evidence: [],
      txs,
    });
    if (applied.block.txs.length !== txs.length) {
      throw new NodeError('INTERNAL', 'the block left transactions out', {
        data: { wanted: txs.length, taken: applied.block.txs.length },
      });
    }
    const certificate = this.certify(applied);
    await ledger.commit(applied.blockId, certificate, null);
    this.follow(certificate);
    return { applied, certificate };
  }

  /** What the next block holds as its last commit. */
  get lastCommit(): Certificate | null {
    return this.#lastCommit;
  }

  /** The block with this certificate was committed. */
  follow(certificate: Certificate): void {
    this.#lastCommit = certificate;
  }

  certify(applied: AppliedBlock): Certificate {
    const set = this.ledger.validators.current;
    const vote = {
      type: 'precommit',
      height: applied.block.header.height,
      round: 0,
      blockId: applied.blockId,
    } as const;
    const message = voteSignBytes(this.ledger.rules.chain, vote);
    const signed = set.validators.flatMap(({ publicKey }) => {
      const signer = this.#signers.get(bytesKey(publicKey));
      return signer ? [{ signer: validatorIndex(set, publicKey), signature: signer.sign(message) }] : [];
    });
    return {
      ...vote,
      signers: signed.map(({ signer }) => signer),
      signatures: signed.map(({ signature }) => signature),
    };
  }
}
