/** Who wants to hear of something. A listener that fails must not stop the chain that tells it. */
import type { Logger } from '../log.ts';

export class Listeners<T> {
  readonly #topic: string;
  readonly #log: Logger;
  readonly #listeners = new Set<(value: T) => void>();

  /** @param topic what they listen for, for the log */
  constructor(topic: string, log: Logger) {
    this.#topic = topic;
    this.#log = log;
  }

  /** The returned function ends it. */
  add(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  tell(value: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (error) {
        this.#log.error('a listener failed', { topic: this.#topic, error });
      }
    }
  }
}
