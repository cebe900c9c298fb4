/** Output as it comes, and the waking of those who wait for it. */
import { concatBytes } from '../../bytes.ts';

interface Block {
  readonly start: number;
  readonly bytes: Uint8Array;
  used: number;
}

const MIN_BLOCK_BYTES = 256;
const MAX_BLOCK_BYTES = 64 * 1024;

/** Output of one attempt. It takes twice its length at most, however small the pieces that it comes in. */
export class OutputLog {
  readonly #blocks: Block[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(piece: Uint8Array): void {
    let last = this.#blocks.at(-1);
    if (last === undefined || last.used + piece.length > last.bytes.length) {
      const size = Math.max(piece.length, MIN_BLOCK_BYTES, Math.min(MAX_BLOCK_BYTES, this.#length));
      last = { start: this.#length, bytes: new Uint8Array(size), used: 0 };
      this.#blocks.push(last);
    }
    last.bytes.set(piece, last.used);
    last.used += piece.length;
    this.#length += piece.length;
  }

  /** What there is from a byte on, or the beginning of it; nothing at the end. */
  at(from: number): Uint8Array {
    const block = this.#blocks.findLast(({ start }) => start <= from);
    return block ? block.bytes.subarray(from - block.start, block.used) : new Uint8Array();
  }

  whole(): Uint8Array {
    return concatBytes(this.#blocks.map(({ bytes, used }) => bytes.subarray(0, used)));
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
