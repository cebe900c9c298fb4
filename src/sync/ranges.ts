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

/**
 * Cuts what lies after `upTo` into at most `room` ranges: large ones where much is missing, and small ones where it is
 * little, so that several peers share it.
 */
export function cutRanges(upTo: number, target: number, room: number): Range[] {
  const size = Math.min(RANGE_BLOCKS, Math.max(MIN_RANGE_BLOCKS, Math.ceil((target - upTo) / MAX_RANGES)));
  const ranges: Range[] = [];
  for (let from = upTo + 1; from <= target && ranges.length < room; from += size) {
    ranges.push({ from, count: Math.min(size, target - from + 1) });
  }
  return ranges;
}

/** What of these ranges is above a height, in order. Pieces of one range keep its end, by which they are told apart. */
export function missingAbove(height: number, ranges: readonly Range[]): Range[] {
  const byEnd = new Map<number, Range>();
  for (const range of ranges) {
    const end = endOf(range);
    const from = Math.max(range.from, height + 1);
    if (from <= end) byEnd.set(end, { from, count: end - from + 1 });
  }
  return [...byEnd.values()].sort((a, b) => a.from - b.from);
}
