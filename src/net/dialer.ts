/** Keeps connections to the peers that the operator named: redials with backoff and jitter for as long as it runs. */
import type { PeerId } from '../../protocols/network.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { LogLimit } from './log-limit.ts';
import { createLogLimit } from './log-limit.ts';
import type { NetMetrics } from './metrics.ts';

export const FIRST_DELAY_MS = 250;
/** After the end of an outage, however long, a validator must be back within seconds: a dial costs next to nothing. */
export const MAX_DELAY_MS = 2_500;
/** A connection that lasted this long starts the backoff anew. */
const STABLE_MS = 5_000;
const LOG_PERIOD_MS = 60_000;

export interface PersistentPeer {
  readonly peer: PeerId;
  /** Multiaddrs with the peer's id. */
  readonly addresses: readonly string[];
}

export interface DialerOptions {
  readonly peers: readonly PersistentPeer[];
  /** @throws when the connection does not come about */
  readonly dial: (peer: PersistentPeer) => Promise<void>;
  readonly connected: (peer: PeerId) => boolean;
  /** Until a ban ends nothing is dialled. */
  readonly banRemainingMs: (peer: PeerId) => number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: NetMetrics;
  /** In [0, 1). */
  readonly random: () => number;
}

interface State {
  readonly target: PersistentPeer;
  failures: number;
  dialling: boolean;
  connectedAtMs: number | null;
  cancel: (() => void) | null;
}

export class PersistentDialer {
  readonly #options: DialerOptions;
  readonly #limit: LogLimit;
  readonly #states: Map<PeerId, State>;
  #running = false;

  constructor(options: DialerOptions) {
    this.#options = options;
    this.#limit = createLogLimit(options.log, options.clock, LOG_PERIOD_MS);
    this.#states = new Map(
      options.peers.map((target) => [
        target.peer,
        { target, failures: 0, dialling: false, connectedAtMs: null, cancel: null },
      ]),
    );
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    for (const state of this.#states.values()) this.#dialNow(state);
  }

  stop(): void {
    this.#running = false;
    for (const state of this.#states.values()) state.cancel?.();
  }

  onConnect(peer: PeerId): void {
    const state = this.#states.get(peer);
    if (!state) return;
    state.connectedAtMs ??= this.#options.clock.monotonic();
    state.cancel?.();
    state.cancel = null;
  }

  onDisconnect(peer: PeerId): void {
    const state = this.#states.get(peer);
    if (!state) return;
    const lastedMs = this.#options.clock.monotonic() - (state.connectedAtMs ?? Infinity);
    state.connectedAtMs = null;
    if (lastedMs >= STABLE_MS) state.failures = 0;
    else state.failures += 1;
    this.#schedule(state);
  }

  #schedule(state: State): void {
    if (!this.#running || state.dialling) return;
    state.cancel?.();
    const { clock, random, banRemainingMs } = this.#options;
    const backoffMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(Math.max(0, state.failures - 1), 10));
    const delayMs = Math.max(backoffMs * (0.5 + random() / 2), banRemainingMs(state.target.peer));
    state.cancel = clock.after(delayMs, () => {
      state.cancel = null;
      this.#dialNow(state);
    });
  }

  #dialNow(state: State): void {
    const { connected, dial, metrics } = this.#options;
    if (!this.#running || state.dialling || connected(state.target.peer)) return;
    state.dialling = true;
    dial(state.target).then(
      () => {
        state.dialling = false;
        metrics.dials.inc({ result: 'ok' });
        // Closed again before this was heard: its disconnect event found a dial in progress.
        if (!connected(state.target.peer)) this.#failed(state);
      },
      (error: unknown) => {
        state.dialling = false;
        metrics.dials.inc({ result: 'failed' });
        if (!this.#running || connected(state.target.peer)) return;
        this.#report(state, error);
        this.#failed(state);
      },
    );
  }

  #failed(state: State): void {
    state.failures += 1;
    this.#schedule(state);
  }

  #report(state: State, error: unknown): void {
    const { peer, addresses } = state.target;
    const reason = error instanceof Error ? error.message : String(error);
    const context = { peer, addresses, failures: state.failures + 1, reason };
    if (isWrongPeer(error)) {
      this.#limit.log('warn', peer, 'another peer answers at the address of a persistent peer', {
        ...context,
        hint: 'correct the /p2p/ part of p2p.peers or the address',
      });
    } else {
      this.#limit.log('warn', peer, 'persistent peer not reached', context);
    }
  }
}

/** Whoever answered has another key. The library tells it in words only once the handshake error is wrapped. */
function isWrongPeer(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (at.name === 'UnexpectedPeerError' || at.message.includes('expected remote identity key')) return true;
    if (at instanceof AggregateError && at.errors.some(isWrongPeer)) return true;
  }
  return false;
}
