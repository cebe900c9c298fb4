/** Signature batches verified at once on this thread; counts them, and refuses as a full queue does when told to. */
import type { BatchVerifier, SignatureCheck } from '../../src/chain/crypto/types.ts';
import { NodeError } from '../../src/errors.ts';
import { nativeVerifier } from '../../src/native/verifier.ts';

export class InlineVerifier implements BatchVerifier {
  full = false;
  /** Checks that one batch may hold. */
  most = Infinity;
  checked = 0;
  /** Batches wait for it. */
  gate: Promise<void> = Promise.resolve();

  async verifyBatch(checks: readonly SignatureCheck[]): Promise<boolean[]> {
    await this.gate;
    if (this.full || checks.length > this.most) throw new NodeError('POOL_FULL', 'too many signatures wait');
    this.checked += checks.length;
    return checks.map(({ message, signature, publicKey }) => nativeVerifier.verify(message, signature, publicKey));
  }
}
