/**
 * Orders to kill at a write: files between the kill test and the processes that write (kill-points.ts). `<name>.order` is
 * the order, `<name>.count` how many writes came since, `<name>.struck` that it was carried out.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../manifest.ts';
import type { ProcessId } from '../processes.ts';

export type When = 'before' | 'after';

/** `self`: who writes. `children`: whoever that process started. */
export type Victim = 'self' | { readonly process: ProcessId } | { readonly childrenOf: ProcessId };

export interface KillOrder {
  readonly id: number;
  /** Of the calls of `persist` since the order was given, from 1; 0 counts only. */
  readonly call: number;
  readonly when: When;
  readonly victims: readonly Victim[];
}

export interface WriteCount {
  readonly id: number;
  readonly calls: number;
}

export interface Strike {
  readonly id: number;
  readonly killed: number;
}

/** What a process reads and writes. */
export function orderFiles(prefix: string): {
  readonly order: string;
  readonly count: string;
  readonly struck: string;
} {
  return { order: `${prefix}.order`, count: `${prefix}.count`, struck: `${prefix}.struck` };
}

export function readOrderFile<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return null;
  }
}

/** The side of whoever gives orders. */
export class KillOrders {
  readonly #folder: string;
  #last = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  prefix(name: string): string {
    return join(this.#folder, name);
  }

  give(name: string, order: Omit<KillOrder, 'id'>): void {
    const { order: path, count, struck } = orderFiles(this.prefix(name));
    rmSync(struck, { force: true });
    rmSync(count, { force: true });
    replaceFile(path, JSON.stringify({ id: ++this.#last, ...order } satisfies KillOrder));
  }

  /** Counts the writes from now on, and has nobody killed. */
  count(name: string): void {
    this.give(name, { call: 0, when: 'before', victims: [] });
  }

  counted(name: string): number {
    return readOrderFile<WriteCount>(orderFiles(this.prefix(name)).count)?.calls ?? 0;
  }

  /** null: not yet. */
  struck(name: string): Strike | null {
    const { struck } = orderFiles(this.prefix(name));
    return existsSync(struck) ? readOrderFile<Strike>(struck) : null;
  }

  withdraw(name: string): void {
    rmSync(orderFiles(this.prefix(name)).order, { force: true });
  }
}
