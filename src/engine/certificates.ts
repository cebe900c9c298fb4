/** Certificates' signatures, verified in batches ahead of the import that needs them, each once. */
import { toHex } from '../bytes.ts';
import type { BatchVerifier, Hasher } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { ValidatorSet } from '../chain/validator-set.ts';
import { validatorSetHash } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import { certificateChecks, checkCertificatePower } from '../chain/votes.ts';
import { isNodeError, NodeError } from '../errors.ts';

export class CertificateChecker {
  readonly #chain: ChainContext;
  readonly #hasher: Hasher;
  readonly #verifier: BatchVerifier;
  /** Certificate → hash of the set it was found good for. */
  readonly #good = new WeakMap<Certificate, string>();

  constructor(chain: ChainContext, hasher: Hasher, verifier: BatchVerifier) {
    this.#chain = chain;
    this.#hasher = hasher;
    this.#verifier = verifier;
  }

  /**
   * Tries many certificates with one batch against the set that most likely signed them. Those that fail are left to
   * `verify`, which knows the right set.
   */
  async tryAhead(set: ValidatorSet, certificates: readonly Certificate[]): Promise<void> {
    const fitting = certificates.filter((certificate) => this.#hasPower(set, certificate));
    const checks = fitting.map((certificate) => certificateChecks(this.#chain, set, certificate));
    const good = await this.#verifier.verifyBatch(checks.flat());
    const name = toHex(validatorSetHash(this.#hasher, set));
    let at = 0;
    fitting.forEach((certificate, i) => {
      const count = checks[i]?.length ?? 0;
      if (good.slice(at, at + count).every(Boolean)) this.#good.set(certificate, name);
      at += count;
    });
  }

  /** @throws NodeError BAD_CERTIFICATE */
  async verify(set: ValidatorSet, certificate: Certificate): Promise<void> {
    checkCertificatePower(set, certificate);
    if (this.#good.get(certificate) === toHex(validatorSetHash(this.#hasher, set))) return;
    const good = await this.#verifier.verifyBatch(certificateChecks(this.#chain, set, certificate), { urgent: true });
    if (good.every(Boolean)) return;
    throw new NodeError('BAD_CERTIFICATE', 'a signature of the certificate does not verify', {
      data: { height: certificate.height, round: certificate.round },
    });
  }

  #hasPower(set: ValidatorSet, certificate: Certificate): boolean {
    try {
      checkCertificatePower(set, certificate);
      return true;
    } catch (error) {
      if (isNodeError(error)) return false;
      throw error;
    }
  }
}
