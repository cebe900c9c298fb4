/**
 * Open-loop load whose every acknowledgement is remembered: a transfer that a node called final must be on every node
 * for ever. A sender has one transfer on its way; when its fate is unknown (the node died), the sender asks the chain
 * for its nonce and goes on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { formatAddress } from '../../src/chain/address.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import type { Random } from './random.ts';
import { accountNonce, submitCommit } from './rpc.ts';
import type { LoadAccount } from './transfers.ts';
import { nextTransfer } from './transfers.ts';

export interface LoadCounts {
  sent: number;
  final: number;
  refused: number;
  unknown: number;
  /** Arrivals that found every sender busy. */
  skipped: number;
}

export class AcknowledgedLoad {
  /** Height by id of every transfer that a node called final. */
  readonly acknowledged = new Map<string, number>();
  readonly counts: LoadCounts = { sent: 0, final: 0, refused: 0, unknown: 0, skipped: 0 };
  readonly #genesis: Genesis;
  readonly #idle: LoadAccount[];
  readonly #targets: readonly string[];
  readonly #random: Random;
  readonly #busy = new Set<Promise<void>>();
  #stopped = false;
  #paused = false;

  constructor(genesis: Genesis, accounts: readonly LoadAccount[], targets: readonly string[], random: Random) {
    this.#genesis = genesis;
    this.#idle = [...accounts];
    this.#targets = targets;
    this.#random = random;
  }

  /** Runs until `stop`. */
  async run(perSecond: number): Promise<void> {
    let due = performance.now();
    while (!this.#stopped) {
      due += this.#random.exponential(1000 / perSecond);
      await sleep(Math.max(0, due - performance.now()));
      if (this.#paused) continue;
      const account = this.#idle.shift();
      const to = this.#idle[0];
      if (!account || !to) {
        this.counts.skipped++;
        if (account) this.#idle.push(account);
        continue;
      }
      const task = this.#transfer(account, to).finally(() => {
        this.#busy.delete(task);
        this.#idle.push(account);
      });
      this.#busy.add(task);
    }
    await Promise.all(this.#busy);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Nothing new is sent until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  /** Resolves when nothing that was sent is under way; for a load that is paused. */
  async idle(): Promise<void> {
    while (this.#busy.size > 0) await Promise.all(this.#busy);
  }

  async #transfer(from: LoadAccount, to: LoadAccount): Promise<void> {
    const { chain, params } = this.#genesis;
    const tx = nextTransfer(chain, params, from, to.address);
    this.counts.sent++;
    try {
      const answer = await submitCommit(this.#random.pick(this.#targets), toHex(tx.bytes));
      if (answer.final) {
        this.acknowledged.set(toHex(tx.id), answer.height ?? 0);
        this.counts.final++;
        return;
      }
      if (answer.code === null) this.counts.unknown++;
      else this.counts.refused++;
    } catch {
      this.counts.unknown++;
    }
    await this.#readNonce(from);
  }

  async #readNonce(account: LoadAccount): Promise<void> {
    while (!this.#stopped) {
      try {
        account.nonce = await accountNonce(this.#random.pick(this.#targets), formatAddress(account.address));
        return;
      } catch {
        await sleep(100);
      }
    }
  }
}
