/** Output as it comes, and the waking of those who wait for it. */
import { concatBytes } from '../../bytes.ts';

/** Output of one attempt, in pieces. */
export class OutputLog {
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get pieceCount(): number {
    return this.#pieces.length;
  }

  piece(i: number): Uint8Array | undefined {
    return this.#pieces[i];
  }

  push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  whole(): Uint8Array {
    const [only] = this.#pieces;
    return only !== undefined && this.#pieces.length === 1 ? only : concatBytes(this.#pieces);
  }

  slice(from: number, to: number): Uint8Array {
    return this.whole().subarray(from, to);
  }
}

/** Wakes all who wait, again and again. */
export class Signal {
  #wake: (() => void) | null = null;
  #next: Promise<void> | null = null;

  fire(): void {
    this.#wake?.();
    this.#wake = null;
    this.#next = null;
  }

  next(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    return this.#next;
  }
}
