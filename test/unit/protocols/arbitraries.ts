/** Random messages of every kind, each with an encoding. */
import fc from 'fast-check';
import { bytesKey, compareBytes, ZERO_HASH } from '../../../src/bytes.ts';
import type { Header } from '../../../src/chain/block.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import type { Evidence } from '../../../src/chain/evidence.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { assembleTransaction } from '../../../src/chain/tx.ts';
import type { Certificate, Proposal, Vote } from '../../../src/chain/votes.ts';
import type { ChunkRef, StateManifest } from '../../../src/chain/state-chunks.ts';
import { chunkNode, cutLeaves } from '../../../src/chain/state-chunks.ts';
import type { ValidatorSet } from '../../../src/chain/validator-set.ts';
import { createValidatorSet } from '../../../src/chain/validator-set.ts';
import type { CertifiedBlock, ProposalMessage } from '../../../protocols/messages.ts';

export const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
/** With the prototype that decoded messages have. */
export const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(model, { noNullPrototype: true });

const u64 = fc.maxSafeNat();
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const voteType = fc.constantFrom('prevote' as const, 'precommit' as const);

export const ascii = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength });

export const transaction: fc.Arbitrary<Transaction> = record({
  type: fc.nat(0xffff),
  sender: bytes(32),
  nonce: u64,
  feeUait: u64,
  validUntilHeight: u64,
  payload: fc.uint8Array({ maxLength: 64 }),
  signature: bytes(64),
}).map(({ signature, ...fields }) => assembleTransaction(pureHasher, { ...fields, version: 1 }, signature));

export const vote: fc.Arbitrary<Vote> = record({
  type: voteType,
  height: u64,
  round: u32,
  blockId: fc.option(bytes(32)),
  validator: bytes(32),
  signature: bytes(64),
});

export const proposal: fc.Arbitrary<Proposal> = record({
  height: u64,
  round: fc.nat(1000),
  back: fc.nat(1000),
  blockId: bytes(32),
  proposer: bytes(32),
  signature: bytes(64),
}).map(({ back, ...core }) => ({ ...core, polRound: Math.max(-1, core.round - 1 - back) }));

export const certificate: fc.Arbitrary<Certificate> = record({
  type: voteType,
  height: u64,
  round: u32,
  blockId: bytes(32),
  signers: fc.uniqueArray(fc.nat(127), { minLength: 1, maxLength: 4 }),
  signature: bytes(64),
}).map(({ signature, signers, ...head }) => ({
  ...head,
  signers: signers.sort((a, b) => a - b),
  signatures: signers.map(() => signature),
}));

export const header: fc.Arbitrary<Header> = record({
  version: fc.nat(0xffff),
  chainId: ascii(32),
  height: u64,
  timeMs: u64,
  parent: bytes(32),
  proposer: bytes(32),
  txRoot: bytes(32),
  receiptsRoot: bytes(32),
  stateRoot: bytes(32),
  validatorsHash: bytes(32),
  nextValidatorsHash: bytes(32),
  lastCommitHash: bytes(32),
  evidenceRoot: bytes(32),
});

export const evidence: fc.Arbitrary<Evidence> = fc.oneof(
  fc.tuple(vote, vote).map(([a, b]): Evidence => ({ kind: 'duplicate-vote', a, b })),
  fc.tuple(proposal, proposal).map(([a, b]): Evidence => ({ kind: 'duplicate-proposal', a, b })),
);

const body = { lastCommit: fc.option(certificate), evidence: fc.array(evidence, { maxLength: 2 }) };

export const certifiedBlock: fc.Arbitrary<CertifiedBlock> = record({
  block: record({ header, ...body, txs: fc.array(transaction, { maxLength: 3 }) }),
  certificate,
});

export const proposalMessage: fc.Arbitrary<ProposalMessage> = record({
  attempt: fc.nat(0xffff),
  proposal,
  header,
  ...body,
  txIds: fc.array(bytes(32), { maxLength: 4 }),
  polka: fc.option(certificate),
});

export const peerId = ascii(64);

export const signedStatus = record({
  height: u64,
  blockId: bytes(32),
  timeMs: u64,
  peerId,
  validator: bytes(32),
  signature: bytes(64),
});

export const peerStatus = record({
  genesisHash: bytes(32),
  baseHeight: u64,
  height: u64,
  blockId: bytes(32),
  certificate,
}).map((status) => (status.height === 0 ? { ...status, certificate: null } : status));

export const chains = fc
  .uniqueArray(
    ascii(32).filter((id) => id !== ''),
    { maxLength: 3 },
  )
  .chain((ids) =>
    fc.tuple(...ids.sort().map((chainId) => record({ chainId: fc.constant(chainId), genesisHash: bytes(32) }))),
  );

export const validatorSet: fc.Arbitrary<ValidatorSet> = fc
  .uniqueArray(
    record({
      publicKey: bytes(32),
      power: fc.integer({ min: 1, max: 1_000 }),
      operator: bytes(20),
      name: ascii(32),
      priority: fc.integer(),
      demoted: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3, selector: ({ publicKey }) => bytesKey(publicKey) },
  )
  .map(createValidatorSet);

/** Of up to eight leaves, each as large as a chunk may be, so that every prefix with two is cut. */
export const manifest: fc.Arbitrary<StateManifest> = record({
  height: u64,
  leaves: fc.uniqueArray(record({ path: bytes(32), valueHash: bytes(32), bytes: fc.constantFrom(1, 262_144) }), {
    maxLength: 8,
    selector: ({ path }) => bytesKey(path),
  }),
}).map(({ height, leaves }) => {
  const cuts = [
    ...cutLeaves(
      leaves.sort((a, b) => compareBytes(a.path, b.path)),
      ZERO_HASH,
      0,
    ),
  ];
  const chunks = cuts.map(
    ({ prefix, depth, leaves: own }): ChunkRef => ({ prefix, depth, node: chunkNode(pureHasher, own, depth) }),
  );
  return { height, chunks };
});
