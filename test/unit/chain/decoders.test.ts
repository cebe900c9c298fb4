import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeAccount, encodeAccount } from '../../../src/chain/accounts.ts';
import type { Block, Header } from '../../../src/chain/block.ts';
import {
  decodeBlock,
  decodeHeader,
  encodeBlock,
  encodeHeader,
  MAX_BLOCK_TXS,
  writeHeader,
} from '../../../src/chain/block.ts';
import type { CodecFault } from '../../../src/chain/codec.ts';
import { MAX_U64, Reader, Writer } from '../../../src/chain/codec.ts';
import type { Evidence } from '../../../src/chain/evidence.ts';
import { decodeEvidence, encodeEvidence, MAX_EVIDENCE } from '../../../src/chain/evidence.ts';
import type { Transfer } from '../../../src/chain/modules/bank.ts';
import { transfer } from '../../../src/chain/modules/bank.ts';
import type { Agreement } from '../../../src/chain/modules/compute/agreement.ts';
import { decodeAgreement, encodeAgreement } from '../../../src/chain/modules/compute/agreement.ts';
import type { ReleaseAgreement } from '../../../src/chain/modules/compute/agreement-miner.ts';
import { releaseAgreement } from '../../../src/chain/modules/compute/agreement-miner.ts';
import type { Change } from '../../../src/chain/modules/validators-state.ts';
import { proposeChange, voteChange } from '../../../src/chain/modules/validators.ts';
import type { Receipt } from '../../../src/chain/receipt.ts';
import { decodeReceipt, encodeReceipt, MAX_EVENTS } from '../../../src/chain/receipt.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { assembleTransaction, decodeTransaction, MAX_PAYLOAD_BYTES } from '../../../src/chain/tx.ts';
import type { Validator, ValidatorSet } from '../../../src/chain/validator-set.ts';
import {
  createValidatorSet,
  decodeValidatorSet,
  encodeValidatorSet,
  MAX_POWER,
  MAX_VALIDATORS,
} from '../../../src/chain/validator-set.ts';
import type { Certificate, Proposal, Vote } from '../../../src/chain/votes.ts';
import {
  decodeCertificate,
  decodeVote,
  encodeCertificate,
  encodeVote,
  readProposal,
  writeProposal,
} from '../../../src/chain/votes.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { CASES } from '../../util/cases.ts';

const SAMPLES = 64;

/** Cheap numbers from a seed (mulberry32), so that a case costs microseconds and is told by its seed alone. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** Up to 2^53 − 1, all magnitudes alike. */
  u64(): number {
    return this.below(8) === 0 ? MAX_U64 : this.below(2 ** this.below(54));
  }

  array<T>(length: number, make: (i: number) => T): T[] {
    return Array.from({ length }, (_, i) => make(i));
  }
}

function vote(dice: Dice): Vote {
  return {
    type: dice.below(2) === 0 ? 'prevote' : 'precommit',
    height: dice.u64(),
    round: dice.below(2 ** 32),
    blockId: dice.below(3) === 0 ? null : dice.bytes(32),
    validator: dice.bytes(32),
    signature: dice.bytes(64),
  };
}

function proposal(dice: Dice): Proposal {
  const round = dice.below(1000);
  return {
    height: dice.u64(),
    round,
    polRound: dice.below(round + 1) - 1,
    blockId: dice.bytes(32),
    proposer: dice.bytes(32),
    signature: dice.bytes(64),
  };
}

function certificate(dice: Dice): Certificate {
  const signers = dice.array(MAX_VALIDATORS, (i) => i).filter(() => dice.below(40) === 0);
  return {
    type: dice.below(2) === 0 ? 'prevote' : 'precommit',
    height: dice.u64(),
    round: dice.below(2 ** 32),
    blockId: dice.bytes(32),
    signers,
    signatures: signers.map(() => dice.bytes(64)),
  };
}

function evidence(dice: Dice): Evidence {
  return dice.below(2) === 0
    ? { kind: 'duplicate-vote', a: vote(dice), b: vote(dice) }
    : { kind: 'duplicate-proposal', a: proposal(dice), b: proposal(dice) };
}

function header(dice: Dice): Header {
  return {
    version: dice.below(65536),
    chainId: 'ait-devnet'.slice(0, dice.below(11)),
    height: dice.u64(),
    timeMs: dice.u64(),
    parent: dice.bytes(32),
    proposer: dice.bytes(32),
    txRoot: dice.bytes(32),
    receiptsRoot: dice.bytes(32),
    stateRoot: dice.bytes(32),
    validatorsHash: dice.bytes(32),
    nextValidatorsHash: dice.bytes(32),
    lastCommitHash: dice.bytes(32),
    evidenceRoot: dice.bytes(32),
  };
}

function transaction(dice: Dice): Transaction {
  const fields = {
    version: 1,
    type: dice.below(65536),
    sender: dice.bytes(32),
    nonce: dice.u64(),
    feeUait: dice.u64(),
    validUntilHeight: dice.u64(),
    payload: dice.bytes(dice.below(40)),
  };
  return assembleTransaction(nativeHasher, fields, dice.bytes(64));
}

function block(dice: Dice): Block {
  return {
    header: header(dice),
    lastCommit: dice.below(3) === 0 ? null : certificate(dice),
    evidence: dice.array(dice.below(3), () => evidence(dice)),
    txs: dice.array(dice.below(4), () => transaction(dice)),
  };
}

function receipt(dice: Dice): Receipt {
  return {
    txId: dice.bytes(32),
    code: dice.below(65536),
    feeUait: dice.u64(),
    events: dice.array(dice.below(4), () => ({
      module: dice.below(256),
      kind: dice.below(256),
      data: dice.bytes(dice.below(20)),
    })),
  };
}

function validatorSet(dice: Dice): ValidatorSet {
  const validators = dice.array(
    1 + dice.below(5),
    (i): Validator => ({
      publicKey: dice.bytes(32),
      power: 1 + dice.below(MAX_POWER),
      operator: dice.bytes(20),
      name: `validator ${i}`.slice(0, dice.below(12)),
      priority: dice.u64() - dice.u64(),
      demoted: dice.below(2) === 1,
    }),
  );
  return createValidatorSet(validators);
}

function change(dice: Dice): Change {
  const publicKey = dice.bytes(32);
  switch (dice.below(3)) {
    case 0:
      return {
        kind: 'add',
        publicKey,
        operator: dice.bytes(20),
        name: 'n'.repeat(dice.below(33)),
        proof: dice.bytes(64),
      };
    case 1:
      return { kind: 'remove', publicKey };
    default:
      return { kind: 'rotate', publicKey, newKey: dice.bytes(32), proof: dice.bytes(64) };
  }
}

function agreement(dice: Dice): Agreement {
  const states: Agreement['state'][] = [
    { name: 'open' },
    { name: 'closing', sinceHeight: dice.u64(), sinceMs: dice.u64() },
    { name: 'closed', atHeight: dice.u64(), atMs: dice.u64(), refundedUait: dice.u64() },
  ];
  return {
    client: dice.bytes(20),
    signer: dice.bytes(32),
    miner: dice.bytes(20),
    capUait: dice.u64(),
    paidUait: dice.u64(),
    expiresAtMs: dice.u64(),
    receiptsRoot: dice.bytes(32),
    state: states[dice.below(3)] ?? { name: 'open' },
  };
}

function release(dice: Dice): ReleaseAgreement {
  const id = dice.bytes(32);
  const voucher = {
    agreement: id,
    creditUait: dice.u64(),
    seen: dice.bytes(32),
    signer: dice.bytes(32),
    signature: dice.bytes(64),
  };
  const taking = dice.below(3) === 0 ? null : { totalUait: dice.u64(), voucher };
  return { agreement: id, receiptsRoot: dice.bytes(32), taking };
}

interface Subject<T> {
  readonly make: (dice: Dice) => T;
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => T;
}

/** Keeps T between the three functions of a subject and out of the table. */
function subject<T>(make: Subject<T>['make'], encode: Subject<T>['encode'], decode: Subject<T>['decode']) {
  return { make, encode: (value: unknown) => encode(value as T), decode } satisfies Subject<unknown>;
}

const subjects: Readonly<Record<string, Subject<unknown>>> = {
  vote: subject(vote, encodeVote, decodeVote),
  proposal: subject(
    proposal,
    (value) => {
      const writer = new Writer();
      writeProposal(writer, value);
      return writer.finish();
    },
    (bytes) => {
      const reader = new Reader(bytes, 'proposal');
      const value = readProposal(reader);
      reader.end();
      return value;
    },
  ),
  certificate: subject(certificate, encodeCertificate, decodeCertificate),
  evidence: subject(evidence, encodeEvidence, decodeEvidence),
  header: subject(header, encodeHeader, decodeHeader),
  transaction: subject(
    transaction,
    (tx) => assembleTransaction(nativeHasher, tx, tx.signature).bytes,
    (bytes) => decodeTransaction(nativeHasher, bytes),
  ),
  block: subject(block, encodeBlock, (bytes) => decodeBlock(nativeHasher, bytes)),
  receipt: subject(receipt, encodeReceipt, decodeReceipt),
  'validator set': subject(validatorSet, encodeValidatorSet, decodeValidatorSet),
  account: subject((dice) => ({ balanceUait: dice.u64(), nonce: dice.u64() }), encodeAccount, decodeAccount),
  transfer: subject(
    (dice): Transfer => ({ to: dice.bytes(20), amountUait: dice.u64(), memo: dice.bytes(dice.below(30)) }),
    transfer.encode,
    transfer.decode,
  ),
  'validator change': subject(change, proposeChange.encode, proposeChange.decode),
  agreement: subject(agreement, encodeAgreement, decodeAgreement),
  'release of an agreement': subject(release, releaseAgreement.encode, releaseAgreement.decode),
  'validator vote': subject((dice) => ({ proposal: dice.u64() }), voteChange.encode, voteChange.decode),
};

/** Random bytes, or a valid encoding with bits flipped, bytes changed, cut, repeated, moved or added. */
function mutate(dice: Dice, samples: readonly Uint8Array[]): Uint8Array {
  const sample = (): Uint8Array => samples[dice.below(samples.length)] ?? new Uint8Array();
  if (dice.below(20) === 0) return dice.bytes(dice.below(400));
  let bytes = sample().slice();
  for (let rounds = 1 + dice.below(2); rounds > 0; rounds--) {
    const at = dice.below(bytes.length);
    switch (dice.below(7)) {
      case 0:
      case 1:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
        break;
      case 2:
        bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][dice.below(6)] ?? 0;
        break;
      case 3:
        bytes = bytes.slice(0, at);
        break;
      case 4:
        bytes = Uint8Array.of(...bytes, ...dice.bytes(1 + dice.below(4)));
        break;
      case 5:
        bytes = Uint8Array.of(...bytes.subarray(0, at), ...bytes.subarray(at + 1 + dice.below(70)));
        break;
      default:
        bytes = Uint8Array.of(...bytes.subarray(0, at), ...sample().subarray(at));
    }
    if (bytes.length === 0) break;
  }
  return bytes;
}

function rejects(run: () => unknown, ...reasons: CodecFault[]): void {
  assert.throws(run, (error) => {
    if (!isNodeError(error) || error.code !== 'CODEC') return false;
    return reasons.length === 0 || reasons.some((reason) => error.data['reason'] === reason);
  });
}

for (const [name, { make, encode, decode }] of Object.entries(subjects)) {
  describe(`decoder of a ${name}`, () => {
    const values = Array.from({ length: SAMPLES }, (_, seed) => make(new Dice(seed)));
    const samples = values.map(encode);

    it('returns what was encoded', () => {
      values.forEach((value, i) => {
        assert.deepEqual(decode(samples[i] ?? new Uint8Array()), value);
      });
    });

    it('rejects encodings cut at any byte, and bytes after them', () => {
      for (const bytes of samples.slice(0, 16)) {
        for (let end = 0; end < bytes.length; end++) rejects(() => decode(bytes.subarray(0, end)), 'truncated');
        rejects(() => decode(Uint8Array.of(...bytes, 0)), 'trailing');
      }
    });

    it('rejects anything else, or it is the one encoding of the value', () => {
      let accepted = 0;
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const bytes = mutate(new Dice(seed), samples);
          let value: unknown;
          try {
            value = decode(bytes);
          } catch (error) {
            if (isNodeError(error) && error.code === 'CODEC') return;
            throw error;
          }
          accepted += 1;
          assert.equal(Buffer.compare(encode(value), bytes), 0);
        }),
        { numRuns: CASES },
      );
      assert.ok(accepted > CASES / 20 && accepted < CASES, `${accepted} of ${CASES} accepted`);
    });
  });
}

describe('decoders of lists', () => {
  const dice = new Dice(1);

  it('reject counts above their caps before they read an item', () => {
    const some = new Writer().u8(2).u64(1).u32(0).fixed(dice.bytes(32), 32);
    rejects(
      () =>
        decodeCertificate(
          new Writer()
            .raw(some.finish())
            .u16(MAX_VALIDATORS + 1)
            .finish(),
        ),
      'over-cap',
    );
    rejects(() => decodeValidatorSet(new Writer().u16(MAX_VALIDATORS + 1).finish()), 'over-cap');
    const receiptHead = new Writer().fixed(dice.bytes(32), 32).u16(0).u64(1);
    rejects(() => decodeReceipt(receiptHead.u8(MAX_EVENTS + 1).finish()), 'over-cap');

    const writer = new Writer();
    writeHeader(writer, header(dice));
    const head = writer.finish();
    const body = (evidenceCount: number, txCount: number): Uint8Array =>
      new Writer().raw(head).bool(false).u16(evidenceCount).u32(txCount).finish();
    rejects(() => decodeBlock(nativeHasher, body(MAX_EVIDENCE + 1, 0)), 'over-cap');
    rejects(() => decodeBlock(nativeHasher, body(0, MAX_BLOCK_TXS + 1)), 'over-cap');
    rejects(() => decodeBlock(nativeHasher, body(0, 0xffff_ffff)), 'over-cap');
    rejects(() => decodeBlock(nativeHasher, body(MAX_EVIDENCE, 0)), 'truncated');
    rejects(() => decodeBlock(nativeHasher, body(0, MAX_BLOCK_TXS)), 'truncated');
  });

  it('reject a payload above its cap', () => {
    const [head, tail] = [transaction(dice).bytes.slice(0, 59), dice.bytes(64)];
    const tx = (size: number): Uint8Array => new Writer().raw(head).bytes32(new Uint8Array(size)).raw(tail).finish();
    assert.equal(decodeTransaction(nativeHasher, tx(MAX_PAYLOAD_BYTES)).payload.length, MAX_PAYLOAD_BYTES);
    rejects(() => decodeTransaction(nativeHasher, tx(MAX_PAYLOAD_BYTES + 1)), 'over-cap');
  });

  it('reject signers and validators out of order or twice', () => {
    const signatures = [dice.bytes(64), dice.bytes(64)];
    for (const signers of [
      [1, 0],
      [1, 1],
      [0, MAX_VALIDATORS],
    ]) {
      rejects(
        () => decodeCertificate(encodeCertificate({ ...certificate(dice), signers, signatures })),
        'non-canonical',
      );
    }
    const [a, b] = createValidatorSet(
      [1, 2].map((i) => ({
        publicKey: dice.bytes(32),
        power: i,
        operator: dice.bytes(20),
        name: '',
        priority: 0,
        demoted: false,
      })),
    ).validators;
    assert.ok(a && b);
    for (const validators of [
      [b, a],
      [a, a],
    ]) {
      rejects(() => decodeValidatorSet(encodeValidatorSet({ validators, totalPower: 3 })), 'non-canonical');
    }
    rejects(() => decodeValidatorSet(encodeValidatorSet({ validators: [], totalPower: 0 })), 'out-of-range');
    for (const power of [0, MAX_POWER + 1]) {
      rejects(() => decodeValidatorSet(encodeValidatorSet({ validators: [{ ...a, power }], totalPower: power })));
    }
  });

  it('reject a proposal whose polka is not of an earlier round', () => {
    const { decode, encode } = subjects['proposal'] as Subject<unknown>;
    for (const [round, polRound] of [
      [0, 0],
      [3, 3],
      [3, 4],
      [3, -2],
    ]) {
      rejects(() => decode(encode({ ...proposal(dice), round, polRound })), 'non-canonical');
    }
  });
});
