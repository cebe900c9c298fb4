/** One run as a value that goes from process to process, and the faults left out of it. */
import type { PlanOptions } from './plan.ts';

/**
 * Faults by their names: `3` is the third that came by time, `m3` the third that struck at a message. A fault left out
 * keeps its name, moment and randomness, so the others are what they were until the runs part.
 */
export interface FaultFilter {
  readonly kind: 'without' | 'only';
  readonly items: readonly string[];
}

export interface Job extends PlanOptions {
  /** Heights after which the run ends; with fewer than usual, or with faults left out, no number of faults is required. */
  readonly heights?: number;
  readonly filter?: FaultFilter;
}

const NONE = 'none';
const MAX_ITEMS = 100_000;

/** Whether a fault of this name happens. */
export function passes(filter: FaultFilter | undefined): (name: string) => boolean {
  if (!filter) return () => true;
  const items = new Set(filter.items);
  const isOnly = filter.kind === 'only';
  return (name) => items.has(name) === isOnly;
}

/** `3,7-9,m2-m4` as names; undefined when it is not such a list. */
export function parseItems(text: string): string[] | undefined {
  if (text === NONE) return [];
  const items: string[] = [];
  for (const part of text.split(',')) {
    const match = /^(m?)(\d{1,6})(?:-\1(\d{1,6}))?$/.exec(part);
    if (!match) return;
    const [, family = '', from = '', to = from] = match;
    if (Number(to) < Number(from) || items.length + Number(to) - Number(from) >= MAX_ITEMS) return;
    for (let i = Number(from); i <= Number(to); i++) items.push(`${family}${i}`);
  }
  return items;
}

export function formatItems(items: readonly string[]): string {
  const parts: string[] = [];
  for (const family of ['', 'm']) {
    const numbers = items
      .filter((name) => name.startsWith('m') === (family === 'm'))
      .map((name) => Number(name.slice(family.length)))
      .sort((a, b) => a - b);
    for (let i = 0; i < numbers.length; ) {
      let end = i;
      while (numbers[end + 1] === (numbers[end] ?? 0) + 1) end++;
      const [first, last] = [`${family}${numbers[i] ?? 0}`, `${family}${numbers[end] ?? 0}`];
      parts.push(first === last ? first : `${first}-${last}`);
      i = end + 1;
    }
  }
  return parts.length === 0 ? NONE : parts.join();
}
