/** Ranges of heights: how what is missing is cut into them. */
import { MAX_BLOCKS } from '../../protocols/codec.ts';

/** Blocks asked for at once; a response may hold fewer for its size. */
export const RANGE_BLOCKS = MAX_BLOCKS;
/** Fewer are asked for only where fewer are missing. */
export const MIN_RANGE_BLOCKS = 32;
/** Ranges on their way or waiting for their turn, and one asked twice: bounds memory to so many responses. */
export const MAX_RANGES = 8;

export interface Range {
  readonly from: number;
  readonly count: number;
}

export function endOf({ from, count }: Range): number {
  return from + count - 1;
}

/** What lies above `height` up to `target` and is in none of these ranges, in order. */
export function gaps(height: number, target: number, held: Iterable<Range>): Range[] {
  const found: Range[] = [];
  let next = height + 1;
  const close = (end: number): void => {
    if (end >= next) found.push({ from: next, count: end - next + 1 });
  };
  for (const range of [...held].sort((a, b) => a.from - b.from)) {
    close(Math.min(range.from - 1, target));
    next = Math.max(next, endOf(range) + 1);
  }
  close(target);
  return found;
}

/**
 * Cuts what is missing into at most `room` ranges: large ones where much is missing, and small ones where it is little,
 * so that several peers share it.
 */
export function cutRanges(missing: readonly Range[], room: number): Range[] {
  const blocks = missing.reduce((sum, { count }) => sum + count, 0);
  const size = Math.min(RANGE_BLOCKS, Math.max(MIN_RANGE_BLOCKS, Math.ceil(blocks / MAX_RANGES)));
  const ranges: Range[] = [];
  for (const gap of missing) {
    for (let { from } = gap; from <= endOf(gap) && ranges.length < room; from += size) {
      ranges.push({ from, count: Math.min(size, endOf(gap) - from + 1) });
    }
  }
  return ranges;
}
