/** Verified evidence that waits for a block. Bounded; one conviction a key, so one piece a key is enough. */
import { bytesKey, toHex } from '../bytes.ts';
import { checkEvidence, evidenceChecks, evidenceHeight, evidenceOffender, MAX_EVIDENCE } from '../chain/evidence.ts';
import type { Evidence } from '../chain/evidence.ts';
import type { BatchVerifier } from '../chain/crypto/types.ts';
import { getKeyRecord } from '../chain/modules/validators-state.ts';
import { isNodeError, toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { Ledger } from './ledger.ts';

export const MAX_PENDING_EVIDENCE = 64;

export class EvidencePool {
  readonly #ledger: Ledger;
  readonly #verifier: BatchVerifier;
  readonly #byOffender = new Map<string, Evidence>();

  constructor(ledger: Ledger, verifier: BatchVerifier) {
    this.#ledger = ledger;
    this.#verifier = verifier;
  }

  get size(): number {
    return this.#byOffender.size;
  }

  /** For the next block. */
  pending(): Evidence[] {
    return [...this.#byOffender.values()].slice(0, MAX_EVIDENCE);
  }

  /** OK when it is new and now waits for a block. */
  async add(evidence: Evidence): Promise<GossipCode> {
    const key = bytesKey(evidenceOffender(evidence));
    if (this.#byOffender.has(key)) return 'DUPLICATE';
    if (this.#byOffender.size >= MAX_PENDING_EVIDENCE) return 'REFUSED';
    try {
      checkEvidence(evidence);
    } catch (error) {
      if (isNodeError(error)) return 'MALFORMED';
      throw error;
    }
    if (!this.#applies(evidence)) return 'STALE';
    const checks = evidenceChecks(this.#ledger.rules.chain, evidence);
    const good = await this.#verifier.verifyBatch(checks, { urgent: true });
    if (!good.every(Boolean)) return 'BAD_SIGNATURE';
    // A block may have used it meanwhile; kept, it would be a reason for blocks that cannot hold it.
    if (!this.#applies(evidence)) return 'STALE';
    this.#byOffender.set(key, evidence);
    return 'OK';
  }

  /** Keeps what this node found by itself. @param onNew when it now waits for a block */
  report(evidence: Evidence, log: Logger, onNew: () => void): void {
    log.error('a validator signed two different things', EvidencePool.describe(evidence));
    this.add(evidence).then(
      (code) => {
        if (code === 'OK') onNew();
      },
      (error: unknown) => {
        log.warn('evidence not kept', { error: toNodeError(error) });
      },
    );
  }

  /** Forgets what a block has used or time has voided. */
  onCommitted(): void {
    for (const [key, evidence] of this.#byOffender) if (!this.#applies(evidence)) this.#byOffender.delete(key);
  }

  /** For logs. */
  static describe(evidence: Evidence): { validator: string; height: number; round: number; kind: string } {
    return {
      validator: toHex(evidenceOffender(evidence)),
      height: evidenceHeight(evidence),
      round: evidence.a.round,
      kind: evidence.kind,
    };
  }

  #applies(evidence: Evidence): boolean {
    const { tip, rules } = this.#ledger;
    const record = getKeyRecord(tip.state, evidenceOffender(evidence));
    const at = evidenceHeight(evidence);
    return (
      record !== undefined &&
      !record.convicted &&
      at >= record.sinceHeight &&
      (record.untilHeight === null || at < record.untilHeight) &&
      at <= tip.height + 1 &&
      tip.height + 1 - at <= rules.params.evidenceMaxAgeBlocks
    );
  }
}
