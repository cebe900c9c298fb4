/** Height after height of the validators module by itself: who proposes, without blocks and transactions. */
import type { PublicKey } from '../../src/bytes.ts';
import { getAbsences } from '../../src/chain/modules/validators-absence.ts';
import type { Absence } from '../../src/chain/modules/validators-absence.ts';
import { validators } from '../../src/chain/modules/validators.ts';
import type { Change, ValidatorSets } from '../../src/chain/modules/validators-state.ts';
import { getQueue, getSets, setQueue, setSets } from '../../src/chain/modules/validators-state.ts';
import type { StateChanges, StateKey } from '../../src/chain/state.ts';
import { memoryState, StateOverlay } from '../../src/chain/state.ts';
import type { Validator, ValidatorSet } from '../../src/chain/validator-set.ts';
import {
  createValidatorSet,
  proposerOf,
  rotate,
  validatorIndex,
  withDemotions,
} from '../../src/chain/validator-set.ts';
import type { Certificate } from '../../src/chain/votes.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { fixtureGenesis } from './chain-fixture.ts';

const { chain, params } = fixtureGenesis({ timeMs: 1_700_000_000_000 });

/** Of one filled key a validator, in this order. */
export function setOfPowers(powers: readonly number[]): ValidatorSet {
  const validatorOf = (power: number, i: number): Validator => ({
    publicKey: new Uint8Array(32).fill(i + 1),
    power,
    operator: new Uint8Array(20).fill(i + 1),
    name: `v${i}`,
    priority: 0,
    demoted: false,
  });
  return createValidatorSet(powers.map(validatorOf));
}

export interface HeightOutcome {
  readonly height: number;
  readonly set: ValidatorSet;
  readonly proposer: PublicKey;
  /** Of the certificate in the next block. */
  readonly round: number;
}

export class ValidatorHeights {
  readonly outcomes: HeightOutcome[] = [];
  readonly #entries = new Map<StateKey, Uint8Array | undefined>();
  readonly #state = memoryState(this.#entries);
  #lastCommit: Certificate | null = null;

  /** `demoted`: at height 1, without a reason. */
  constructor(set: ValidatorSet, demoted: readonly number[] = []) {
    const current = withDemotions(set, (validator) => demoted.includes(set.validators.indexOf(validator)));
    this.#change((state) => {
      setSets(state, { last: null, proposer: null, current, next: rotate(set).set });
    });
  }

  /** The one in work. */
  get height(): number {
    return this.outcomes.length + 1;
  }

  get sets(): ValidatorSets {
    return getSets(this.#state);
  }

  get absences(): readonly Absence[] {
    return getAbsences(this.#state);
  }

  /** By index. */
  get demoted(): number[] {
    return this.sets.current.validators.flatMap(({ demoted }, i) => (demoted ? [i] : []));
  }

  queue(...changes: Change[]): void {
    this.#change((state) => {
      setQueue(state, [...getQueue(state), ...changes]);
    });
  }

  /**
   * Ends the height with a block of that proposer, by default that of the round; the certificate is of the next block.
   * Signers are all by default.
   *
   * @returns what the block changed in the state
   */
  commit({ round = 0, signers, proposer }: Partial<Pick<Certificate, 'round' | 'signers'>> & { proposer?: PublicKey }) {
    const { height } = this;
    const set = this.sets.current;
    const maker = proposer ?? proposerOf(set, round).publicKey;
    const block = { chain, params, crypto: nativeCrypto, height, timeMs: 0, proposer: maker };
    const lastCommit = this.#lastCommit;
    const changes = this.#change((state) => {
      validators.endBlock?.({ ...block, lastCommit, state }, { feesUait: 0 });
    });
    this.outcomes.push({ height, set, proposer: maker, round });
    const signed = signers ?? set.validators.map((_, i) => i);
    const signatures = signed.map(() => new Uint8Array(64));
    const blockId = new Uint8Array(32);
    this.#lastCommit = { type: 'precommit', height, round, blockId, signers: signed, signatures };
    return changes;
  }

  /** Heights from `from` on that needed a second round. */
  late(from = 1): HeightOutcome[] {
    return this.outcomes.filter(({ height, round }) => height >= from && round > 0);
  }

  /** Blocks made by one. */
  proposed(index: number, from = 1): number {
    return this.outcomes.filter(
      ({ height, set, proposer }) => height >= from && validatorIndex(set, proposer) === index,
    ).length;
  }

  #change(act: (state: StateOverlay) => void): StateChanges {
    const overlay = new StateOverlay(this.#state);
    act(overlay);
    for (const [key, value] of overlay.changes) this.#entries.set(key, value);
    return overlay.changes;
  }
}
