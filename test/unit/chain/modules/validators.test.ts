import assert from 'node:assert/strict';
import { equalBytes, toHex } from '../../../../src/bytes.ts';
import { addressOf } from '../../../../src/chain/address.ts';
import { duplicateVote } from '../../../../src/chain/evidence.ts';
import { pendingWork, verifyBlock } from '../../../../src/chain/execute.ts';
import type { Change } from '../../../../src/chain/modules/validators-state.ts';
import { getKeyRecord, getOpenProposals, getQueue, getSets } from '../../../../src/chain/modules/validators-state.ts';
import {
  MAX_OPEN_BY_OPERATOR,
  MAX_OPEN_PROPOSALS,
  proposeChange,
  validatorKeySignBytes,
  voteChange,
} from '../../../../src/chain/modules/validators.ts';
import { RECEIPT_CODES } from '../../../../src/chain/receipt.ts';
import { isNodeError } from '../../../../src/errors.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { ChainDriver } from '../../../util/chain-driver.ts';
import { fixtureGenesis, signer } from '../../../util/chain-fixture.ts';
import type { FixtureOptions } from '../../../util/chain-fixture.ts';

const NAMES = [...Array(9).keys()].map((i) => `validator-${i}`).concat('new-key', 'rotated-key');

function driver(options: FixtureOptions = {}): ChainDriver {
  return new ChainDriver(fixtureGenesis({ timeMs: 1_700_000_000_000, ...options }), NAMES);
}

const key = (name: string): Uint8Array => signer(name).publicKey;
const operator = (i: number): Uint8Array => addressOf(nativeCrypto, key(`operator-${i}`));

function proof(chain: ChainDriver, name: string, address: Uint8Array): Uint8Array {
  return signer(name).sign(validatorKeySignBytes(chain.genesis.chain, address));
}

function add(chain: ChainDriver, name = 'new-key'): Change {
  const address = operator(0);
  return { kind: 'add', publicKey: key(name), operator: address, name: 'n4', proof: proof(chain, name, address) };
}

const has = (chain: ChainDriver, which: 'last' | 'current' | 'next', name: string): boolean =>
  getSets(chain.tip.state)[which]?.validators.some(({ publicKey }) => equalBytes(publicKey, key(name))) ?? false;

function codeOf(chain: ChainDriver, ...txs: Parameters<ChainDriver['tx']>): number | undefined {
  return chain.commit([chain.tx(...txs)]).receipts[0]?.code;
}

describe('validators module', () => {
  it('adds a key two heights after a quorum of operators approved', () => {
    const chain = driver();
    assert.equal(codeOf(chain, proposeChange, 'operator-0', 0, add(chain)), RECEIPT_CODES.OK);
    assert.deepEqual(getOpenProposals(chain.tip.state), [1]);
    assert.equal(pendingWork(chain.tip).now, false);
    assert.equal(codeOf(chain, voteChange, 'operator-1', 0, { proposal: 1 }), RECEIPT_CODES.OK);
    assert.deepEqual(getOpenProposals(chain.tip.state), []);
    assert.deepEqual([has(chain, 'current', 'new-key'), has(chain, 'next', 'new-key')], [false, true]);
    assert.equal(pendingWork(chain.tip).now, true);
    chain.commit();
    assert.equal(has(chain, 'current', 'new-key'), true);
    assert.equal(pendingWork(chain.tip).now, false);
    assert.throws(() => {
      verifyBlock(chain.rules, chain.tip, chain.build().block);
    }, /empty/);
  });

  it('removes a key and keeps it from coming back', () => {
    const chain = driver();
    chain.commit([chain.tx(proposeChange, 'operator-0', 0, { kind: 'remove', publicKey: key('validator-2') })]);
    chain.commit([chain.tx(voteChange, 'operator-1', 0, { proposal: 1 })]);
    chain.commit();
    assert.equal(has(chain, 'current', 'validator-2'), false);
    assert.equal(
      codeOf(chain, proposeChange, 'operator-0', 1, add(chain, 'validator-2')),
      RECEIPT_CODES.NOT_APPLICABLE,
    );
    assert.equal(codeOf(chain, proposeChange, 'operator-2', 0, add(chain)), RECEIPT_CODES.NOT_AUTHORISED);
  });

  it('rotates a key, with power, operator and turn unchanged', () => {
    const chain = driver({ powers: [3, 2, 2] });
    const change: Change = {
      kind: 'rotate',
      publicKey: key('validator-0'),
      newKey: key('rotated-key'),
      proof: proof(chain, 'rotated-key', operator(0)),
    };
    chain.commit([chain.tx(proposeChange, 'operator-1', 0, change)]);
    chain.commit([chain.tx(voteChange, 'operator-0', 0, { proposal: 1 })]);
    chain.commit();
    const { current } = getSets(chain.tip.state);
    const rotated = current.validators.find(({ publicKey }) => equalBytes(publicKey, key('rotated-key')));
    assert.equal(rotated?.power, 3);
    assert.deepEqual(rotated.operator, operator(0));
    assert.equal(has(chain, 'current', 'validator-0'), false);
  });

  it('changes one key a height, however many were approved in a block', () => {
    const chain = driver({ powers: [1, 1, 1, 1] });
    chain.commit([
      chain.tx(proposeChange, 'operator-0', 0, { kind: 'remove', publicKey: key('validator-3') }),
      chain.tx(proposeChange, 'operator-0', 1, add(chain)),
    ]);
    chain.commit(
      [1, 2].flatMap((i) => [1, 2].map((proposal, n) => chain.tx(voteChange, `operator-${i}`, n, { proposal }))),
    );
    assert.equal(getQueue(chain.tip.state).length, 1);
    assert.deepEqual([has(chain, 'next', 'validator-3'), has(chain, 'next', 'new-key')], [false, false]);
    chain.commit();
    assert.equal(getQueue(chain.tip.state).length, 0);
    assert.equal(has(chain, 'next', 'new-key'), true);
    chain.commit();
    assert.equal(pendingWork(chain.tip).now, false);
  });

  it('refuses strangers, second votes, unknown proposals, foreign proofs and the last key', () => {
    const chain = driver();
    assert.equal(codeOf(chain, proposeChange, 'account-0', 0, add(chain)), RECEIPT_CODES.NOT_AUTHORISED);
    assert.equal(codeOf(chain, voteChange, 'operator-0', 0, { proposal: 9 }), RECEIPT_CODES.NOT_FOUND);
    const forged = { ...add(chain), proof: proof(chain, 'new-key', operator(1)) } as Change;
    assert.equal(codeOf(chain, proposeChange, 'operator-0', 1, forged), RECEIPT_CODES.BAD_PROOF);
    chain.commit([chain.tx(proposeChange, 'operator-0', 2, add(chain))]);
    assert.equal(codeOf(chain, voteChange, 'operator-0', 3, { proposal: 1 }), RECEIPT_CODES.ALREADY_DONE);
    const alone = driver({ powers: [1] });
    const remove: Change = { kind: 'remove', publicKey: key('validator-0') };
    assert.equal(codeOf(alone, proposeChange, 'operator-0', 0, remove), RECEIPT_CODES.NOT_APPLICABLE);
  });

  it('bound: open proposals of one operator', () => {
    const chain = driver();
    for (let nonce = 0; nonce < MAX_OPEN_BY_OPERATOR; nonce++) {
      assert.equal(codeOf(chain, proposeChange, 'operator-0', nonce, add(chain)), RECEIPT_CODES.OK);
    }
    assert.equal(codeOf(chain, proposeChange, 'operator-0', MAX_OPEN_BY_OPERATOR, add(chain)), RECEIPT_CODES.LIMIT);
  });

  it('bound: open proposals of all operators', () => {
    const operators = MAX_OPEN_PROPOSALS / MAX_OPEN_BY_OPERATOR;
    const chain = driver({ powers: Array<number>(operators + 1).fill(1), params: { max_block_txs: 1000 } });
    const txs = [...Array(operators).keys()].flatMap((i) =>
      [...Array(MAX_OPEN_BY_OPERATOR).keys()].map((nonce) =>
        chain.tx(proposeChange, `operator-${i}`, nonce, add(chain)),
      ),
    );
    assert.ok(chain.commit(txs).receipts.every(({ code }) => code === RECEIPT_CODES.OK));
    assert.equal(getOpenProposals(chain.tip.state).length, MAX_OPEN_PROPOSALS);
    assert.equal(codeOf(chain, proposeChange, `operator-${operators}`, 0, add(chain)), RECEIPT_CODES.LIMIT);
  });

  it('forgets proposals whose time is over', () => {
    const chain = driver({ params: { change_ttl_blocks: 2 } });
    chain.commit([chain.tx(proposeChange, 'operator-0', 0, add(chain))]);
    for (let nonce = 1; nonce < 3; nonce++) chain.commit([chain.tx(voteChange, 'operator-0', nonce, { proposal: 1 })]);
    assert.deepEqual(getOpenProposals(chain.tip.state), []);
    assert.equal(codeOf(chain, voteChange, 'operator-1', 0, { proposal: 1 }), RECEIPT_CODES.NOT_FOUND);
  });

  it('evidence removes the offender for good, once', () => {
    const chain = driver({ powers: [1, 1, 1, 1] });
    chain.commit([chain.tx(voteChange, 'operator-0', 0, { proposal: 1 })]);
    const offender = signer('validator-1');
    const ids = [new Uint8Array(32).fill(1), null];
    const [a, b] = ids.map((id) => chain.vote(offender, 1, 0, id, 'prevote'));
    assert.ok(a && b);
    const evidence = duplicateVote(a, b);
    const { block } = chain.commit([], [evidence]);
    assert.equal(block.evidence.length, 1);
    assert.equal(getKeyRecord(chain.tip.state, offender.publicKey)?.convicted, true);
    chain.commit();
    assert.equal(has(chain, 'current', 'validator-1'), false);
    assert.equal(chain.build([], [evidence]).block.evidence.length, 0);
  });

  it('evidence against the last validator convicts without taking its power', () => {
    const chain = driver({ powers: [1] });
    chain.commit([chain.tx(voteChange, 'operator-0', 0, { proposal: 1 })]);
    const offender = signer('validator-0');
    const [a, b] = [1, 2].map((fill) => chain.vote(offender, 1, 0, new Uint8Array(32).fill(fill)));
    assert.ok(a && b);
    chain.commit([], [duplicateVote(a, b)]);
    chain.commit([chain.tx(voteChange, 'operator-0', 1, { proposal: 1 })]);
    assert.equal(has(chain, 'current', 'validator-0'), true);
    assert.equal(getSets(chain.tip.state).current.totalPower, 1);
  });

  it('evidence of strangers, of other chains and too old makes a block invalid', () => {
    const chain = driver({ params: { evidence_max_age_blocks: 1 } });
    for (let nonce = 0; nonce < 3; nonce++) chain.commit([chain.tx(voteChange, 'operator-0', nonce, { proposal: 1 })]);
    const pair = (name: string, height: number) => {
      const [a, b] = [1, 2].map((fill) => chain.vote(signer(name), height, 0, new Uint8Array(32).fill(fill)));
      assert.ok(a && b);
      return duplicateVote(a, b);
    };
    assert.equal(chain.build([], [pair('account-0', 3)]).block.evidence.length, 0);
    assert.equal(chain.build([], [pair('validator-0', 1)]).block.evidence.length, 0);
    assert.equal(chain.build([], [pair('validator-0', 3)]).block.evidence.length, 1);
  });

  it('each payload has one JSON form and one encoding', () => {
    const chain = driver();
    const changes: Change[] = [
      add(chain),
      { kind: 'remove', publicKey: key('validator-0') },
      { kind: 'rotate', publicKey: key('validator-0'), newKey: key('new-key'), proof: new Uint8Array(64) },
    ];
    for (const change of changes) {
      const back = proposeChange.fromJson(proposeChange.toJson(proposeChange.decode(proposeChange.encode(change))));
      assert.equal(toHex(proposeChange.encode(back)), toHex(proposeChange.encode(change)));
    }
    assert.throws(
      () => proposeChange.fromJson({ action: 'promote' }),
      (error) => isNodeError(error) && error.code === 'INVALID_PARAMS',
    );
  });
});
