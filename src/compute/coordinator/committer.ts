/**
 * The one writer: rows of many jobs go to the disk together, in the order in which they were handed over. While one write
 * is under way the next one gathers; a later value of a key replaces an earlier one of the same write.
 */
import { bytesKey } from '../../bytes.ts';
import { toNodeError } from '../../errors.ts';
import type { NodeError } from '../../errors.ts';
import type { Row, Rows } from './ports.ts';

interface Write {
  readonly rows: Map<string, Row>;
  readonly done: Promise<void>;
}

export class Committer {
  readonly #rows: Rows;
  readonly #onFailure: (error: NodeError) => void;
  #gathering: Write | null = null;
  #last: Promise<void> = Promise.resolve();
  #failure: NodeError | null = null;

  constructor(rows: Rows, onFailure: (error: NodeError) => void) {
    this.#rows = rows;
    this.#onFailure = onFailure;
  }

  get failure(): NodeError | null {
    return this.#failure;
  }

  /** @returns resolves once they are kept @throws NodeError STORAGE, from then on at every call: nothing is sent after it */
  keep(rows: readonly Row[]): Promise<void> {
    const write = (this.#gathering ??= this.#begin());
    for (const row of rows) write.rows.set(bytesKey(row.key), row);
    return write.done;
  }

  /** All that was handed over is kept, or failed. */
  async idle(): Promise<void> {
    await this.#last.catch(() => undefined);
  }

  #begin(): Write {
    const rows = new Map<string, Row>();
    const done = this.#last.then(async () => {
      this.#gathering = null;
      if (this.#failure) throw this.#failure;
      try {
        await this.#rows.persist([...rows.values()]);
      } catch (error) {
        this.#failure = toNodeError(error);
        this.#onFailure(this.#failure);
        throw this.#failure;
      }
    });
    this.#last = done;
    // Those who wait for it learn of it; nobody may.
    done.catch(() => undefined);
    return { rows, done };
  }
}
