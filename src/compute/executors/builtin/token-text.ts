/** In the child: the text of tokens as they come. A character may span several tokens; it is held back until it is whole. */
import type { LlamaModel, Token } from 'node-llama-cpp';

/** A character has at most four bytes, and a token at least one. */
const MOST_PENDING = 4;
const CONTEXT = 4;

export class TokenText {
  readonly #model: LlamaModel;
  /** The tokens before: spaces between words depend on them. */
  #before: Token[];
  #pending: Token[] = [];

  constructor(model: LlamaModel, prompt: readonly Token[]) {
    this.#model = model;
    this.#before = prompt.slice(-CONTEXT);
  }

  push(token: Token): string {
    this.#pending.push(token);
    const text = this.#model.detokenize(this.#pending, false, this.#before);
    if (text.endsWith('\ufffd') && this.#pending.length < MOST_PENDING) return '';
    this.#before = [...this.#before, ...this.#pending].slice(-CONTEXT);
    this.#pending = [];
    return text;
  }

  /** What was held back and never became whole. */
  end(): string {
    return this.#pending.length === 0 ? '' : this.#model.detokenize(this.#pending, false, this.#before);
  }
}
