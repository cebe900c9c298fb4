/**
 * The side of a process that writes: loaded by child.ts alone, before the program. Wraps the one method by which a side of
 * the market keeps anything, counts its calls, and at the one it has an order for kills with SIGKILL whom the order names.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { AppendedRows } from '../../src/store/row-file.ts';
import { DiskRows } from '../../src/store/rows.ts';
import { childrenOf, signalProcess } from '../processes.ts';
import type { KillOrder, Victim, When } from './kill-order.ts';
import { orderFiles, readOrderFile } from './kill-order.ts';

interface Persists<R> {
  persist(rows: readonly R[]): Promise<void>;
}

export function takeOrders(prefix: string): void {
  const points = new KillPoints(prefix);
  wrap(DiskRows.prototype, points);
  wrap(AppendedRows.prototype, points);
}

function wrap<R>(rows: Persists<R>, points: KillPoints): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the rows it was called on
  const persist = rows.persist;
  rows.persist = async function (this: Persists<R>, changes) {
    const call = points.next();
    points.reached(call, 'before');
    await persist.call(this, changes);
    points.reached(call, 'after');
  };
}

class KillPoints {
  readonly #prefix: string;
  #id = 0;
  #calls = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** @returns the number of this call */
  next(): { readonly order: KillOrder | null; readonly call: number } {
    const { order: path, count } = orderFiles(this.#prefix);
    const order = readOrderFile<KillOrder>(path);
    if (!order) return { order, call: 0 };
    if (order.id !== this.#id) {
      this.#id = order.id;
      this.#calls = 0;
    }
    this.#calls++;
    writeFileSync(count, JSON.stringify({ id: order.id, calls: this.#calls }));
    return { order, call: this.#calls };
  }

  reached({ order, call }: { readonly order: KillOrder | null; readonly call: number }, when: When): void {
    if (order?.call !== call || order.when !== when) return;
    const { order: path, struck } = orderFiles(this.#prefix);
    // Whoever starts again has no order.
    rmSync(path, { force: true });
    const others = order.victims.filter((victim) => victim !== 'self');
    const killed = others.reduce((sum, victim) => sum + kill(victim), 0);
    const isOwn = others.length < order.victims.length;
    writeFileSync(`${struck}.tmp`, JSON.stringify({ id: order.id, killed: killed + (isOwn ? 1 : 0) }));
    renameSync(`${struck}.tmp`, struck);
    if (!isOwn) return;
    process.kill(process.pid, 'SIGKILL');
    // Nothing more is done until the signal is there.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }
}

function kill(victim: Exclude<Victim, 'self'>): number {
  if ('process' in victim) return signalProcess(victim.process, 'SIGKILL') ? 1 : 0;
  const children = childrenOf(victim.childrenOf.pid);
  for (const pid of children) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  return children.length;
}
