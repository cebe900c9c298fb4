/** The desk's present state, for all who step it. */
import type { DeskEffect, DeskInput, DeskState } from './desk.ts';
import { freeSlots, openDesk, stepDesk } from './desk.ts';

export class Slots {
  #state: DeskState;
  readonly #onChange: () => void;

  constructor(slots: number, onChange: () => void) {
    this.#state = openDesk(slots);
    this.#onChange = onChange;
  }

  get state(): DeskState {
    return this.#state;
  }

  free(nowMs: number): number {
    return freeSlots(this.#state, nowMs);
  }

  step(input: DeskInput): DeskEffect | undefined {
    const { state, effects } = stepDesk(this.#state, input);
    this.#state = state;
    this.#onChange();
    return effects[0];
  }
}
