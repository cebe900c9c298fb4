/** Every code that messages of agreement are judged by, and every bound on them. */
import assert from 'node:assert/strict';
import type { ProposalMessage } from '../../../protocols/messages.ts';
import type { GossipCode } from '../../../protocols/verdicts.ts';
import { blockId } from '../../../src/chain/block.ts';
import type { AppliedBlock } from '../../../src/chain/execute.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import type { Vote } from '../../../src/chain/votes.ts';
import { certificateFromVotes, proposalSignBytes } from '../../../src/chain/votes.ts';
import { MAX_QUEUE } from '../../../src/engine/engine.ts';
import {
  MAX_EARLY_PROPOSALS,
  MAX_EARLY_VOTES,
  MAX_PULLS,
  MAX_ROUNDS_AHEAD,
  PROBE,
  VOTE_QUOTA,
} from '../../../src/engine/intake.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { makeTransfer, signer } from '../../util/chain-fixture.ts';
import { stall } from '../../util/scripted-network.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

describe('messages of agreement', () => {
  let node: NodeUnderTest;

  beforeEach(() => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], self: null });
  });

  afterEach(() => node.stop());

  const block = (nonce = 0, options: { from?: string } = {}): AppliedBlock =>
    node.driver.build([makeTransfer(node.genesis, { from: options.from ?? 'account-0', to: 'account-1', nonce })]);
  const bad = (vote: Vote): Vote => ({ ...vote, signature: new Uint8Array(64).fill(3) });

  it('votes: OK, DUPLICATE, STALE, FUTURE, UNKNOWN_SIGNER, BAD_SIGNATURE, NOT_READY', async () => {
    const driverOnly = node.driver.commit([
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 }),
    ]);
    assert.ok(node.driver.certificate);
    await node.start();
    await node.chain.admission.verifyBodies(driverOnly.block.txs);
    await node.chain.engine.import(
      LinkedRange.of(nativeCrypto, [{ block: driverOnly.block, certificate: node.driver.certificate }]),
    );
    const good = node.vote(0, 'prevote', 0, null);
    assert.equal(await node.hear([good]), 'OK');
    assert.equal(await node.hear([good]), 'DUPLICATE');
    assert.equal(await node.hear([node.vote(0, 'prevote', 0, null, 1)]), 'STALE');
    assert.equal(await node.hear([node.vote(0, 'prevote', 0, null, 3)]), 'OK', 'the next height waits');
    assert.equal(await node.hear([node.vote(0, 'prevote', 0, null, 4)]), 'FUTURE');
    const stranger = node.driver.vote(signer('stranger'), 2, 0, null, 'prevote');
    assert.equal(await node.hear([stranger]), 'UNKNOWN_SIGNER');
    assert.equal(await node.hear([bad(node.vote(1, 'prevote', 0, null))]), 'BAD_SIGNATURE');
    node.verifier.full = true;
    assert.equal(await node.hear([node.vote(1, 'prevote', 0, null)]), 'NOT_READY');
  });

  it('votes: from the peer of who signed them they are first hand, said again or by others not', async () => {
    await node.start();
    for (const i of [0, 1]) await node.hearStatus(i);
    const from = async (peer: string, vote: Vote, attempt = 0): Promise<string> =>
      node.chain.handlers.gossip.vote({ attempt, votes: [vote] }, peer);
    assert.equal(await from('validator-0', node.vote(0, 'prevote', 0, null)), 'FIRST_HAND');
    assert.equal(await from('validator-0', node.vote(1, 'prevote', 0, null)), 'OK', 'of another');
    assert.equal(await from('validator-0', node.vote(0, 'precommit', 0, null), 1), 'OK', 'said again');
    assert.equal(await from('validator-2', node.vote(2, 'prevote', 0, null)), 'OK', 'whose peer is not known');
  });

  it(`bound: ${MAX_QUEUE} events wait for the engine, then votes are refused until it has caught up`, async () => {
    const { block: first } = node.driver.commit([
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 }),
    ]);
    const { certificate } = node.driver;
    assert.ok(certificate);
    await node.start();
    let open: () => void = () => undefined;
    node.store.gate = new Promise((resolve) => {
      open = resolve;
    });
    await node.chain.admission.verifyBodies(first.txs);
    const importing = node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block: first, certificate }]));
    await settle();
    const old = node.vote(0, 'prevote', 0, null, 1);
    for (let i = 0; i < MAX_QUEUE; i++) node.chain.engine.input(1, { type: 'vote', vote: old });
    assert.equal(await node.hear([node.vote(1, 'prevote', 0, null, 1)]), 'NOT_READY');
    open();
    await importing;
    await settle();
    assert.equal(await node.hear([node.vote(1, 'prevote', 0, null)]), 'OK');
  });

  it('a batch with a vote that was not verified is not relayed, and its good votes count', async () => {
    await node.start();
    const good = node.vote(0, 'prevote', 0, null);
    // Stale here, but of a height in work on a node behind, which would reject it and blame the relayer.
    assert.equal(await node.hear([good, bad(node.vote(1, 'prevote', 0, null, 0))]), 'STALE');
    assert.equal(await node.hear([good]), 'DUPLICATE');
    const stranger = bad(node.driver.vote(signer('stranger'), 1, 0, null, 'prevote'));
    assert.equal(await node.hear([node.vote(1, 'prevote', 0, null), stranger]), 'UNKNOWN_SIGNER');
  });

  it(`bound: of a forged batch ${PROBE} signatures are verified`, async () => {
    await node.start();
    const before = node.verifier.checked;
    const votes = Array.from({ length: 400 }, (_, i) => bad(node.vote(i % 4, 'prevote', i, null)));
    assert.equal(await node.hear(votes), 'BAD_SIGNATURE');
    assert.equal(node.verifier.checked - before, PROBE);
  });

  it(`bound: ${VOTE_QUOTA.capacity} votes of one validator at once, ${VOTE_QUOTA.refillPerSecond} a second`, async () => {
    await node.start();
    const codes: string[] = [];
    let round = 0;
    const send = async (): Promise<string> =>
      node.chain.handlers.gossip.vote({ attempt: 0, votes: [node.vote(2, 'prevote', round++, null)] }, 'peer');
    while (codes.at(-1) !== 'REFUSED') codes.push(await send());
    assert.ok(codes.length >= VOTE_QUOTA.capacity && codes.length <= VOTE_QUOTA.capacity + 2, String(codes.length));
    assert.equal(await node.hear([node.vote(1, 'prevote', 0, null)]), 'OK', 'others are heard');
    await node.advance(1_000);
    assert.equal(await send(), 'OK');
  });

  it('a forgery in its name costs a validator nothing', async () => {
    await node.start();
    for (let i = 0; i < VOTE_QUOTA.capacity + 8; i++) {
      await node.chain.handlers.gossip.vote({ attempt: 0, votes: [bad(node.vote(2, 'prevote', i, null))] }, 'peer');
    }
    assert.equal(await node.hear([node.vote(2, 'prevote', 0, null)]), 'OK');
  });

  it(`bound: ${MAX_EARLY_VOTES} votes of one validator wait for the next height, and crowd out no other's`, async () => {
    const applied = block();
    await node.start();
    for (let round = 1_000; round < 1_100; round++) await node.hear([node.vote(3, 'prevote', round, null, 2)]);
    const early = [0, 1].map((i) => node.vote(i, 'precommit', 0, null, 2));
    await node.hear(early);
    const { block: first } = node.driver.commit(applied.block.txs);
    assert.ok(node.driver.certificate);
    await node.chain.admission.verifyBodies(first.txs);
    await node.chain.engine.import(
      LinkedRange.of(nativeCrypto, [{ block: first, certificate: node.driver.certificate }]),
    );
    const { machine } = node.chain.engine;
    assert.equal(machine.height, 2);
    for (const vote of early) assert.ok(machine.votes.has(vote));
  });

  it('proposals: OK, DUPLICATE, FUTURE, UNKNOWN_SIGNER, WRONG_PROPOSER, UNJUSTIFIED, BAD_SIGNATURE, NOT_READY', async () => {
    const applied = block();
    const message = node.propose(applied);
    await node.start();
    const judge = (change: Partial<ProposalMessage>): Promise<string> => node.hearProposal({ ...message, ...change });
    const { proposal, header } = message;
    assert.equal(await judge({ proposal: { ...proposal, height: 9 } }), 'FUTURE');
    assert.equal(await judge({ proposal: { ...proposal, round: MAX_ROUNDS_AHEAD + 1 } }), 'FUTURE');
    assert.equal(await judge({ proposal: { ...proposal, proposer: signer('stranger').publicKey } }), 'UNKNOWN_SIGNER');
    const other = node.key((node.proposerAt(0) + 1) % 4).publicKey;
    assert.equal(await judge({ proposal: { ...proposal, proposer: other } }), 'WRONG_PROPOSER');
    const broken: Partial<ProposalMessage>[] = [
      { header: { ...header, timeMs: header.timeMs + 1 } },
      { txIds: [] },
      {
        lastCommit: { type: 'precommit', height: 0, round: 0, blockId: proposal.blockId, signers: [], signatures: [] },
      },
      { polka: { type: 'prevote', height: 1, round: 0, blockId: proposal.blockId, signers: [0], signatures: [] } },
      { proposal: { ...proposal, round: 4, polRound: 2, proposer: node.key(node.proposerAt(4)).publicKey } },
    ];
    for (const change of broken) assert.equal(await judge(change), 'UNJUSTIFIED', JSON.stringify(change));
    assert.equal(await judge({ proposal: { ...proposal, signature: new Uint8Array(64) } }), 'BAD_SIGNATURE');
    node.verifier.full = true;
    assert.equal(await judge({}), 'NOT_READY');
    node.verifier.full = false;
    assert.equal(await judge({}), 'OK');
    assert.equal(await judge({ attempt: 7 }), 'DUPLICATE');
  });

  it('a proposal of a later round stands on a polka of a quorum, in that round, for that block', async () => {
    const applied = block();
    await node.start();
    const { current } = node.chain.ledger.validators;
    const polkaOf = (voters: readonly number[], round = 0, type: Vote['type'] = 'prevote') =>
      certificateFromVotes(
        current,
        voters.map((i) => node.vote(i, type, round, applied.blockId)),
      );
    const again = (polka: ReturnType<typeof polkaOf>): Promise<GossipCode> =>
      node.hearProposal(node.propose(applied, 2, { polRound: 0, polka })) as Promise<GossipCode>;
    assert.equal(await again(polkaOf([0, 1])), 'UNJUSTIFIED');
    assert.equal(await again(polkaOf([0, 1, 2], 1)), 'UNJUSTIFIED');
    assert.equal(await again(polkaOf([0, 1, 2], 0, 'precommit')), 'UNJUSTIFIED');
    const polka = polkaOf([0, 1, 2]);
    const forged = { ...polka, signatures: polka.signatures.map((s, i) => (i === 2 ? new Uint8Array(64) : s)) };
    assert.equal(await again(forged), 'BAD_SIGNATURE');
    assert.equal(await again(polka), 'OK');
  });

  it('bound: what one proposer signs for one round beyond two, nobody relays', async () => {
    await node.start();
    const codes: string[] = [];
    for (let i = 0; i < 30; i++) {
      const built = block();
      const header = { ...built.block.header, timeMs: built.block.header.timeMs + i };
      const other = { ...built, block: { ...built.block, header }, blockId: blockId(nativeCrypto, header) };
      codes.push(await node.hearProposal(node.propose(other)));
    }
    assert.deepEqual(codes.slice(0, 2), ['OK', 'OK']);
    assert.ok(codes.slice(2).every((code) => code === 'REFUSED'));
    assert.equal(node.chain.engine.proposals.size, 1);
  });

  it(`bound: ${MAX_EARLY_PROPOSALS} proposals of the next height wait, those of the lowest rounds`, async () => {
    const { block: first } = node.driver.commit([
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 }),
    ]);
    const { certificate } = node.driver;
    assert.ok(certificate);
    const applied = block(1);
    await node.start();
    for (let round = 12; round >= 0; round--) {
      assert.equal(await node.hearProposal(node.propose(applied, round)), 'FUTURE');
    }
    assert.equal(await node.hearProposal({ ...node.propose(applied, 0), attempt: 3 }), 'DUPLICATE');
    await node.chain.admission.verifyBodies(first.txs);
    await node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block: first, certificate }]));
    assert.deepEqual(
      node.chain.engine.proposals.all().map(({ proposal }) => proposal.round),
      Array.from({ length: MAX_EARLY_PROPOSALS }, (_, i) => i),
    );
  });

  it('a proposal of the next height waits whoever signed it, and counts if its turn it is; nobody is blamed', async () => {
    const { block: first } = node.driver.commit([
      makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 0 }),
    ]);
    const { certificate } = node.driver;
    assert.ok(certificate);
    const applied = block(1);
    const rightful = node.propose(applied);
    const usurper = node.propose(applied, 1);
    const core = { ...usurper.proposal, round: 0 };
    const signature = node.key(node.proposerAt(1)).sign(proposalSignBytes(node.genesis.chain, core));
    await node.start();
    assert.equal(await node.hearProposal({ ...usurper, proposal: { ...core, signature } }), 'FUTURE');
    assert.equal(await node.hearProposal(rightful), 'FUTURE');
    await node.chain.admission.verifyBodies(first.txs);
    await node.chain.engine.import(LinkedRange.of(nativeCrypto, [{ block: first, certificate }]));
    assert.deepEqual(
      node.chain.engine.proposals.all().map(({ proposal }) => proposal.proposer),
      [rightful.proposal.proposer],
    );
    assert.equal(await node.hearProposal({ ...usurper, proposal: { ...core, signature } }), 'WRONG_PROPOSER');
  });

  it('a proposal that came before its round was near is known when the round begins', async () => {
    const applied = block();
    await node.start();
    const round = 12;
    assert.equal(await node.hearProposal(node.propose(applied, round)), 'OK');
    await node.hear([0, 1].map((i) => node.vote(i, 'prevote', round, null)));
    assert.equal(node.chain.engine.machine.round, round);
    assert.ok(node.chain.engine.machine.proposals.has(round));
  });

  it('answers with what decides and with rounds begun before those that nobody has reached', async () => {
    await node.start();
    const traitor = 3;
    for (let i = 0; i < 4; i++) {
      await node.hearProposal(node.propose(block(), node.roundOf(traitor, 1 + 4 * i)));
    }
    const applied = block();
    const message = node.propose(applied, 0);
    await node.hearProposal(message);
    const answer = await node.chain.handlers.requests.votes({ height: 1, round: 0 }, 'peer');
    assert.deepEqual(answer.proposals[0]?.proposal.blockId, applied.blockId);
    assert.deepEqual((await node.chain.handlers.requests.votes({ height: 2, round: 0 }, 'peer')).proposals, []);
  });

  it(`bound: ${MAX_PULLS} questions under way; silent peers hold up no other`, async () => {
    for (let i = 0; i < MAX_PULLS - 1; i++) node.network.scripts.set(`silent-${i}`, { votes: stall });
    const vote = node.vote(1, 'precommit', 0, null);
    node.network.scripts.set('honest', { votes: () => ({ votes: [vote], proposals: [] }) });
    await node.start();
    await node.hear([node.vote(0, 'prevote', 0, null)]);
    for (let i = 0; i < 6; i++) await node.advance(500);
    assert.ok(node.chain.engine.machine.votes.has(vote));
    node.network.scripts.set('honest', { votes: stall });
    for (let i = 0; i < 20; i++) await node.advance(500);
    await settle();
    const silent = node.network.asked.filter(({ method, peer }) => method === 'votes' && peer !== 'honest');
    // Each was also asked once when it came.
    assert.ok(silent.length <= 2 * MAX_PULLS, String(silent.length));
  });

  it('a peer whose answer holds a forgery is reported', async () => {
    const forged = bad(node.vote(1, 'prevote', 0, null));
    node.network.scripts.set('liar', {
      status: () => assert.fail(),
      votes: () => ({ votes: [forged], proposals: [] }),
    });
    await node.start();
    await node.hear([node.vote(0, 'prevote', 0, null)]);
    for (let i = 0; i < 3; i++) await node.advance(500);
    assert.ok(node.network.reports.some(({ peer, action }) => peer === 'liar' && action === 'lie'));
  });

  it('who holds nothing of a height that stands still, or asks about a later one, is asked for its head', async () => {
    const asked = (peer: string): number =>
      node.network.asked.filter((question) => question.method === 'status' && question.peer === peer).length;
    node.network.scripts.set('follower', { votes: () => ({ votes: [], proposals: [] }) });
    node.network.scripts.set('asker', { votes: () => ({ votes: [node.vote(1, 'prevote', 0, null)], proposals: [] }) });
    await node.start();
    await node.hear([node.vote(0, 'prevote', 0, null)]);
    const before = { follower: asked('follower'), asker: asked('asker') };
    for (let i = 0; i < 6; i++) await node.advance(500);
    assert.ok(asked('follower') > before.follower);
    assert.equal(asked('asker'), before.asker);
    await node.chain.handlers.requests.votes({ height: 3, round: 0 }, 'asker');
    for (let i = 0; i < 3; i++) await node.advance(500);
    assert.ok(asked('asker') > before.asker);
  });
});
