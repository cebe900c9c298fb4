import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { pureHasher, pureVerifier } from '../../../src/chain/crypto/pure.ts';
import type { Evidence } from '../../../src/chain/evidence.ts';
import {
  checkEvidence,
  duplicateProposal,
  duplicateVote,
  encodeEvidence,
  evidenceChecks,
  evidenceOffender,
  evidenceRoot,
} from '../../../src/chain/evidence.ts';
import type { ChainContext } from '../../../src/chain/signing.ts';
import { createValidatorSet } from '../../../src/chain/validator-set.ts';
import type { Certificate, Proposal, Vote } from '../../../src/chain/votes.ts';
import {
  certificateChecks,
  certificateFromVotes,
  checkCertificatePower,
  decodeCertificate,
  encodeCertificate,
  proposalCheck,
  proposalSignBytes,
  verifyCertificate,
  voteCheck,
  voteSignBytes,
} from '../../../src/chain/votes.ts';
import { createNativeSigner } from '../../../src/native/crypto.ts';
import { nativeVerifier } from '../../../src/native/verifier.ts';

const chain: ChainContext = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(1) };
const signers = [1, 2, 3, 4].map((i) => createNativeSigner(new Uint8Array(32).fill(i)));
const set = createValidatorSet(
  signers.map(({ publicKey }) => ({
    publicKey,
    power: 1,
    operator: new Uint8Array(20),
    name: '',
    priority: 0,
    demoted: false,
  })),
);
const block = new Uint8Array(32).fill(7);
const otherBlock = new Uint8Array(32).fill(8);

function voteBy(index: number, change: Partial<Vote> = {}, on: ChainContext = chain): Vote {
  const signer = signers[index];
  assert.ok(signer);
  const fields = { type: 'precommit' as const, height: 5, round: 2, blockId: block, ...change };
  return { ...fields, validator: signer.publicKey, signature: signer.sign(voteSignBytes(on, fields)) };
}

function proposalBy(index: number, change: Partial<Proposal> = {}): Proposal {
  const signer = signers[index];
  assert.ok(signer);
  const fields = { height: 5, round: 2, polRound: -1, blockId: block, ...change };
  return { ...fields, proposer: signer.publicKey, signature: signer.sign(proposalSignBytes(chain, fields)) };
}

const certificate = certificateFromVotes(set, [voteBy(2), voteBy(0), voteBy(1)]);

describe('sign bytes', () => {
  it('differ by kind, chain, genesis, height, round and value', () => {
    const fields = { type: 'prevote' as const, height: 5, round: 2, blockId: block };
    const chains = [chain, { ...chain, chainId: 'ait-devne' }, { ...chain, genesisHash: block }];
    const all = [
      ...chains.map((on) => voteSignBytes(on, fields)),
      voteSignBytes(chain, { ...fields, type: 'precommit' }),
      voteSignBytes(chain, { ...fields, height: 6 }),
      voteSignBytes(chain, { ...fields, round: 3 }),
      voteSignBytes(chain, { ...fields, blockId: otherBlock }),
      voteSignBytes(chain, { ...fields, blockId: null }),
      proposalSignBytes(chain, { ...fields, polRound: -1 }),
      proposalSignBytes(chain, { ...fields, polRound: 0 }),
    ];
    assert.equal(new Set(all.map((bytes) => toHex(bytes))).size, all.length);
  });

  it('begin with the kind, the chain and the genesis hash', () => {
    const bytes = voteSignBytes(chain, { type: 'prevote', height: 1, round: 0, blockId: null });
    const text = Buffer.from(bytes).toString('latin1');
    assert.ok(text.startsWith(`\u000bAIT/prevote\u000aait-devnet${'\u0001'.repeat(32)}`));
    assert.equal(toHex(bytes.subarray(55)), '00000000000000010000000000');
  });
});

describe('certificate', () => {
  it('of a quorum verifies, with every verifier, after its encoding', () => {
    const decoded = decodeCertificate(encodeCertificate(certificate));
    for (const verifier of [pureVerifier, nativeVerifier]) verifyCertificate(verifier, chain, set, decoded);
    assert.equal(certificateChecks(chain, set, decoded).length, 3);
  });

  it('is made without strangers and repeats, in the order of the set', () => {
    const stranger = createNativeSigner(new Uint8Array(32).fill(9));
    const votes = [voteBy(3), { ...voteBy(0), validator: stranger.publicKey }, voteBy(1), voteBy(3), voteBy(2)];
    const made = certificateFromVotes(set, votes);
    assert.deepEqual(
      made.signers,
      [...made.signers].sort((a, b) => a - b),
    );
    assert.equal(made.signers.length, 3);
    verifyCertificate(nativeVerifier, chain, set, made);
  });

  it('needs votes for a block', () => {
    for (const votes of [[], [voteBy(0, { blockId: null })]]) {
      assert.throws(() => certificateFromVotes(set, votes), { code: 'INTERNAL' });
    }
  });

  const without = (last: number): Partial<Certificate> => ({
    signers: certificate.signers.slice(0, last),
    signatures: certificate.signatures.slice(0, last),
  });
  const [first = 0, second = 0, third = 0] = certificate.signers;
  const powerFaults: Readonly<Record<string, Partial<Certificate>>> = {
    'no signer': without(0),
    'less than a quorum': without(2),
    'a signer twice': { signers: [first, first, second] },
    'signers out of order': { signers: [second, first, third] },
    'a signer outside the set': { signers: [first, second, 4] },
  };
  for (const [name, change] of Object.entries(powerFaults)) {
    it(`with ${name} is refused before its signatures are looked at`, () => {
      assert.throws(() => checkCertificatePower(set, { ...certificate, ...change }), { code: 'BAD_CERTIFICATE' });
    });
  }

  const signatureFaults: Readonly<Record<string, Partial<Certificate>>> = {
    'another type': { type: 'prevote' },
    'another height': { height: 6 },
    'another round': { round: 3 },
    'another block': { blockId: otherBlock },
    'signatures of others': { signatures: [...certificate.signatures].reverse() },
    'a signature missing': { signatures: certificate.signatures.slice(1) },
  };
  for (const [name, change] of Object.entries(signatureFaults)) {
    it(`with ${name} does not verify`, () => {
      const forged = { ...certificate, ...change };
      assert.throws(() => verifyCertificate(nativeVerifier, chain, set, forged), { code: 'BAD_CERTIFICATE' });
    });
  }

  it('of another chain or genesis does not verify', () => {
    for (const other of [
      { ...chain, chainId: 'ait-testnet' },
      { ...chain, genesisHash: block },
    ]) {
      assert.throws(() => verifyCertificate(nativeVerifier, other, set, certificate), { code: 'BAD_CERTIFICATE' });
    }
  });
});

describe('evidence', () => {
  const verifies = (evidence: Evidence): boolean =>
    evidenceChecks(chain, evidence).every(({ message, signature, publicKey }) =>
      nativeVerifier.verify(message, signature, publicKey),
    );

  it('of two votes or two proposals holds, and has one encoding whichever came first', () => {
    const votes = [voteBy(0), voteBy(0, { blockId: otherBlock })] as const;
    const proposals = [proposalBy(0), proposalBy(0, { blockId: otherBlock, polRound: 1 })] as const;
    const all = [
      [duplicateVote(votes[0], votes[1]), duplicateVote(votes[1], votes[0])],
      [duplicateProposal(proposals[0], proposals[1]), duplicateProposal(proposals[1], proposals[0])],
    ] as const;
    for (const [a, b] of all) {
      assert.deepEqual(encodeEvidence(a), encodeEvidence(b));
      checkEvidence(a);
      assert.ok(verifies(a));
      assert.deepEqual(evidenceOffender(a), signers[0]?.publicKey);
    }
    checkEvidence(duplicateVote(voteBy(0), voteBy(0, { blockId: null })));
  });

  it('that shows no contradiction is refused', () => {
    const honest = [
      duplicateVote(voteBy(0), voteBy(0)),
      duplicateVote(voteBy(0), voteBy(1, { blockId: otherBlock })),
      duplicateVote(voteBy(0), voteBy(0, { blockId: otherBlock, round: 3 })),
      duplicateVote(voteBy(0), voteBy(0, { blockId: otherBlock, height: 6 })),
      duplicateVote(voteBy(0), voteBy(0, { blockId: otherBlock, type: 'prevote' })),
      duplicateVote(voteBy(0, { blockId: null }), voteBy(0, { blockId: null })),
      duplicateProposal(proposalBy(0), proposalBy(0)),
      duplicateProposal(proposalBy(0), proposalBy(1, { blockId: otherBlock })),
      duplicateProposal(proposalBy(0), proposalBy(0, { blockId: otherBlock, round: 3 })),
      duplicateProposal(proposalBy(0), proposalBy(0, { blockId: otherBlock, height: 6 })),
    ];
    for (const evidence of honest) assert.throws(() => checkEvidence(evidence), { code: 'BAD_BLOCK' });
  });

  it('in the other order is refused: one offence has one encoding', () => {
    const { a, b } = duplicateVote(voteBy(0), voteBy(0, { blockId: otherBlock })) as { a: Vote; b: Vote };
    assert.throws(() => checkEvidence({ kind: 'duplicate-vote', a: b, b: a }), { code: 'BAD_BLOCK' });
  });

  it('has a root that tells it apart', () => {
    const one = duplicateVote(voteBy(0), voteBy(0, { blockId: otherBlock }));
    const two = duplicateProposal(proposalBy(0), proposalBy(0, { blockId: otherBlock }));
    const roots = [[], [one], [two], [one, two], [two, one]].map((list) => toHex(evidenceRoot(pureHasher, list)));
    assert.equal(new Set(roots).size, roots.length);
  });

  it('checks of votes and proposals name their signer', () => {
    for (const check of [voteCheck(chain, voteBy(1)), proposalCheck(chain, proposalBy(1))]) {
      assert.ok(nativeVerifier.verify(check.message, check.signature, check.publicKey));
      assert.deepEqual(check.publicKey, signers[1]?.publicKey);
    }
  });
});
