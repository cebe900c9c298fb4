/** A chain as its synchronisation sees it: where it is, and how what comes is checked and taken. */
import { LinkedRange } from '../chain/linked-range.ts';
import type { TxAdmission } from '../engine/admission.ts';
import type { CertificateChecker } from '../engine/certificates.ts';
import type { Engine } from '../engine/engine.ts';
import type { Ledger } from '../engine/ledger.ts';
import type { SigningGate } from '../engine/signing-gate.ts';
import type { SyncTarget } from '../sync.ts';

export interface SyncedParts {
  readonly ledger: Ledger;
  readonly gate: SigningGate;
  readonly engine: Engine;
  readonly admission: TxAdmission;
}

export function syncTarget(parts: SyncedParts, certificates: CertificateChecker): SyncTarget {
  const { ledger, gate, engine, admission } = parts;
  return {
    genesisHash: ledger.rules.chain.genesisHash,
    base: () => ledger.store.base(),
    head: () => {
      const { height, blockId } = ledger.tip;
      return { height, blockId, certificate: ledger.store.head()?.certificate ?? null };
    },
    link: (blocks) => LinkedRange.of(ledger.rules.crypto, blocks),
    check: async (range) => {
      const anchors = range.anchors().map(({ certificate }) => certificate);
      await certificates.tryAhead(ledger.validators.current, anchors);
      const txs = range.blocks.flatMap(({ block }) => block.txs);
      await admission.verifyBodies(txs, { background: true });
    },
    import: (range) => engine.import(range),
    get catchingUp() {
      return gate.reasons.has('catching-up');
    },
    set catchingUp(value) {
      if (value) gate.set('catching-up', 'fetching certified blocks from peers');
      else gate.clear('catching-up');
    },
  };
}
