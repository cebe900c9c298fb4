/**
 * Text on its way out: whole characters, pieces of bounded size, an end at the texts to stop at and at the limit of
 * bytes. What may be the beginning of a text to stop at is held back until it is known.
 */
import { MAX_PIECE_BYTES } from './pieces.ts';

export type TextEnd = 'stop' | 'length';

export interface TextOutputOptions {
  readonly maxBytes: number;
  readonly stops: readonly string[];
  emit(bytes: Uint8Array): Promise<void>;
}

export class TextOutput {
  readonly #options: TextOutputOptions;
  #held = '';
  #bytesLeft: number;

  constructor(options: TextOutputOptions) {
    this.#options = options;
    this.#bytesLeft = options.maxBytes;
  }

  /** Resolves when more may come; to why not, when the output has ended. */
  async push(text: string): Promise<TextEnd | null> {
    this.#held += text;
    const stopAt = this.#firstStop();
    const sure = this.#held.length - this.#undecided();
    // One that began before it may be about to end: then that one is where the text stops.
    if (stopAt !== null && stopAt <= sure) {
      const last = this.#held.slice(0, stopAt);
      this.#held = '';
      return (await this.#send(last)) ?? 'stop';
    }
    const decided = this.#held.slice(0, sure);
    this.#held = this.#held.slice(sure);
    return this.#send(decided);
  }

  /** Hands over what was held back. */
  async end(): Promise<TextEnd | null> {
    const stopAt = this.#firstStop();
    const last = this.#held.slice(0, stopAt ?? undefined);
    this.#held = '';
    return (await this.#send(last)) ?? (stopAt === null ? null : 'stop');
  }

  #firstStop(): number | null {
    let first: number | null = null;
    for (const stop of this.#options.stops) {
      const at = this.#held.indexOf(stop);
      if (at !== -1 && (first === null || at < first)) first = at;
    }
    return first;
  }

  /** Length of the tail that later text may turn into a text to stop at, or that is half a surrogate pair. */
  #undecided(): number {
    const last = this.#held.charCodeAt(this.#held.length - 1);
    let longest = last >= 0xd800 && last <= 0xdbff ? 1 : 0;
    for (const stop of this.#options.stops) {
      for (let size = Math.min(stop.length - 1, this.#held.length); size > longest; size--) {
        if (this.#held.endsWith(stop.slice(0, size))) longest = size;
      }
    }
    return longest;
  }

  async #send(text: string): Promise<TextEnd | null> {
    let bytes: Uint8Array = new TextEncoder().encode(text);
    const cut = bytes.length > this.#bytesLeft;
    if (cut) bytes = bytes.subarray(0, wholeCharacters(bytes, this.#bytesLeft));
    this.#bytesLeft -= bytes.length;
    while (bytes.length > 0) {
      const size = wholeCharacters(bytes, MAX_PIECE_BYTES);
      await this.#options.emit(bytes.slice(0, size));
      bytes = bytes.subarray(size);
    }
    return cut ? 'length' : null;
  }
}

/** The longest beginning of at most `limit` bytes that ends between characters. */
function wholeCharacters(bytes: Uint8Array, limit: number): number {
  if (bytes.length <= limit) return bytes.length;
  let size = limit;
  while (size > 0 && ((bytes[size] ?? 0) & 0xc0) === 0x80) size -= 1;
  return size;
}
