/** Two certified blocks of one height, as evidence: nothing here decides between them. */
import { toHex } from '../bytes.ts';
import { encodeHeader } from '../chain/block.ts';
import { encodeCertificate } from '../chain/votes.ts';
import type { ErrorData } from '../errors.ts';
import { NodeError } from '../errors.ts';
import type { LightBlock, TrustedHead } from '../chain/light.ts';

/** What a node says is the block of a height. */
export interface Claim<Source extends { readonly url: string } = { readonly url: string }> {
  readonly source: Source;
  readonly block: LightBlock;
}

export function fork(a: Claim, b: Claim): NodeError {
  return new NodeError('FORK', `two certified blocks of height ${a.block.header.height}: validators signed both`, {
    data: {
      height: a.block.header.height,
      ...evidence('first', a.source, a.block),
      ...evidence('second', b.source, b.block),
    },
    hint: FORK_HINT,
  });
}

/** What was verified before is known by its hash alone. */
export function forkOfTrusted(trusted: TrustedHead, { source, block }: Claim): NodeError {
  return new NodeError('FORK', `a certified block of height ${trusted.height} other than the one verified before`, {
    data: { height: trusted.height, first_hash: toHex(trusted.blockId), ...evidence('second', source, block) },
    hint: FORK_HINT,
  });
}

const FORK_HINT =
  'rely on neither, and show both to the operators of the validators: at least a third of the power signed twice';

/** Header and certificate as hex: enough to convict with. */
function evidence(name: string, { url }: Claim['source'], { blockId, header, certificate }: LightBlock): ErrorData {
  return {
    [`${name}_url`]: url,
    [`${name}_hash`]: toHex(blockId),
    [`${name}_header`]: toHex(encodeHeader(header)),
    [`${name}_certificate`]: toHex(encodeCertificate(certificate)),
  };
}
