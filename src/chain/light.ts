/**
 * Headers that can be checked, and the pure rules by which a client without the chain moves its trust from one header to
 * another (CometBFT spec/light-client/verification, with this chain's quorum of two thirds).
 */
import type { Hash } from '../bytes.ts';
import { bytesKey, equalBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Header } from './block.ts';
import { blockId, PROTOCOL_VERSION } from './block.ts';
import type { Crypto } from './crypto/types.ts';
import type { Genesis } from './genesis.ts';
import { genesisBlockId, genesisState } from './genesis.ts';
import { getSets } from './modules/validators-state.ts';
import type { ChainContext } from './signing.ts';
import { memoryState } from './state.ts';
import type { ValidatorSet } from './validator-set.ts';
import { exceedsOneThird, findValidator, validatorSetHash } from './validator-set.ts';
import type { Certificate } from './votes.ts';
import { checkCertificatePower, verifyCertificate } from './votes.ts';

/** A header with what proves it; well-formed, but not verified. */
export interface LightBlock {
  readonly header: Header;
  readonly blockId: Hash;
  readonly certificate: Certificate;
  /** Of this height; the header names its hash. */
  readonly validators: ValidatorSet;
  /** Of the height after; the header names its hash. */
  readonly nextValidators: ValidatorSet;
}

/** A block that is trusted: the genesis, one given by a person, or one verified from these. */
export interface TrustedHead {
  /** 0: the genesis. */
  readonly height: number;
  readonly blockId: Hash;
  readonly timeMs: number;
  /** null: the genesis was signed by nobody. */
  readonly validators: ValidatorSet | null;
  readonly nextValidators: ValidatorSet;
}

export interface LightRules {
  readonly crypto: Crypto;
  readonly chain: ChainContext;
  /**
   * Age at which a trusted header proves nothing new any more: validators that have left since keep their keys and have
   * nothing to lose, so what they sign today about the past must not count forever. null: forever.
   */
  readonly trustingPeriodMs: number | null;
  /**
   * How far a header may lie ahead of this machine's clock. Without a bound a header from the far future would never
   * grow old.
   */
  readonly maxClockDriftMs: number;
}

/**
 * Blocks come on demand and validators have no stake to withdraw, so no span follows from the chain itself: this one says
 * how long operators keep the key of a validator that left safe. It is long, for an idle chain makes no younger headers.
 */
export const DEFAULT_TRUSTING_PERIOD_MS = 180 * 24 * 60 * 60 * 1000;
/** Validators propose within 2.5 s of their own clocks; the rest is for clocks of people's machines. */
export const DEFAULT_MAX_CLOCK_DRIFT_MS = 60_000;

/** Blocks fetched to move trust once. Each change of the set costs at most two, and far fewer where sets overlap. */
export const MAX_STEPS = 256;

/** The genesis as the first trusted block. */
export function genesisHead(crypto: Crypto, genesis: Genesis): TrustedHead {
  const { current } = getSets(memoryState(genesisState(crypto, genesis)));
  const { timeMs } = genesis;
  return { height: 0, blockId: genesisBlockId(genesis), timeMs, validators: null, nextValidators: current };
}

export function trustedHead({ header, blockId: id, validators, nextValidators }: LightBlock): TrustedHead {
  return { height: header.height, blockId: id, timeMs: header.timeMs, validators, nextValidators };
}

/**
 * Puts together what a node told of a height and checks all that needs no trust: chain, hashes of the sets, quorum of the
 * set by power. Signatures are not verified yet.
 *
 * @throws NodeError BAD_PROOF | BAD_CERTIFICATE | UPGRADE_NEEDED
 */
export function lightBlock({ crypto, chain }: LightRules, claim: Omit<LightBlock, 'blockId'>): LightBlock {
  const { header, certificate, validators, nextValidators } = claim;
  checkHeader(chain, header);
  if (!equalBytes(header.validatorsHash, validatorSetHash(crypto, validators))) {
    throw badProof('the header names another validator set');
  }
  if (!equalBytes(header.nextValidatorsHash, validatorSetHash(crypto, nextValidators))) {
    throw badProof('the header names another next validator set');
  }
  const id = blockId(crypto, header);
  checkCertificateIsFor(certificate, header.height, id);
  checkCertificatePower(validators, certificate);
  return { ...claim, blockId: id };
}

/**
 * May this block be verified from the trusted one at once? Its neighbour when it has the set that the trusted block
 * names; a farther one when validators with more than a third of that set's power signed it: one of them is honest.
 */
function isWithinTrust(crypto: Crypto, trusted: TrustedHead, block: LightBlock): boolean {
  const { nextValidators } = trusted;
  if (block.header.height === trusted.height + 1) {
    return equalBytes(block.header.validatorsHash, validatorSetHash(crypto, nextValidators));
  }
  const seen = new Set<string>();
  let power = 0;
  for (const signer of block.certificate.signers) {
    const publicKey = block.validators.validators[signer]?.publicKey;
    if (!publicKey || seen.has(bytesKey(publicKey))) continue;
    seen.add(bytesKey(publicKey));
    power += findValidator(nextValidators, publicKey)?.power ?? 0;
  }
  return exceedsOneThird(nextValidators, power);
}

/**
 * Moves trust to a later block, near or far.
 *
 * @throws NodeError OUT_OF_TRUST | BAD_PROOF | BAD_CERTIFICATE
 */
export function verifyLightBlock(
  rules: LightRules,
  trusted: TrustedHead,
  block: LightBlock,
  nowMs: number,
): TrustedHead {
  const { header } = block;
  const { height } = header;
  if (height <= trusted.height) throw badProof('a later block was expected', { height });
  checkTrustAge(rules, trusted, nowMs);
  if (header.timeMs < trusted.timeMs) throw badProof('the block is older than one before it', { height });
  checkClock(rules, header, nowMs);
  if (height === trusted.height + 1 && !equalBytes(header.parent, trusted.blockId)) {
    throw badProof('the block does not follow the trusted one', { height });
  }
  if (!isWithinTrust(rules.crypto, trusted, block)) {
    throw badProof('too few of the trusted validators signed this block', { height });
  }
  verifyCertificate(rules.crypto, rules.chain, block.validators, block.certificate);
  return trustedHead(block);
}

/**
 * Moves trust forward over as few blocks as the rules allow: yields heights whose light blocks it needs, and returns the
 * block asked for as trusted. What is too far from a trusted block is reached over one half-way between.
 *
 * @throws NodeError as `verifyLightBlock`
 */
export function* walkForward(
  rules: LightRules,
  from: TrustedHead,
  block: LightBlock,
  nowMs: number,
): Generator<number, TrustedHead, LightBlock> {
  let trusted = from;
  const ahead = [block];
  let steps = 0;
  for (let next = ahead.at(-1); next; next = ahead.at(-1)) {
    const isNeighbour = next.header.height === trusted.height + 1;
    if (isNeighbour || isWithinTrust(rules.crypto, trusted, next)) {
      trusted = verifyLightBlock(rules, trusted, next, nowMs);
      ahead.pop();
      continue;
    }
    if (++steps > MAX_STEPS) throw badProof(`more than ${MAX_STEPS} steps from block ${from.height}`);
    ahead.push(yield Math.floor((trusted.height + next.header.height) / 2));
  }
  return trusted;
}

export function isExpired({ trustingPeriodMs }: LightRules, trusted: TrustedHead, nowMs: number): boolean {
  return trustingPeriodMs !== null && trusted.timeMs + trustingPeriodMs <= nowMs;
}

/** @throws NodeError OUT_OF_TRUST */
export function checkTrustAge(rules: LightRules, trusted: TrustedHead, nowMs: number): void {
  if (!isExpired(rules, trusted, nowMs)) return;
  const days = Math.floor((nowMs - trusted.timeMs) / 86_400_000);
  throw new NodeError(
    'OUT_OF_TRUST',
    `the trusted block ${trusted.height} is ${days} days old: it proves nothing new`,
    {
      data: { height: trusted.height, timeMs: trusted.timeMs, trustingPeriodMs: rules.trustingPeriodMs },
      hint: 'get height and hash of a recent block from someone you trust, and start from it',
    },
  );
}

/** @throws NodeError BAD_PROOF */
function checkClock({ maxClockDriftMs }: LightRules, { height, timeMs }: Header, nowMs: number): void {
  if (timeMs <= nowMs + maxClockDriftMs) return;
  throw new NodeError('BAD_PROOF', 'the block is from the future', {
    data: { height, timeMs, nowMs, maxClockDriftMs },
    hint: 'is the clock of this machine right? If it is, ask another node',
  });
}

/** @throws NodeError BAD_PROOF | UPGRADE_NEEDED */
export function checkHeader(chain: ChainContext, header: Header): void {
  if (header.version > PROTOCOL_VERSION) {
    throw new NodeError('UPGRADE_NEEDED', 'the header has a newer version than this program knows', {
      data: { version: header.version, known: PROTOCOL_VERSION },
      hint: 'install a newer aitbc',
    });
  }
  if (header.chainId !== chain.chainId) throw badProof('the header is of another chain', { height: header.height });
}

/** @throws NodeError BAD_PROOF */
export function checkCertificateIsFor(certificate: Certificate, height: number, id: Hash): void {
  const committed =
    certificate.type === 'precommit' && certificate.height === height && equalBytes(certificate.blockId, id);
  if (!committed) throw badProof('the certificate is not for this header', { height });
}

export const ASK_ANOTHER = 'do not rely on this answer; ask another node';

export function badProof(reason: string, data: Record<string, string | number> = {}): NodeError {
  return new NodeError('BAD_PROOF', reason, { data, hint: ASK_ANOTHER });
}
