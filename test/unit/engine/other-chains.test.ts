/** Everything that is signed for one chain is refused by every other one: of another id, and of the same id with another genesis. */
import assert from 'node:assert/strict';
import { statusSignBytes } from '../../../protocols/codec.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { blockId } from '../../../src/chain/block.ts';
import type { SignatureCheck } from '../../../src/chain/crypto/types.ts';
import { duplicateProposal, duplicateVote, evidenceChecks } from '../../../src/chain/evidence.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { genesisHead, lightBlock, verifyLightBlock } from '../../../src/chain/light.ts';
import type { LightRules } from '../../../src/chain/light.ts';
import { proposeChange } from '../../../src/chain/modules/validators.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import type { SignKind } from '../../../src/chain/signing.ts';
import { signBytesWriter } from '../../../src/chain/signing.ts';
import { txCheck } from '../../../src/chain/tx.ts';
import type { Proposal } from '../../../src/chain/votes.ts';
import { proposalCheck, proposalSignBytes, verifyCertificate, voteCheck } from '../../../src/chain/votes.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { validatorKeyProof } from '../../../src/sdk/build.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import type { FixtureOptions } from '../../util/chain-fixture.ts';
import { fixtureGenesis, makeTransfer, signer } from '../../util/chain-fixture.ts';
import { NodeUnderTest } from './node-under-test.ts';

const TIME_MS = 900_000;
const POWERS = [1, 1, 1];
const NAMES = ['validator-0', 'validator-1', 'validator-2'];

/** Chains with the same keys as ours. */
const OTHERS: Readonly<Record<string, FixtureOptions>> = {
  'another id': { chainId: 'ait-testnet', powers: POWERS, timeMs: TIME_MS },
  'the same id and another genesis': { powers: POWERS, timeMs: TIME_MS + 1 },
};

/** What the validators of a chain sign at its first height, by kind. */
function signedThings(options: FixtureOptions) {
  const genesis = fixtureGenesis(options);
  const driver = new ChainDriver(genesis, NAMES);
  const { chain } = genesis;
  const key = signer('validator-0');
  const tx = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
  const applied = driver.build([tx]);
  const propose = (id: Uint8Array): Proposal => {
    const core = { height: 1, round: 0, polRound: -1, blockId: id };
    return { ...core, proposer: key.publicKey, signature: key.sign(proposalSignBytes(chain, core)) };
  };
  const vote = driver.vote(key, 1, 0, applied.blockId);
  const prevote = driver.vote(key, 1, 0, applied.blockId, 'prevote');
  const status = { height: 0, blockId: driver.tip.blockId, timeMs: 1_000_000 - 40_000, peerId: 'validator-0' };
  return {
    genesis,
    driver,
    applied,
    tx,
    vote,
    prevote,
    proposal: propose(applied.blockId),
    certificate: driver.certify(applied),
    evidence: [
      duplicateVote(vote, driver.vote(key, 1, 0, null)),
      duplicateProposal(propose(applied.blockId), propose(new Uint8Array(32).fill(9))),
    ],
    status: { ...status, validator: key.publicKey, signature: key.sign(statusSignBytes(chain, status)) },
  };
}

const verifies = ({ message, signature, publicKey }: SignatureCheck): boolean =>
  nativeCrypto.verify(message, signature, publicKey);

const code =
  (...expected: readonly string[]) =>
  (error: unknown): boolean =>
    isNodeError(error) && expected.includes(error.code);

for (const [name, options] of Object.entries(OTHERS)) {
  describe(`what is signed for a chain of ${name}`, () => {
    const ours = signedThings({ powers: POWERS, timeMs: TIME_MS });
    const theirs = signedThings(options);
    const { chain } = ours.genesis;

    it('differs in the sign bytes of every kind', () => {
      const kinds: Readonly<Record<SignKind, true>> = {
        ...{ tx: true, prevote: true, precommit: true, proposal: true, status: true, 'validator-key': true },
        ...{ voucher: true, message: true, login: true, offer: true, job: true, 'quote-request': true, quote: true },
        ...{ assignment: true, 'stream-refusal': true, tick: true, receipt: true, acknowledgement: true },
        ...{ 'join-document': true, 'validator-card': true },
      };
      for (const kind of Object.keys(kinds) as SignKind[]) {
        const bytes = signBytesWriter(kind, chain).finish();
        assert.notDeepEqual(bytes, signBytesWriter(kind, theirs.genesis.chain).finish(), kind);
      }
    });

    it('does not verify here: transaction, votes, proposal, evidence', () => {
      const checks = (things: typeof ours): SignatureCheck[] => [
        txCheck(chain, things.tx),
        voteCheck(chain, things.vote),
        voteCheck(chain, things.prevote),
        proposalCheck(chain, things.proposal),
        ...things.evidence.flatMap((evidence) => evidenceChecks(chain, evidence)),
      ];
      assert(checks(ours).every(verifies));
      assert.equal(checks(theirs).filter(verifies).length, 0);
    });

    it('proves nothing here: certificate, header, and with it every state, transaction and receipt proof', () => {
      const { current } = getSets(ours.driver.tip.state);
      verifyCertificate(nativeCrypto, chain, current, ours.certificate);
      assert.throws(() => {
        verifyCertificate(nativeCrypto, chain, current, theirs.certificate);
      }, code('BAD_CERTIFICATE'));
      const rules: LightRules = { crypto: nativeCrypto, chain, trustingPeriodMs: null, maxClockDriftMs: 1e12 };
      const claim = ({ applied, certificate }: typeof ours) => ({
        ...{ header: applied.block.header, certificate, validators: current, nextValidators: current },
      });
      const root = genesisHead(nativeCrypto, ours.genesis);
      verifyLightBlock(rules, root, lightBlock(rules, claim(ours)), TIME_MS);
      assert.throws(
        () => {
          verifyLightBlock(rules, root, lightBlock(rules, claim(theirs)), TIME_MS);
        },
        code('BAD_PROOF', 'BAD_CERTIFICATE'),
      );
    });

    it('binds no validator key here', () => {
      const operator = addressOf(nativeCrypto, signer('operator-0').publicKey);
      const added = signer('added');
      const outcome = (things: typeof ours): number | undefined => {
        const driver = new ChainDriver(ours.genesis, NAMES);
        const proof = validatorKeyProof(things.genesis.chain, added, operator);
        const change = { kind: 'add', publicKey: added.publicKey, operator, name: 'n9', proof } as const;
        const tx = driver.tx(proposeChange, 'operator-0', 0, change);
        return driver.commit([tx]).receipts[0]?.code;
      };
      assert.equal(outcome(ours), 0);
      assert.notEqual(outcome(theirs), 0);
    });

    it('is refused by a running node, whichever way it comes', async () => {
      const node = new NodeUnderTest({ powers: POWERS, timeMs: TIME_MS, self: null });
      await node.start();
      try {
        const { gossip } = node.chain.handlers;
        assert.equal(await gossip.tx({ attempt: 0, origin: 'other', txs: [theirs.tx] }, 'peer'), 'BAD_SIGNATURE');
        assert.equal((await node.chain.admission.submit([theirs.tx], 'client'))[0]?.code, 'BAD_SIGNATURE');
        for (const vote of [theirs.vote, theirs.prevote]) assert.equal(await node.hear([vote]), 'BAD_SIGNATURE');
        for (const evidence of theirs.evidence) assert.equal(await gossip.evidence(evidence, 'peer'), 'BAD_SIGNATURE');
        assert.equal(await gossip.status(theirs.status, 'peer'), 'BAD_SIGNATURE');
        const message = node.propose(ours.applied);
        const key = node.key(node.proposerAt(0));
        const core = { height: 1, round: 0, polRound: -1, blockId: blockId(nativeCrypto, message.header) };
        const signature = key.sign(proposalSignBytes(theirs.genesis.chain, core));
        const foreign = { ...message, proposal: { ...message.proposal, signature } };
        assert.equal(await node.hearProposal(foreign), 'BAD_SIGNATURE');
        const certified = { block: theirs.applied.block, certificate: theirs.certificate };
        const imported = await node.chain.engine.import(LinkedRange.of(nativeCrypto, [certified]));
        assert.equal(imported.count, 0);
        assert.equal(node.chain.ledger.tip.height, 0);
      } finally {
        await node.stop();
      }
    });
  });
}
