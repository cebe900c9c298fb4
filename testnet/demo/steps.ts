/** The steps of the demonstration, in their order. Each says what it does, does it, and says what came of it. */
import type { Scene } from './scene.ts';
import { steady } from './steady.ts';
import { killAnother, killProposer, restartAll } from './kills.ts';
import { cutOff, deaf, mute } from './cuts.ts';
import { move } from './move.ts';
import { compare } from './compare.ts';

export interface Step {
  readonly name: string;
  readonly help: string;
  /** Measures into `scene.card`; what must never be goes to `scene.bed.card`. @returns the verdict, in words */
  readonly run: (scene: Scene, doing: (what: string) => void) => Promise<string>;
  /** Steps that need what others of the group left: chosen together. */
  readonly group: string;
}

export const STEPS: readonly Step[] = [
  {
    name: 'steady',
    help: 'nothing fails: blocks, rounds, and how soon a transfer is final',
    run: steady,
    group: 'steady',
  },
  { name: 'kill-proposer', help: 'kill -9 the validator that proposes next', run: killProposer, group: 'kills' },
  { name: 'kill-another', help: 'kill -9 a second one', run: killAnother, group: 'kills' },
  { name: 'restart', help: 'start both again', run: restartAll, group: 'kills' },
  { name: 'cut-off', help: 'nothing passes between one site and the others, then heal', run: cutOff, group: 'cut-off' },
  { name: 'mute', help: 'nothing that one site sends arrives, then heal', run: mute, group: 'mute' },
  { name: 'deaf', help: 'nothing reaches one site, then heal', run: deaf, group: 'deaf' },
  { name: 'move', help: 'a validator comes back at another address', run: move, group: 'move' },
  {
    name: 'compare',
    help: 'how fast a block reaches every site, and how fast with 10 s polling',
    run: compare,
    group: 'steady',
  },
];
