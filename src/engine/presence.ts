/**
 * Validators' signs of life: each signs its head every few seconds and at every new one. Readiness, the peer table and
 * the sentence "halted safely" rest on them, and they tell a node that it is behind.
 */
import type { PublicKey } from '../bytes.ts';
import { bytesKey } from '../bytes.ts';
import type { BatchVerifier } from '../chain/crypto/types.ts';
import type { ChainContext } from '../chain/signing.ts';
import { findValidator, hasQuorum } from '../chain/validator-set.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import type { SignedStatus } from '../../protocols/messages.ts';
import { statusSignBytes } from '../../protocols/codec.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { GossipCode } from '../../protocols/verdicts.ts';
import type { Ledger } from './ledger.ts';
import type { Validator } from './validator.ts';

const STATUS_EVERY_MS = 5_000;
/** After a peer came, so that it need not wait for the next turn: its subscriptions may be a moment behind its greeting. */
const GREETINGS_MS = [0, 100, 300, 1_000];
/** A validator without a status this fresh counts as not reachable. */
export const FRESH_MS = 10_000;
/** Statuses signed so far from our clock are replays, or a clock is badly wrong. */
const MAX_OFFSET_MS = 60_000;

export interface PresenceModules {
  readonly ledger: Ledger;
  readonly verifier: BatchVerifier;
  readonly clock: Clock;
  readonly validator: Validator | null;
  /** This node signs at present. */
  readonly signs: () => boolean;
  readonly onHead: (peer: PeerId, height: number) => void;
}

interface Sighting {
  readonly status: SignedStatus;
  /** Monotonic. */
  readonly seenAtMs: number;
  /** Their clock less ours when it came: what it took on its way makes this smaller, never larger. */
  readonly clockOffsetMs: number;
}

export interface Reach {
  readonly validators: number;
  readonly total: number;
  readonly quorum: number;
  readonly hasQuorum: boolean;
}

export class Presence {
  readonly #modules: PresenceModules;
  /** By validator key; only current and next validators, so bounded by two sets. */
  readonly #sightings = new Map<string, Sighting>();
  #network: ChainNetwork | null = null;
  #stop: (() => void) | null = null;
  #greetings: (() => void)[] = [];

  constructor(modules: PresenceModules) {
    this.#modules = modules;
  }

  /** Begins to announce. */
  connect(network: ChainNetwork): void {
    this.#network = network;
    this.#stop = every(this.#modules.clock, STATUS_EVERY_MS, () => {
      this.announce();
    });
    this.announce();
  }

  stop(): void {
    this.#stop?.();
    for (const cancel of this.#greetings) cancel();
    this.#greetings = [];
  }

  /** A peer came, or this node began to sign. */
  greet(): void {
    for (const cancel of this.#greetings) cancel();
    this.#greetings = GREETINGS_MS.map((ms) =>
      this.#modules.clock.after(ms, () => {
        this.announce();
      }),
    );
  }

  /** Heard of within the last FRESH_MS. */
  isFresh(validator: PublicKey): boolean {
    const seenAtMs = this.#sightings.get(bytesKey(validator))?.seenAtMs;
    return seenAtMs !== undefined && this.#modules.clock.monotonic() - seenAtMs <= FRESH_MS;
  }

  /** The peer that carries the validator's key, as it signed last. */
  peerOf(validator: PublicKey): PeerId | undefined {
    return this.#sightings.get(bytesKey(validator))?.status.peerId;
  }

  /** The latest status each peer signed. */
  byPeer(): Map<PeerId, SignedStatus> {
    return new Map([...this.#sightings.values()].map(({ status }) => [status.peerId, status]));
  }

  /** Their clocks less ours, in ms, as of the latest status of each. */
  clockOffsets(): Map<PeerId, number> {
    return new Map([...this.#sightings.values()].map(({ status, clockOffsetMs }) => [status.peerId, clockOffsetMs]));
  }

  /** Publishes the own status; nothing on followers. */
  announce(): void {
    const { ledger, validator, clock } = this.#modules;
    const network = this.#network;
    if (!validator || !network || !this.#modules.signs()) return;
    const { last, current } = ledger.validators;
    // One that has just left may be all who can tell the others of its last block.
    const sets = last === null ? [current] : [last, current];
    if (!sets.some((set) => findValidator(set, validator.publicKey))) return;
    const unsigned = {
      height: ledger.tip.height,
      blockId: ledger.tip.blockId,
      timeMs: clock.now(),
      peerId: network.self,
    };
    const signature = validator.sign(statusSignBytes(ledger.rules.chain, unsigned));
    const status: SignedStatus = { ...unsigned, validator: validator.publicKey, signature };
    this.#sightings.set(bytesKey(validator.publicKey), { status, seenAtMs: clock.monotonic(), clockOffsetMs: 0 });
    network.publish('status', status);
  }

  async onStatus(status: SignedStatus, from: PeerId): Promise<GossipCode> {
    const { ledger, verifier, clock } = this.#modules;
    const { current, next } = ledger.validators;
    if (!findValidator(current, status.validator) && !findValidator(next, status.validator)) return 'UNKNOWN_SIGNER';
    const key = bytesKey(status.validator);
    const known = this.#sightings.get(key);
    if (known && known.status.timeMs >= status.timeMs) return 'DUPLICATE';
    const clockOffsetMs = status.timeMs - clock.now();
    if (Math.abs(clockOffsetMs) > MAX_OFFSET_MS) return 'STALE';
    if (!(await verifier.verifyBatch([statusCheck(ledger.rules.chain, status)], { urgent: true }))[0]) {
      return 'BAD_SIGNATURE';
    }
    this.#sightings.set(key, { status, seenAtMs: clock.monotonic(), clockOffsetMs });
    const hasPruned = this.#prune();
    if (hasPruned || known?.status.peerId !== status.peerId) this.#network?.vouch([...this.byPeer().keys()]);
    const peers = this.#network?.peers() ?? [];
    this.#modules.onHead(peers.includes(status.peerId) ? status.peerId : from, status.height);
    return status.peerId === from ? 'FIRST_HAND' : 'OK';
  }

  /** Who of the validators of the next height was heard of lately. */
  reach(): Reach {
    const { current } = this.#modules.ledger.validators;
    const seen = current.validators.filter(({ publicKey }) => this.isFresh(publicKey));
    const power = seen.reduce((sum, validator) => sum + validator.power, 0);
    return {
      validators: seen.length,
      total: current.validators.length,
      quorum: leastQuorum(current.validators.map((validator) => validator.power)),
      hasQuorum: hasQuorum(current, power),
    };
  }

  /** @returns whether one was forgotten */
  #prune(): boolean {
    const { current, next } = this.#modules.ledger.validators;
    const size = this.#sightings.size;
    for (const [key, { status }] of this.#sightings) {
      if (!findValidator(current, status.validator) && !findValidator(next, status.validator))
        this.#sightings.delete(key);
    }
    return this.#sightings.size < size;
  }
}

/** How many validators a quorum takes at least: the strongest first. */
export function leastQuorum(powers: readonly number[]): number {
  const total = powers.reduce((sum, power) => sum + power, 0);
  let power = 0;
  let count = 0;
  for (const strongest of [...powers].sort((a, b) => b - a)) {
    if (3 * power >= 2 * total) break;
    power += strongest;
    count++;
  }
  return count;
}

function statusCheck(
  chain: ChainContext,
  status: SignedStatus,
): { message: Uint8Array; signature: Uint8Array; publicKey: Uint8Array } {
  return { message: statusSignBytes(chain, status), signature: status.signature, publicKey: status.validator };
}
