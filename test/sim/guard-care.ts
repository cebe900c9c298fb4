/** What becomes of a machine's sign guard when its files are gone, and the word that its operator gives then. */
import type { SignGuard } from '../../src/store/guard.ts';
import { applySignAbove } from '../../src/store/guard-advice.ts';

export interface CareModules {
  fail(message: string): void;
  count(name: string): void;
}

export class GuardCare {
  readonly #modules: CareModules;
  /** Newest block that a machine with this key ever held: the key signed at most one height above. */
  #topHeight = 0;
  #firstSigned = Infinity;
  #isLost = false;
  /** The word is being written, or was when the process ended: files in which a write was cut off. */
  #isWordOpen = false;
  #word: number | null = null;
  #floor = 0;
  /** While true, a crash is likely. */
  isWriting = false;

  constructor(modules: CareModules) {
    this.#modules = modules;
  }

  /** The files are gone, and the word of the operator was not taken yet: nothing is signed. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** A process that has opened the guard signs nothing up to this height. */
  get floor(): number {
    return this.#floor;
  }

  /**
   * The next process signs nothing up to this height: a word that was cut off costs one more.
   *
   * @param headHeight of the block store
   */
  floorAfterStart(headHeight: number): number {
    return this.#isWordOpen ? Math.max(this.#word ?? 0, headHeight) + 1 : this.#floor;
  }

  /** Until it signs above the word, every start may put it off by a height. */
  get isWordOpen(): boolean {
    return this.#isWordOpen;
  }

  /** Height given with `--sign-above` at every start, until it is taken away; null without. */
  get word(): number | null {
    return this.#word;
  }

  /** @param headHeight of the block store, which knows of the guard if the key signed before that block was written */
  isKnownAt(headHeight: number): boolean {
    return headHeight >= this.#firstSigned;
  }

  onCommit(height: number): void {
    this.#topHeight = Math.max(this.#topHeight, height);
  }

  /** A word left in place is taken for a new one. */
  onLoss(): void {
    this.#isLost = true;
    this.#isWordOpen = this.#word !== null;
    this.#modules.count(this.#word === null ? 'guard lost' : 'guard lost with a word left in place');
  }

  /** An operator who does it right: all that this key can have signed is not above, and some heights more may be given. */
  giveWord(spareHeights: number): void {
    this.#word = this.#topHeight + 1 + spareHeights;
    this.#isWordOpen = true;
  }

  /**
   * Judges a guard that was opened, and gives it the word as every start does.
   *
   * @param headHeight of the block store
   */
  async open(guard: SignGuard, headHeight: number): Promise<void> {
    const { status } = guard;
    const found = status.kind;
    if (this.#isLost && !this.#isWordOpen && found !== 'stale') {
      this.#modules.fail(`guard: it is gone, and found ${found}`);
    }
    const isExplained = found === 'stale' ? this.#isLost : found === 'uncertain' && this.#isWordOpen;
    if ('reason' in status && !isExplained) this.#modules.fail(`guard: found ${found}: ${status.reason}`);
    if (this.#isWordOpen && found === 'uncertain') this.#modules.count('word cut off');
    if (this.#word !== null) await this.#give(guard, this.#word);
    const isReady = guard.status.kind === 'ready';
    if (guard.status.kind !== 'stale') this.#isLost = false;
    this.#floor = isReady || this.#isLost ? 0 : guard.signAbove;
    // A word that was cut off costs one height more.
    if (this.#floor > Math.max(this.#word ?? 0, headHeight) + 1) {
      this.#modules.fail(`guard: signs above ${this.#floor}, the word was ${this.#word ?? 'not given'}`);
    }
  }

  async #give(guard: SignGuard, word: number): Promise<void> {
    const before = guard.status;
    this.isWriting = true;
    const isTaken = await applySignAbove(guard, word);
    this.isWriting = false;
    if (isTaken) this.#modules.count('word taken');
    if (isTaken && before.kind === 'ready' && before.record.height > word) {
      this.#modules.fail(`guard: the word ${word} undoes signatures at ${before.record.height}`);
    }
  }

  /** A vote or proposal of the own key leaves. @returns whether it is the first since the word */
  onSigned(height: number): boolean {
    this.#firstSigned = Math.min(height, this.#firstSigned);
    if (this.#isLost) this.#modules.fail(`guard: it is gone, and signs at ${height}`);
    if (height <= Math.max(this.#floor, this.#word ?? 0)) {
      this.#modules.fail(`guard: signs at ${height}, not above ${Math.max(this.#floor, this.#word ?? 0)}`);
    }
    const isFirst = this.#isWordOpen;
    this.#isWordOpen = false;
    if (isFirst) this.#modules.count('signed above the word');
    return isFirst;
  }

  /** The operator takes the word away, which then is in the guard. */
  dropWord(): void {
    this.#word = null;
  }

  /** A whole folder was put back, guard and blocks of one time. */
  onRestore(): void {
    this.#isLost = false;
    this.#isWordOpen = false;
    this.#firstSigned = Infinity;
  }
}
