/** The pure attempt and ledger, under whatever comes in whatever order. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { signAssignment } from '../../../../src/chain/market/assignment.ts';
import { signJob } from '../../../../src/chain/market/job.ts';
import { dueUait } from '../../../../src/chain/market/price.ts';
import { signVoucher } from '../../../../src/chain/modules/compute/voucher.ts';
import type { AttemptEffect, AttemptInput, AttemptState } from '../../../../src/compute/miner/attempt.ts';
import { openAttempt, stepAttempt } from '../../../../src/compute/miner/attempt.ts';
import type { Ledger } from '../../../../src/compute/miner/ledger.ts';
import { creditOf, owedUait, takingOf, withDue, withVoucher } from '../../../../src/compute/miner/ledger.ts';
import { headWithin } from '../../../../src/compute/miner/split.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { signer } from '../../../util/chain-fixture.ts';
import { addressOfName } from '../../chain/modules/compute/market.ts';
import { CLIENT, MINER, PRICE } from './world.ts';

const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(1) };
const rules = { hasher: nativeCrypto, chain, signer: signer(MINER) };
const session = signer('session');
const AGREEMENT = new Uint8Array(32).fill(2);
const HASH = new Uint8Array(32).fill(3);
const CAP_UAIT = 40_000;
const INPUT_BYTES = 64;

function attemptOf(number: number, baseUait: number, maxUait: number, creditUait: number): AttemptState {
  const job = signJob(chain, session, {
    ...{ client: addressOfName(CLIENT), nonce: HASH, kind: 'llm.chat', model: '', inputHash: HASH },
    ...{ inputBytes: INPUT_BYTES, maxOutputBytes: 6_000, maxPriceUait: 1e6, createdAtMs: 1 },
    ...{ queueMs: 1_000, executionMs: 1_000, totalMs: 1_000 },
  });
  const assignment = signAssignment(chain, session, {
    ...{ job: HASH, attempt: number, agreement: AGREEMENT, quote: HASH, miner: addressOfName(MINER) },
    ...{ baseUait, maxUait, executionMs: 1_000, sealTo: HASH, single: false },
  });
  const quote = { kind: 'llm.chat', model: 'm', modelDigest: null, price: PRICE, tickUait: 1024 };
  return openAttempt(
    { id: Uint8Array.of(number, ...HASH.subarray(1)), job, assignment, open: HASH, quote },
    creditUait,
  );
}

type Move =
  | { readonly type: 'input' | 'stop' | 'give-up' | 'end' | 'break' | 'next' }
  | { readonly type: 'credit'; readonly moreUait: number }
  | { readonly type: 'piece'; readonly bytes: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('piece' as const), bytes: fc.integer({ min: 1, max: 3_000 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant('credit' as const), moreUait: fc.integer({ min: -500, max: 4_000 }) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constantFrom('input' as const, 'end' as const, 'next' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('stop' as const, 'give-up' as const, 'break' as const) }) },
);

class Model {
  state: AttemptState;
  ledger: Ledger;
  number = 1;
  /** Highest credit that is on the disk, in effects so far. */
  keptUait: number;
  pieceWaits = false;

  constructor() {
    this.ledger = {
      ...{ agreement: AGREEMENT, client: addressOfName(CLIENT), signer: session.publicKey },
      ...{ capUait: CAP_UAIT, paidUait: 0, expiresAtMs: 1e9, chainState: 'open', dueUait: 0, active: null },
      voucher: signVoucher(chain, session, { agreement: AGREEMENT, creditUait: 2_000, seen: HASH }),
      ...{ isSingle: false, receipts: [], awaitedUntilMs: 0, lastUsedMs: 0 },
    };
    this.state = attemptOf(1, 0, 8_000, creditOf(this.ledger));
    this.keptUait = creditOf(this.ledger);
  }

  play(each: Move): void {
    switch (each.type) {
      case 'input':
        this.#step({ type: 'input', bytes: INPUT_BYTES, isWhole: true });
        this.#step({ type: 'content', fault: null, nowMs: 1 });
        return;
      case 'credit': {
        const creditUait = Math.max(0, this.ledger.voucher.creditUait + each.moreUait);
        const fields = { agreement: AGREEMENT, creditUait, seen: HASH };
        const before = this.ledger.voucher.creditUait;
        this.ledger = withVoucher(this.ledger, { ...this.ledger.voucher, ...fields });
        assert.ok(this.ledger.voucher.creditUait >= before);
        this.#step({ type: 'credit', creditUait: creditOf(this.ledger) - this.#baseUait });
        return;
      }
      case 'piece':
        // A back end hands over one after the other.
        if (this.pieceWaits || this.state.phase !== 'running' || this.state.stopping) return;
        this.pieceWaits = true;
        this.#step({ type: 'piece', bytes: new Uint8Array(each.bytes) });
        return;
      case 'end':
        if (this.pieceWaits) return;
        this.#step({ type: 'finished', finish: 'stop', inputTokens: 1, outputTokens: 2, outputHash: HASH, nowMs: 2 });
        return;
      case 'break':
        this.#step({ type: 'broke', code: 'EXECUTOR', text: 'broke', outputHash: HASH, nowMs: 2 });
        return;
      case 'stop':
        this.#step({ type: 'stop' });
        return;
      case 'give-up':
        this.#step({ type: 'give-up', code: 'TIMEOUT', text: 'late' });
        return;
      case 'next':
        this.#next();
        return;
    }
  }

  /** The client's base is never below what is due. */
  #next(): void {
    if (this.state.phase === 'input' || this.state.phase === 'running') return;
    const baseUait = this.ledger.voucher.creditUait;
    const first = dueUait(PRICE, INPUT_BYTES, 0) + 1024;
    const creditUait = baseUait + first;
    if (creditUait > CAP_UAIT) return;
    this.ledger = withVoucher(this.ledger, { ...this.ledger.voucher, creditUait });
    this.number += 1;
    this.pieceWaits = false;
    this.state = attemptOf(this.number, baseUait, 8_000, creditOf(this.ledger) - baseUait);
    this.keptUait = creditOf(this.ledger);
  }

  get #baseUait(): number {
    return this.state.terms.assignment.assignment.baseUait;
  }

  #step(input: AttemptInput): void {
    const { state, effects } = stepAttempt(rules, this.state, input);
    this.state = state;
    for (const effect of effects) this.#take(effect);
    assert.ok(state.dueUait <= Math.max(state.creditUait, 0), 'due exceeds credit');
    assert.ok(owedUait(this.ledger) <= creditOf(this.ledger), 'all that is due exceeds the highest voucher');
    const taking = takingOf({ ...this.ledger, chainState: 'closing' }, 0, 0, false);
    assert.ok((taking?.totalUait ?? 0) <= creditOf(this.ledger));
  }

  #take(effect: AttemptEffect): void {
    switch (effect.type) {
      case 'due':
        this.ledger = { ...this.ledger, active: { attempt: this.state.terms.id, dueUait: effect.dueUait } };
        return;
      case 'over':
        this.ledger = withDue(this.ledger, effect.dueUait, 5, effect.receipt);
        return;
      case 'keep':
        this.keptUait = creditOf(this.ledger);
        return;
      case 'output':
        assert.ok(owedUait(this.ledger) <= this.keptUait, 'sent before the voucher that pays for it was kept');
        return;
      case 'go':
        this.pieceWaits = false;
        return;
      case 'abort':
        this.pieceWaits = false;
        return;
      default:
        return;
    }
  }
}

describe('attempt', () => {
  it('never is due for more than the highest voucher, over all attempts, and sends nothing that is not paid and kept', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const model = new Model();
        for (const each of moves) model.play(each);
      }),
      { numRuns: 150 },
    );
  });

  it('cuts output where credit ends, at a whole character', () => {
    const text = new TextEncoder().encode('aé€😀');
    const cuts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((most) => headWithin(text, most).length);
    assert.deepEqual(cuts, [0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10]);
    assert.equal(headWithin(new Uint8Array(5).fill(0x80), 2).length, 2);
  });
});
