/**
 * Pages of lists, newest first. A cursor names the place the next page begins at, by height and index, so that new blocks
 * move no page.
 */
import Type from 'typebox';
import { NodeError } from '../errors.ts';
import { JSON_FORM } from './app.ts';
import type { Answer } from './operation.ts';
import { fresh } from './operation.ts';

const DEFAULT_PAGE_ITEMS = 30;
export const MAX_PAGE_ITEMS = 100;
/** Blocks that are read for one page, and transactions in them: a page ends early when there are more. */
export const MAX_PAGE_BLOCKS = 1000;
export const MAX_PAGE_TXS = 10_000;
/** The same for one that is looked for in every transaction: each of them is held against what is wanted. */
export const MAX_SEARCH_BLOCKS = 500;
export const MAX_SEARCH_TXS = 2_000;

export const pageFields = {
  limit: Type.Optional(
    Type.String({
      pattern: '^(?:[1-9][0-9]?|100)$',
      description: `1 to ${MAX_PAGE_ITEMS}; ${DEFAULT_PAGE_ITEMS} when absent`,
      [JSON_FORM]: 'integer',
    }),
  ),
  cursor: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'next_cursor of the page before' }),
  ),
};

/** The item a page begins with; what is above it belongs to pages before. */
export interface Place {
  readonly height: number;
  /** In the block. */
  readonly index: number;
}

export interface Page {
  readonly items: readonly unknown[];
  /** Null: this is the last page. */
  readonly next: Place | null;
}

export function pageLimit(limit: string | undefined): number {
  return limit === undefined ? DEFAULT_PAGE_ITEMS : Number(limit);
}

/** @throws NodeError INVALID_PARAMS */
export function readCursor(cursor: string): Place {
  const match = /^(\d{1,15})\.(\d{1,9})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  if (!match) {
    throw new NodeError('INVALID_PARAMS', 'the cursor is none of this list', {
      hint: 'begin without a cursor, then go on with next_cursor',
    });
  }
  return { height: Number(match[1]), index: Number(match[2]) };
}

function writeCursor({ height, index }: Place): string {
  return Buffer.from(`${height}.${index}`, 'latin1').toString('base64url');
}

/** @param query of the request, without its cursor */
export function pageAnswer(path: string, query: Readonly<Record<string, string | undefined>>, page: Page): Answer {
  const next_cursor = page.next && writeCursor(page.next);
  if (next_cursor === null) return fresh({ items: page.items, next_cursor });
  const search = new URLSearchParams({ cursor: next_cursor });
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && name !== 'cursor') search.set(name, value);
  return fresh({ items: page.items, next_cursor }, 200, { link: `<${path}?${search.toString()}>; rel="next"` });
}
