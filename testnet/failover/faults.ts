/** The faults there are, in the order in which they are run. */
import type { JsonObject } from '../../src/chain/modules/types.ts';
import { absent } from './absent.ts';
import type { FaultOptions } from './bars.ts';
import type { TestBed } from './bed.ts';
import { lag } from './lag.ts';
import { killNonProposer, killProposer, quorumLost, restart, rolling } from './kills.ts';
import { flapping, halfOpen, isolation, oneWay, pause, split } from './links.ts';
import { wan } from './wan.ts';

/** What a fault needs of the cluster, when it is not the usual one. */
export interface BedKind {
  readonly params: JsonObject;
  readonly transfersPerSecond: number;
}

export interface Fault {
  readonly name: string;
  readonly help: string;
  /** Not among the faults of a run that names none, unless this is true for the number of nodes. */
  readonly byDefault?: (nodes: number) => boolean;
  readonly bed?: BedKind;
  readonly inject: (bed: TestBed, options: FaultOptions) => Promise<void>;
}

export const FAULTS: readonly Fault[] = [
  { name: 'kill', help: 'kill -9 a validator that does not propose next', inject: killNonProposer },
  { name: 'kill-proposer', help: 'kill -9 the validator that proposes next', inject: killProposer },
  { name: 'restart', help: 'stop a validator in order and start it', inject: restart },
  { name: 'pause', help: 'freeze a validator for 10 s (SIGSTOP)', inject: pause },
  { name: 'quorum-lost', help: 'kill as many as stop the chain, bring one back', inject: quorumLost },
  { name: 'split', help: 'cut one validator from the rest, silently and by resets', inject: split },
  { name: 'isolation', help: 'cut everyone from everyone', inject: isolation },
  { name: 'one-way', help: 'nothing that one validator sends arrives, or nothing reaches it', inject: oneWay },
  { name: 'flapping', help: 'cut and heal every 2 s', inject: flapping },
  { name: 'half-open', help: 'a link that accepts and never answers', inject: halfOpen },
  { name: 'rolling', help: 'restart all validators one after the other', inject: rolling },
  { name: 'wan', help: '40 to 150 ms one way, jitter, stalls, 10 Mbit/s', inject: wan },
  {
    name: 'absent',
    help: 'one validator down for 260 heights',
    byDefault: (nodes) => nodes === 4,
    inject: absent,
  },
  {
    name: 'lag',
    help: 'restart a validator that is 1,000 blocks behind',
    bed: { params: { min_block_interval_ms: 20 }, transfersPerSecond: 150 },
    inject: lag,
  },
];
