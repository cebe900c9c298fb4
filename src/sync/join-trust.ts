/**
 * From what a node trusts to the block of a snapshot: headers, certificates and validator sets of one peer at a time,
 * believed by the light client's rules (src/chain/light.ts) and no other.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes, toHex } from '../bytes.ts';
import type { LightBlock, LightRules, TrustedHead } from '../chain/light.ts';
import { badProof, lightBlock, trustedHead, walkForward } from '../chain/light.ts';
import { verifyCertificate } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import { NodeError } from '../errors.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';

/** For the whole walk over one peer's answers, so that a slow one does not hold up the honest ones. */
const WALK_MS = 30_000;

/** A block that a person vouches for, in place of the genesis. */
export interface TrustedPoint {
  readonly height: number;
  readonly hash: Hash;
}

export interface TrustModules {
  readonly rules: LightRules;
  readonly genesis: TrustedHead;
  readonly trusted: TrustedPoint | null;
  readonly network: ChainNetwork;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** The block of a height, proven. @throws NodeError BAD_PROOF | BAD_CERTIFICATE | OUT_OF_TRUST | TIMEOUT | of the request */
export async function proveBlock(modules: TrustModules, peer: PeerId, height: number): Promise<LightBlock> {
  const { rules, clock, genesis, trusted } = modules;
  const untilMs = clock.monotonic() + WALK_MS;
  const fetch = async (at: number): Promise<LightBlock> => {
    if (clock.monotonic() > untilMs) throw new NodeError('TIMEOUT', 'a peer answers too slowly', { data: { peer } });
    const answer = await modules.network.request(peer, 'light', { height: at }, modules.signal);
    const block = lightBlock(rules, answer);
    if (block.header.height !== at) throw badProof('a peer sent another height than asked for', { height: at });
    return block;
  };
  const from = trusted ? vouchedHead(rules, trusted, await fetch(trusted.height)) : genesis;
  const block = await fetch(height);
  if (trusted?.height === height) return block;
  if (height < from.height) {
    throw new NodeError('OUT_OF_TRUST', 'the snapshot lies below the block to be trusted', {
      data: { height, trusted: from.height },
      hint: 'name an earlier block with --trust-height and --trust-hash, or wait for the next snapshot',
    });
  }
  const walk = walkForward(rules, from, block, clock.now());
  for (let step = walk.next(); !step.done; ) step = walk.next(await fetch(step.value));
  return block;
}

/** @throws NodeError BAD_PROOF when the peer has another block there */
function vouchedHead(rules: LightRules, { hash }: TrustedPoint, block: LightBlock): TrustedHead {
  if (!equalBytes(block.blockId, hash)) {
    throw badProof('a peer has another block at the height to be trusted', {
      height: block.header.height,
      hash: toHex(block.blockId),
      trusted: toHex(hash),
    });
  }
  verifyCertificate(rules.crypto, rules.chain, block.validators, block.certificate);
  return trustedHead(block);
}
