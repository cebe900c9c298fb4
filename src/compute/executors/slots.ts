/** How many jobs run at once; who comes beyond that is refused, not queued: the miner decides where jobs wait. */
import { NodeError } from '../../errors.ts';

export class Slots {
  readonly limit: number;
  #taken = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** @throws NodeError BUSY */
  async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.limit) {
      throw new NodeError('BUSY', `all ${this.limit} slots of the back end are taken`, { hint: 'try again later' });
    }
    this.#taken += 1;
    try {
      return await work();
    } finally {
      this.#taken -= 1;
    }
  }
}
